"""Hashes of files that seldom change, kept between runs: a thousand pictures need not be read again to see that nothing changed."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from litekiln.hashing import sha256_file


class FileHashes:
    """By path, size, time of change and inode: whoever changes a file changes one of them."""

    def __init__(self, state: Path) -> None:
        self._path = state / "hashes.json"
        self._known = self._load()
        self._asked: dict[str, list[int | str]] = {}

    def _load(self) -> dict[str, list[int | str]]:
        try:
            known: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def sha256(self, path: Path) -> str:
        status = path.stat()
        signature = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        name = str(path.resolve())
        before = self._known.get(name)
        digest = str(before[-1]) if before and before[:-1] == signature else sha256_file(path)
        self._asked[name] = [*signature, digest]
        return digest

    def save(self) -> None:
        """Keep what is new. Losing it costs time and nothing else."""
        merged = {**self._known, **self._asked}
        if merged != self._known:
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                staged = self._path.with_suffix(f".{os.getpid()}")
                staged.write_text(json.dumps(merged), encoding="utf-8")
                staged.replace(self._path)
