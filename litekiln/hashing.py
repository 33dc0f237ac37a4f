"""Hashes of files, trees and values. They decide whether work is done again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from litekiln.plain_files import plain_file, unreadable


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file; the hash of the bytes that were copied."""
    digest = hashlib.sha256()
    with source.open("rb") as stream, target.open("wb") as copy:
        while block := stream.read(1 << 20):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_value(value: object) -> str:
    return sha256_bytes(canonical_json(value).encode())


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in the same order on every machine, without Python's cache files."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield Path(root) / name


def sha256_paths(paths: Iterable[Path], *, root: Path, hash_file: Callable[[Path], str] = sha256_file) -> str:
    """One hash over files by their path below `root` and their content."""
    return sha256_value([[path.relative_to(root).as_posix(), hash_file(path)] for path in sorted(paths)])


def sha256_tree(path: Path, hash_file: Callable[[Path], str] = sha256_file) -> str:
    """A file's hash, or one hash over a whole folder."""
    return sha256_paths(files_below(path), root=path, hash_file=hash_file) if path.is_dir() else hash_file(path)


class FileHashes:
    """Known hashes of files, by path, size, time of change and inode: any change to a file changes one of these."""

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
        """A file's hash. Raises SourceError for what is no plain file, or can't be read."""
        status = plain_file(path)
        signature = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        name = str(path.resolve())
        before = self._known.get(name)
        try:
            digest = str(before[-1]) if before and before[:-1] == signature else sha256_file(path)
        except OSError as error:
            raise unreadable(path, error) from None
        self._asked[name] = [*signature, digest]
        return digest

    def save(self) -> None:
        """Save the new hashes. Losing them costs only time."""
        merged = {**self._known, **self._asked}
        if merged != self._known and self._path.parent.is_dir():  # a dry run in a new project leaves nothing
            with suppress(OSError):
                staged = self._path.with_suffix(f".{os.getpid()}")
                staged.write_text(json.dumps(merged), encoding="utf-8")
                staged.replace(self._path)
