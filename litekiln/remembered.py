"""What was found out about files before: one JSON file in `.litekiln/`, by path. Losing it only costs time.

It is read once, and written once if something is new. A file that is damaged, or of another form, counts as empty.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from litekiln.disk import write_whole
from litekiln.errors import LitekilnError


class Remembered:
    """Values by the path that they are about. Who asks compares the file's status: a path may hold another file now."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._there: list[int] = []  # the status of the file when it was read
        self._known = self._read()
        self._new: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """What is known of a path; None if nothing is."""
        return self._new[name] if name in self._new else self._known.get(name)

    def keep(self, name: str, value: Any) -> None:
        """Remember something of a path; `save` writes it."""
        if self.get(name) != value:
            self._new[name] = value

    def forget(self, name: str) -> None:
        """Remove what is known of a path at once: it was found wrong."""
        self._read_again()
        self._new.pop(name, None)
        if self._known.pop(name, None) is not None:
            self._write(self._known)

    def save(self) -> None:
        """Write what is new, beside what other processes wrote meanwhile. What is about paths that are gone is dropped."""
        if not self._new or not self._file.parent.is_dir():  # a dry run in a new project leaves nothing
            return
        self._read_again()
        kept = {name: value for name, value in self._known.items() if name in self._new or os.path.lexists(name)}
        self._known, self._new = {**kept, **self._new}, {}
        self._write(self._known)

    def _read(self) -> dict[str, Any]:
        try:
            self._there = self._status()
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    def _read_again(self) -> None:
        """Read the file again if another process wrote it meanwhile."""
        try:
            now = self._status()
        except OSError:
            return
        if now != self._there:
            self._known = self._read()

    def _status(self) -> list[int]:
        at = self._file.stat()
        return [at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino]

    def _write(self, known: dict[str, Any]) -> None:
        with suppress(OSError, LitekilnError):
            write_whole(self._file, json.dumps(known).encode())
            self._there = self._status()
