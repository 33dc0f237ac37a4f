"""Which modules of steps/ a step's program imports, directly or not: its result depends on them, so they are part of its key."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from litekiln.hashing import files_below, sha256_bytes, sha256_value

# `import a.b as c, d`, and `from a.b import c as d, e` with or without parentheses; comments are taken out before.
# Parsing all files takes a tenth of a second; a test compares this with what Python's parser finds.
IMPORTED = re.compile(
    r"^[ \t]*(?:import[ \t]+(?P<modules>[\w., \t]+)"
    r"|from[ \t]+(?P<origin>[\w.]+)[ \t]+import[ \t]*(?:\((?P<listed>[^)]*)\)|(?P<named>.*)))",
    re.MULTILINE,
)
COMMENT = re.compile(r"#.*")


class StepModules:
    """The modules of steps/ and its folders: which imports which, and their hashes. Each is read once."""

    def __init__(self, steps: Path) -> None:
        self._steps = steps
        self._there = {path.relative_to(steps).as_posix() for path in files_below(steps)}
        self._read: dict[str, tuple[str, list[str]]] = {}
        self._hashes: dict[str, str] = {}

    def files(self, program: str) -> list[str]:
        """A program and the modules of steps/ that it imports, directly or not: what its result depends on."""
        found: dict[str, None] = {}
        waiting = [program]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += self._look(name)[1]
        return list(found)

    def hash_of(self, program: str) -> str:
        """The hash of a program with the modules that it imports."""
        if program not in self._hashes:
            self._hashes[program] = sha256_value([[name, self._look(name)[0]] for name in sorted(self.files(program))])
        return self._hashes[program]

    def _look(self, name: str) -> tuple[str, list[str]]:
        """A module's hash, and the modules of steps/ that it imports itself."""
        if name not in self._read:
            data = (self._steps / name).read_bytes()
            self._read[name] = (sha256_bytes(data), self._files_of(imported_names(data.decode())))
        return self._read[name]

    def _files_of(self, imported: Iterable[str]) -> list[str]:
        """The files that Python runs for `a.b.c`: those of the folder `a`, of `b`, and of `c`, unless that is a name in `b`."""
        parts = {name.rsplit(".", dots)[0] for name in imported for dots in range(name.count(".") + 1)}
        paths = [part.replace(".", "/") for part in sorted(parts)]
        return [file for path in paths for file in (f"{path}.py", f"{path}/__init__.py") if file in self._there]


def imported_names(text: str) -> Iterator[str]:
    """What a module imports, by dotted names; each name that it takes from a module could be a module itself."""
    for found in IMPORTED.finditer(COMMENT.sub("", text)):
        origin = f"{found['origin']}." if found["origin"] else ""
        for each in (found["modules"] or found["listed"] or found["named"]).split(","):
            if name := each.split(" as ")[0].strip():
                yield origin + name


def program_files(steps: Path, program: str) -> list[Path]:
    """The files of a step program: it, and the modules of steps/ that it imports, directly or not."""
    return [steps / name for name in StepModules(steps).files(program)]
