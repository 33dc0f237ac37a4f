"""Hashes of files, trees and values. They decide whether work is done again."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from litekiln.disk import write_whole
from litekiln.errors import LitekilnError, SourceError
from litekiln.plain_files import plain_file, unreadable

CLOCK_STEP = 20_000_000  # ns: how far apart two changes of a file must be for its times to differ, on a slow clock


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


def files_below(folder: Path, *, links: bool = False) -> Iterator[Path]:
    """Every file below a folder, in the same order on every machine, without Python's cache files.

    `links` enters folders that are links, as a program that reads the folder would.
    """
    for root, folders, names in os.walk(folder, followlinks=links):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        if links:
            for name in folders:
                _refuse_circle(Path(root, name))
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield Path(root) / name


def _refuse_circle(folder: Path) -> None:
    if folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve()):
        msg = f"{folder} is a link to a folder that holds it"
        raise SourceError(msg, cause="what is below it has no end", remedy="remove the link")


def sha256_paths(paths: Iterable[Path], *, root: Path) -> str:
    """One hash over files by their path below `root` and their content."""
    return sha256_named({path.relative_to(root).as_posix(): sha256_file(path) for path in sorted(paths)})


def sha256_named(files: Mapping[str, str]) -> str:
    """One hash over files of known hashes, by their names below a folder. The order counts."""
    return sha256_value([[name, digest] for name, digest in files.items()])


def _read(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise unreadable(path, error) from None


class FileHashes:
    """Known hashes of files, by path, size, time of change and inode: any change to a file changes one of these.

    Any but one: a change so soon after another that the system's clock has not moved on. So young files are not remembered.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "hashes.json"
        self._known = self._load()
        self._asked: dict[str, list[int | str]] = {}
        self._young: set[str] = set()

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
        before = self._asked.get(name) or self._known.get(name)
        digest = str(before[-1]) if before and before[:-1] == signature else ""
        if not digest:
            if time.time_ns() - status.st_ctime_ns < CLOCK_STEP:
                self._young.add(name)
            digest = _read(path)
        self._asked[name] = [*signature, digest]
        return digest

    def forget(self, path: Path) -> None:
        """Have a file read again next time: what is known of it was found wrong."""
        self._known.pop(str(path.resolve()), None)
        self._write(self._known)

    def save(self) -> None:
        """Save the new hashes. Losing them costs only time."""
        merged = {**self._known, **{name: seen for name, seen in self._asked.items() if name not in self._young}}
        if merged != self._known and self._path.parent.is_dir():  # a dry run in a new project leaves nothing
            self._write(merged)

    def _write(self, known: dict[str, list[int | str]]) -> None:
        with suppress(OSError, LitekilnError):
            write_whole(self._path, json.dumps(known).encode())
