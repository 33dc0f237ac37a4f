"""The commands that README.md, CONTRIBUTING.md and docs/*.md show, read from their text.

Code blocks are read line by line; in running text and tables, what stands between backticks. A block that shows no command (output,
TOML, a drawing) is known by how its first line begins. Anything else is unknown, and a test fails: nothing is passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("cp", "curl", "docker", "inv", "make", "podman", "python3", "rpicam-vid", "scp", "ssh", "sudo", "uname")
# In running text `inv build` only names a command: one that is meant to be typed has as many words.
WORDS_IN_TEXT = {"make": 2, ".litekiln/host/bin/python": 2}
WORDS_IN_TEXT |= dict.fromkeys(("docker", "docker-compose", "gunzip", "inv", "podman", "sudo"), 3)
NO_COMMAND = {
    "output": r"[·→✓✗!] |ok: |http://camera/mjpg: |rtsp://camera/stream: |(export|verify float32): ",
    "part of a report": r'"weights": \{',
    "TOML": r"\[[a-z]+\]$",
    "JSON": r"\{$",
    "Python": r"import |class |detector = ",
    "a list of Pis": r"192\.168\.1\.17  Desk 1$",
    "a list of files": r"[a-z]+/[\w.]+/\S+ +\S|request\.json ",
    "a drawing": r" *(┌|fetch ─|litekiln ─|models/<name>/  calib/)",
}
COMMENT = re.compile(r"\s+#\s.*$")
OPTIONAL = re.compile(r"\s*\[(?:--|and )[^\[\]]*\]…?")
# What a reader types where a synopsis has a letter.
LETTERS = {
    "--model M": "--model shapes",
    "--variant V": "--variant int8",
    "--name N": "--name mine",
    "--source S": "--source training",
    "compare A B": "compare shapes/int8 shapes/int16x8",
}
Numbered = list[tuple[int, str]]  # lines with their numbers


@dataclass
class Command:
    """A command, wherever it is shown."""

    text: str  # as somebody types it
    places: list[str] = field(default_factory=list)
    exit_codes: set[int] = field(default_factory=set)  # those that `echo $?` shows below it


@dataclass
class Documented:
    """What all pages show."""

    commands: dict[str, Command] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)  # of NO_COMMAND, those that were seen
    unknown: list[str] = field(default_factory=list)

    def add(self, text: str, place: str, exit_code: int | None = None) -> None:
        """A command, unless it is known; where it stands, and what `echo $?` shows."""
        whole = as_typed(text)
        command = self.commands.setdefault(whole, Command(whole))
        command.places.append(place)
        command.exit_codes |= set() if exit_code is None else {exit_code}


def read_pages(root: Path) -> Documented:
    """What all pages of a checkout show."""
    found = Documented()
    for path in (root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))):
        read_page(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix(), found)
    return found


def read_page(text: str, name: str, found: Documented) -> None:
    """Sort what one page shows."""
    prose = text.split("\n")
    for block in _blocks(text):
        for number, _ in block:
            prose[number - 1] = ""
        _sort(_joined([(number, line) for number, line in block if not line.startswith("```")]), name, found)
    rest = "\n".join(prose)
    for span in re.finditer(r"`([^`]+)`", rest):
        words = span[1].replace("\\|", "|").split()
        if words and len(words) >= WORDS_IN_TEXT.get(words[0], len(words) + 1):
            line = rest.count("\n", 0, span.start()) + 1
            found.add(" ".join(words), f"{name}:{line}")


def as_typed(text: str) -> str:
    """A command without its comment and what may be left out, and with names for letters."""
    text = COMMENT.sub("", text)
    while OPTIONAL.search(text):
        text = OPTIONAL.sub("", text)
    for letter, name in LETTERS.items():
        text = re.sub(rf"{letter}\b", name, text)
    return " ".join(text.split())


def _blocks(text: str) -> Iterator[Numbered]:
    """Code blocks without their indentation: fenced ones whole, of indented ones what stands between empty lines."""
    lines, start = text.split("\n"), 0
    while start < len(lines):
        end = start
        if lines[start].startswith("```"):
            end = next(end for end in range(start + 1, len(lines)) if lines[end].startswith("```")) + 1
        while lines[start].startswith("    ") and lines[end : end + 1] and lines[end].startswith("    "):
            end += 1
        block = lines[start:end]
        indent = min((len(line) - len(line.lstrip(" ")) for line in block), default=0)
        if block:
            yield [(start + 1 + place, line[indent:]) for place, line in enumerate(block)]
        start = max(end, start + 1)


def _joined(lines: Numbered) -> Numbered:
    """What a backslash continues is one line, with the number of its first."""
    joined: Numbered = []
    for number, line in lines:
        if joined and joined[-1][1].endswith("\\"):
            joined[-1] = (joined[-1][0], joined[-1][1][:-1] + line)
        else:
            joined.append((number, line))
    return joined


def _sort(lines: Numbered, page: str, found: Documented) -> None:
    """A session (`$ inv …` and what it prints), commands alone, or no command."""
    number, first = lines[0]
    if first.startswith("$ "):
        _sort_session(lines, page, found)
    elif all(_is_command(line) for _, line in lines):
        for number, line in lines:
            found.add(line, f"{page}:{number}")
    else:
        kinds = {kind for kind, begins in NO_COMMAND.items() if re.match(begins, first)}
        found.kinds |= kinds
        if not kinds or any(_is_command(line) for _, line in lines):
            found.unknown.append(f"{page}:{number}: {first}")


def _sort_session(lines: Numbered, page: str, found: Documented) -> None:
    typed = [place for place, (_, line) in enumerate(lines) if line.startswith("$ ")]
    for place, following in zip(typed, [*typed[1:], len(lines)], strict=True):
        number, line = lines[place]
        if line == "$ echo $?":
            continue
        asked = following < len(lines) and lines[following][1] == "$ echo $?"
        found.add(line[2:], f"{page}:{number}", int(lines[following + 1][1]) if asked else None)


def _is_command(line: str) -> bool:
    word = line.partition(" ")[0]
    return word in PROGRAMS or word.startswith((".ci/", ".litekiln/", "deploy/"))
