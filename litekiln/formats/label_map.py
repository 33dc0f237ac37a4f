"""Label maps: the name of each class. `.pbtxt` as the Object Detection API writes them, or `.txt` with one name a line."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.textproto import TextMessage, TextprotoError, parse, read_text
from litekiln.wording import amount, shown

NO_NAME = "???"
COMMENT = re.compile(r"#(\s|#|$)")  # a name may begin with # too
MOST_CLASSES = 1_000_000
BACKGROUND = (NO_NAME, "background", "__background__")
EXPECTED = "give a .pbtxt with `item { id: 1 name: 'cat' }` for each class, or a .txt with one name a line: `cat`, next line `dog`"


@dataclass(frozen=True)
class Labels:
    """Names by class index. Indices count from 0, as in the model. `class_count` includes classes without a name."""

    names: dict[int, str]
    class_count: int
    warnings: list[str]

    def as_lines(self) -> list[str]:
        """One name for each class index."""
        return [self.names.get(index, NO_NAME) for index in range(self.class_count)]


def read_labels(path: Path) -> Labels:
    if path.suffix.lower() not in (".pbtxt", ".txt"):
        raise _unusable(path, f"a label map ends in .pbtxt or .txt, not in {path.suffix!r}")
    text = read_text(path).removeprefix("\ufeff")
    if not text.strip():
        raise _unusable(path, "the label map is empty")
    if path.suffix.lower() == ".pbtxt" or re.match(r"(?:\s|#.*\n)*item\s*(?::\s*)?\{", text):
        return _from_items(path, text)
    return _from_lines(path, text)


def _unusable(path: Path, problem: str, cause: str = "") -> SourceError:
    return SourceError(f"{path}: {problem}", cause=cause, remedy=EXPECTED)


def _from_items(path: Path, text: str) -> Labels:
    try:
        message = parse(text)
    except TextprotoError as error:
        raise _unusable(
            path, str(error), cause="it is another kind of file, or a bracket or quote was lost while editing"
        ) from None
    items = [item for item in message.all("item") if isinstance(item, TextMessage)]
    if not items:
        raise _unusable(path, "no `item { }` in it", cause=f"it holds: {', '.join(message.fields) or 'nothing but comments'}")
    names: dict[int, str] = {}
    lines: dict[int, int] = {}
    warnings = []
    for item in items:
        number, name = _item(path, item)
        if number == 0:
            warnings.append(f"{path}: id 0 ({name}) stands for the background and is skipped")
            continue
        if number - 1 in names:
            raise _unusable(path, f"id {number} is used twice: in line {lines[number]} and in line {item.line}")
        names[number - 1], lines[number] = name, item.line
    if not names:
        raise _unusable(path, "no class has a name")
    return Labels(names, max(names) + 1, warnings + _repeated(path, names))


def _item(path: Path, item: TextMessage) -> tuple[int, str]:
    """An item's id and name."""
    number, name = item.get("id"), item.get("display_name") or item.get("name")
    if number is None:
        raise _unusable(path, f"line {item.line}: the item has no id")
    if name is None or name == "":
        raise _unusable(path, f"line {item.line}: the item has no name")
    if not isinstance(name, str):
        raise _unusable(path, f"line {item.line}: the name must be in quotes")
    if not isinstance(number, int) or isinstance(number, bool):
        raise _unusable(path, f"line {item.line}: the id must be a whole number, without quotes")
    if number < 0 or (number == 0 and name.lower() not in BACKGROUND):
        raise _unusable(path, f"line {item.line}: id {number}: ids count from 1", cause="0 is kept for the background")
    if number > MOST_CLASSES:
        raise _unusable(path, f"line {item.line}: id {number}: more than {MOST_CLASSES} classes", cause="it is no class's id")
    return number, " ".join(name.split())


def _from_lines(path: Path, text: str) -> Labels:
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    if "" in lines:
        raise _unusable(
            path, f"line {lines.index('') + 1} is blank", cause=f"a name is missing; a class without one is {NO_NAME!r}"
        )
    comments = [line for line in lines if COMMENT.match(line)]
    lines = [line for line in lines if not COMMENT.match(line)]
    if not lines:
        raise _unusable(path, "no class has a name", cause="each line is a comment")
    other = _other_format(lines)
    if other:
        raise _unusable(path, f"this looks like {other}", cause="a .txt label map holds nothing but names")
    warnings = []
    if comments:
        skipped = amount(len(comments), "line is skipped as a comment", "lines are skipped as comments")
        warnings.append(f"{path}: {skipped}; first: {shown(comments[0])}")
    if marked := [line for line in lines if line.startswith("#")]:
        warnings.append(f"{path}: {shown(marked[0])} is taken as a name; a comment begins with # and a space")
    if lines[0].lower() in BACKGROUND:
        warnings.append(f"{path}: its first line, {lines[0]!r}, stands for the background and is skipped")
        lines = lines[1:]
    names = {index: name for index, name in enumerate(lines) if name != NO_NAME}
    if not names:
        raise _unusable(path, "no class has a name")
    return Labels(names, len(lines), warnings + _repeated(path, names))


def _other_format(lines: list[str]) -> str:
    """The format that the lines are in; '' if they are plain names."""
    if lines[0][0] in "{[":
        return "JSON"
    if lines[0][0] == "<":
        return "XML"
    if any(re.match(r"(?:names|nc|classes)\s*:", line) for line in lines) or all(line.startswith("- ") for line in lines):
        return "YAML"
    for separator in (",", ";", "\t"):
        columns = {line.count(separator) for line in lines}
        if len(columns) == 1 and 0 not in columns:
            return "CSV or another table"
    numbered = [re.match(r"(\d{1,6})(?:\s*[:=.)]\s*|\s+)\S", line) for line in lines]
    numbers = [int(found[1]) for found in numbered if found]
    if numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return "a numbered list: if the numbers are part of the names, write a .pbtxt"
    return ""


def _repeated(path: Path, names: dict[int, str]) -> list[str]:
    return [f"{path}: {name!r} names {count} classes" for name, count in Counter(names.values()).items() if count > 1]
