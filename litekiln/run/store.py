"""The store: outputs of finished steps under `.litekiln/store/<key>`. They are staged, hashed and then renamed into place.

An entry is stored whole or not at all. It holds `files/` (the step's output), `result.json`, `log.txt` and `entry.json`, which
lists every file with its hash, and has a hash of itself.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from litekiln.disk import saying_disk_full, swap, sync, sync_tree, waiting_lock
from litekiln.errors import StoreCorrupt, StoreError
from litekiln.hashing import canonical_json, files_below, names_below, sha256_bytes, sha256_file, sha256_value

FORMAT = 2
UNSEALED = 1  # older entries don't say what their entry.json was
SEAL = "record_sha256"
MADE = "files/"


@dataclass(frozen=True)
class Entry:
    """One finished step."""

    key: str
    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def result(self) -> dict[str, Any]:
        return self._result

    def record(self) -> dict[str, Any]:
        return self._record[0]

    @property
    def sealed(self) -> bool:
        """Whether the record is as it was stored, as far as it says so."""
        return self._record[1]

    def made(self) -> dict[str, str]:
        """The hashes of the files that the step made, by name."""
        files: dict[str, dict[str, str]] = self.record()["files"]
        return {name.removeprefix(MADE): each["sha256"] for name, each in files.items() if name.startswith(MADE)}

    @cached_property
    def _result(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(_text(f"{self.folder}/result.json"))
        return value

    @cached_property
    def _record(self) -> tuple[dict[str, Any], bool]:
        text = _text(f"{self.folder}/entry.json")
        value: dict[str, Any] = json.loads(text)
        return value, _is_sealed(value, text)


def _text(path: str) -> str:
    """The text of a small file. A build that is up to date reads tens of thousands, and Path takes three times as long."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        return stream.read().decode()


class Store:
    """Entries by key, with one lock per key."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.root = state / "store"

    def get(self, key: str, *, thorough: bool = False) -> Entry | None:
        """The entry, or None. Raises StoreCorrupt if it was changed since it was stored."""
        folder = self.root / key
        try:
            os.utime(folder)  # last use. Before anything is read: from here on `inv clean` of another process leaves it
        except FileNotFoundError:
            return None
        except PermissionError:
            pass  # somebody else's store, which nobody here can clean either
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
        entry = Entry(key=key, folder=folder)
        _check(entry, thorough=thorough)
        return entry

    def add(self, key: str, staged: Path, record: dict[str, Any]) -> Entry:
        """The entry made of a staged folder (files/, result.json, log.txt). The caller holds the key's lock."""
        with saying_disk_full(self.state):
            files = {path.relative_to(staged).as_posix(): _signature(path) for path in _sealed_files(staged)}
            value = {"format": FORMAT, "key": key, "files": files, **record}
            text = canonical_json({**value, SEAL: sha256_value(value)})
            (staged / "entry.json").write_text(text, encoding="utf-8")
            self.root.mkdir(parents=True, exist_ok=True)
            sync_tree(staged)  # after a power cut, an entry under its name must be whole
            place = self.root / key
            if place.exists():
                swap(staged, place)  # at no moment is there no entry: another process may be reading it
                staged.rename(self._hidden(key))
            else:
                staged.rename(place)
            sync(self.root)
        return Entry(key=key, folder=place)

    def last_use(self, key: str) -> float | None:
        """When an entry was made or used last; None if it is gone."""
        try:
            return (self.root / key).stat().st_mtime
        except FileNotFoundError:
            return None

    def _hidden(self, key: str) -> Path:
        return self.root / f".{key}.{os.urandom(8).hex()}"

    def retire(self, key: str) -> None:
        """Take an entry away, for another one to be made. A process that found it goes on reading it until `sweep`."""
        with saying_disk_full(self.state), suppress(FileNotFoundError):
            (self.root / key).rename(self._hidden(key))

    def discard(self, key: str, *, used_since: float | None = None) -> bool:
        """Remove an entry, unless it was used since. It is renamed first, so that no process sees half of it."""
        folder, doomed = self.root / key, self._hidden(key)
        try:
            folder.rename(doomed)
        except FileNotFoundError:
            return True
        if used_since is not None and doomed.stat().st_mtime >= used_since:  # another process found it just before
            doomed.rename(folder)
            return False
        shutil.rmtree(doomed, ignore_errors=True)
        return True

    def sweep(self) -> None:
        """Remove what was retired, and what killed processes left. Only when no other process is running: it may read them."""
        for doomed in self.root.glob(".*"):
            shutil.rmtree(doomed, ignore_errors=True)

    def __iter__(self) -> Iterator[str]:
        """All keys."""
        return iter(self._keys())

    def __contains__(self, key: str) -> bool:
        return os.path.isdir(f"{self.root}/{key}")  # noqa: PTH112 - a dry run asks for thousands

    def _keys(self) -> list[str]:
        return sorted(path.name for path in self.root.glob("[!.]*") if path.is_dir())

    @contextmanager
    def lock(self, key: str, *, waiting: Any = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the key's lock. `waiting()` is called once when another process holds it; `stopped()` tells when to give up."""
        with waiting_lock(self.lock_path(key), waiting, stopped):
            yield

    def lock_path(self, key: str) -> Path:
        folder = self.state / "locks"
        with saying_disk_full(self.state):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key}.lock"


def _sealed_files(staged: Path) -> list[Path]:
    """Every file of an entry. Links and devices are refused."""
    paths = list(files_below(staged))
    for path in paths:
        if not stat.S_ISREG(path.lstat().st_mode):
            msg = f"a step left something that is not a plain file: {path.relative_to(staged)}"
            raise StoreError(msg, cause="a mistake in the step's program", remedy="report it, with the step's log")
    return paths


def _signature(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"sha256": sha256_file(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _check(entry: Entry, *, thorough: bool) -> None:
    """Compare the entry with its record: sizes and times always, hashes if the time differs or if `thorough`."""
    try:
        record = entry.record()
        files = dict(record["files"])
        key, sealed = record["key"], entry.sealed
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _corrupt(entry, f"entry.json can't be read ({error})") from None
    if not sealed:
        raise _corrupt(entry, "entry.json has changed since it was stored")
    if key != entry.key:
        raise _corrupt(entry, f"it is that of another step, {str(key)[:12]}")
    folder = str(entry.folder)  # paths would take most of this check's time
    for name, was in files.items():
        path = f"{folder}/{name}"
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            raise _corrupt(entry, f"{name} is missing") from None
        if status.st_size != was["size"]:
            raise _corrupt(entry, f"{name} is {status.st_size} bytes, was {was['size']}")
        if (thorough or status.st_mtime_ns != was["mtime_ns"]) and sha256_file(Path(path)) != was["sha256"]:
            raise _corrupt(entry, f"{name} has changed since it was stored")
    extra = set(names_below(entry.folder)) - set(files) - {"entry.json"}
    if extra:
        raise _corrupt(entry, f"{min(extra)} was added")


def _is_sealed(record: dict[str, Any], text: str) -> bool:
    """Whether the hash in a record is that of the rest, which is the text that `add` writes, but for the hash itself."""
    if record["format"] == UNSEALED:
        return True
    rest = text.replace(f'"{SEAL}":"{record[SEAL]}",', "", 1)
    return bool(record[SEAL] == sha256_bytes(rest.encode()) or record[SEAL] == _seal(record))


def _seal(record: dict[str, Any]) -> str:
    return sha256_value({name: value for name, value in record.items() if name != SEAL})


def _corrupt(entry: Entry, what: str) -> StoreCorrupt:
    msg = f"store entry {entry.key[:12]} is corrupt: {what}"
    cause = "somebody edited the store, or the disk is failing"
    return StoreCorrupt(msg, cause=cause, remedy="nothing: it is made again; `inv doctor --store` checks all entries")
