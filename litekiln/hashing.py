"""Hashes of files, trees and values. They decide whether work is done again."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError
from litekiln.plain_files import plain_file, unreadable
from litekiln.remembered import Remembered

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


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def sha256_value(value: object) -> str:
    return sha256_bytes(canonical_json(value).encode())


def files_below(folder: Path, *, links: bool = False) -> Iterator[Path]:
    """Every file below a folder, in the same order on every machine, without Python's cache files.

    `links` enters folders that are links, as a program that reads the folder would.
    """
    return (folder / name for name in names_below(folder, links=links))


def names_below(folder: Path, *, links: bool = False) -> Iterator[str]:
    """The same as texts, relative to the folder: a store has so many files that paths take most of the time."""
    return _names_below(str(folder), "", links=links)


def _names_below(folder: str, below: str, *, links: bool) -> Iterator[str]:
    names, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_folder(entry):
                    folders.append((entry.name, entry.is_symlink()))
                else:
                    names.append(entry.name)
    except OSError:  # it is gone, or may not be read
        return
    folders = sorted(each for each in folders if each[0] != "__pycache__")
    for name, _ in folders if links else ():
        _refuse_circle(Path(folder, name))
    yield from (f"{below}{name}" for name in sorted(names) if not name.endswith(".pyc"))
    for name, link in folders:
        if links or not link:
            yield from _names_below(f"{folder}/{name}", f"{below}{name}/", links=links)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


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


def file_status(status: os.stat_result) -> list[int]:
    """What tells two states of a file apart: any change to a file changes its size, one of its times, or its inode."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def is_young(status: os.stat_result) -> bool:
    """Whether a file has changed so lately that another change could leave its times as they are: the clock has steps."""
    return time.time_ns() - status.st_ctime_ns < CLOCK_STEP


class FileHashes:
    """Known hashes of files, by path and status. A young file is not remembered, but while the object lives."""

    def __init__(self, state: Path) -> None:
        self._remembered = Remembered(state / "hashes.json")
        self._young: dict[str, list[int | str]] = {}
        self._folders: dict[Path, str] = {}  # where each folder really is

    def sha256(self, path: Path) -> str:
        """A file's hash. Raises SourceError for what is no plain file, or can't be read."""
        name = self._name(path)
        before = self._young.get(name) or self._remembered.get(name)
        status = _status(path) if before else None
        if not status or not _is_of(before, status):
            status = plain_file(path)
            young, before = is_young(status), [*file_status(status), _read(path)]
            if young:
                self._young[name] = before
            else:
                self._young.pop(name, None)
                self._remembered.keep(name, before)
        return str(before[-1])

    def forget(self, path: Path) -> None:
        """Have a file read again next time: what is known of it was found wrong."""
        self._remembered.forget(self._name(path))

    def save(self) -> None:
        """Save the new hashes. Losing them costs only time."""
        self._remembered.save()

    def _name(self, path: Path) -> str:
        folder = self._folders.get(path.parent)
        if folder is None:
            folder = self._folders[path.parent] = os.path.realpath(path.parent)
        return f"{folder}/{path.name}"


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _is_of(known: Any, status: os.stat_result) -> bool:
    """Whether what is known of a file is about the one that has this status."""
    return isinstance(known, list) and known[:-1] == file_status(status) and isinstance(known[-1], str)
