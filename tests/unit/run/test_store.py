import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.disk import saying_disk_full
from litekiln.errors import DiskFull, StoreCorrupt, StoreError
from litekiln.run.store import Entry, Store

KEY = "k" * 64


def _stage(tmp_path: Path) -> Path:
    staged = tmp_path / "staged"
    (staged / "files" / "deep").mkdir(parents=True)
    (staged / "files" / "deep" / "model.bin").write_bytes(b"weights")
    (staged / "result.json").write_text('{"size": 7}', encoding="utf-8")
    (staged / "log.txt").write_text("a line\n", encoding="utf-8")
    return staged


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Store(tmp_path).add(KEY, _stage(tmp_path), {"engine": "test"})


def test_an_entry_comes_back_as_it_was_stored(tmp_path: Path, entry: Entry) -> None:
    found = Store(tmp_path).get(KEY, thorough=True)
    assert found == entry
    assert found
    assert found.result() == {"size": 7}
    assert found.record()["engine"] == "test"
    assert (found.files / "deep" / "model.bin").read_bytes() == b"weights"
    assert list(Store(tmp_path)) == [KEY]
    assert not (tmp_path / "staged").exists()


def test_an_unknown_key_is_none(tmp_path: Path) -> None:
    assert Store(tmp_path).get(KEY) is None


def _same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("damage", "message", "thorough"),
    [
        (lambda e: (e.files / "deep" / "model.bin").unlink(), "files/deep/model.bin is missing", False),
        (lambda e: (e.files / "deep" / "model.bin").write_bytes(b"w"), "files/deep/model.bin is 1 bytes, was 7", False),
        (
            lambda e: (e.files / "deep" / "model.bin").write_bytes(b"WEIGHTS"),
            "files/deep/model.bin has changed since it was stored",
            False,
        ),
        (
            lambda e: _same_size_and_time(e.files / "deep" / "model.bin"),
            "files/deep/model.bin has changed since it was stored",
            True,
        ),
        (lambda e: (e.files / "more").write_bytes(b""), "files/more was added", False),
        (lambda e: (e.folder / "entry.json").write_text("{"), "entry.json can't be read", False),
        (lambda e: (e.folder / "entry.json").unlink(), "entry.json can't be read", False),
        (lambda e: (e.folder / "entry.json").write_text("null"), "entry.json can't be read", False),
        (lambda e: (e.folder / "entry.json").write_text('{"files": 5}'), "entry.json can't be read", False),
    ],
)
def test_a_corrupt_entry_says_what_is_wrong(
    tmp_path: Path, entry: Entry, damage: Callable[[Entry], None], message: str, thorough: bool
) -> None:
    damage(entry)
    with pytest.raises(StoreCorrupt) as caught:
        Store(tmp_path).get(KEY, thorough=thorough)
    assert f"store entry {KEY[:12]} is corrupt: {message}" in caught.value.what


def test_a_link_in_an_output_is_refused(tmp_path: Path) -> None:
    staged = _stage(tmp_path)
    (staged / "files" / "link").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match="not a plain file: files/link"):
        Store(tmp_path).add(KEY, staged, {})
    assert Store(tmp_path).get(KEY) is None


def test_discarding_removes_the_whole_entry(tmp_path: Path, entry: Entry) -> None:
    left = tmp_path / "store" / f".{KEY}.{os.getpid()}" / "files"  # by one who was killed while discarding
    left.mkdir(parents=True)
    Store(tmp_path).discard(KEY)
    assert list((tmp_path / "store").iterdir()) == []


def test_somebody_waiting_for_a_key_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store(tmp_path)
    with store.lock(KEY, waiting=lambda: told.append("waits")):
        assert told == []
    from threading import Thread

    with store.lock(KEY):
        waiter = Thread(target=lambda: store.lock(KEY, waiting=lambda: told.append("waits")).__enter__(), daemon=True)
        waiter.start()
        waiter.join(0.5)
    waiter.join(5)
    assert told == ["waits"]


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOSPC, DiskFull, "no space left on the disk of"),
        (errno.EDQUOT, DiskFull, "no space left on the disk of"),
        (errno.EACCES, StoreError, "can't write below"),
        (errno.EROFS, StoreError, "can't write below"),
    ],
)
def test_the_systems_refusals_become_words(tmp_path: Path, number: int, kind: type[StoreError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, saying_disk_full(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.remedy


def test_a_lock_in_somebody_elses_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `sudo inv images` leaves one behind."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("litekiln.disk.FileLock.acquire", refuse)
    with pytest.raises(StoreError, match=r"can't write below .*locks: Permission denied") as caught, Store(tmp_path).lock(KEY):
        pass
    assert caught.value.remedy == "give it back to your user, or set LITEKILN_HOME to a folder of yours"


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), saying_disk_full(tmp_path):
        raise FileNotFoundError


def test_a_read_only_store_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    store = Store(tmp_path)
    staged = tmp_path / "staged"
    (staged / "files").mkdir(parents=True)
    store.add("a" * 64, staged, {})
    monkeypatch.setattr(os, "utime", refuse)
    assert store.get("a" * 64)
