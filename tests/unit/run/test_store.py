import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def _rewrite(entry: Entry, old: str, new: str) -> None:
    text = (entry.folder / "entry.json").read_text(encoding="utf-8")
    assert old in text
    (entry.folder / "entry.json").write_text(text.replace(old, new), encoding="utf-8")


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
        (lambda e: _rewrite(e, '"engine":"test"', '"engine":"best"'), "entry.json has changed since it was stored", False),
        (lambda e: _rewrite(e, f'"key":"{KEY}",', ""), "entry.json can't be read ('key')", False),
        (lambda e: _rewrite(e, '"record_sha256"', '"another"'), "entry.json can't be read ('record_sha256')", False),
        (lambda e: (e.folder / "result.json").write_text('{"size": 8}'), "result.json has changed since it was stored", False),
    ],
)
def test_a_corrupt_entry_says_what_is_wrong(
    tmp_path: Path, entry: Entry, damage: Callable[[Entry], None], message: str, thorough: bool
) -> None:
    damage(entry)
    with pytest.raises(StoreCorrupt) as caught:
        Store(tmp_path).get(KEY, thorough=thorough)
    assert f"store entry {KEY[:12]} is corrupt: {message}" in caught.value.what


def test_an_entry_in_the_place_of_another_is_corrupt(tmp_path: Path, entry: Entry) -> None:
    other = "o" * 64
    shutil.copytree(entry.folder, entry.folder.with_name(other))
    with pytest.raises(StoreCorrupt, match=rf"store entry {other[:12]} is corrupt: it is that of another step, {KEY[:12]}"):
        Store(tmp_path).get(other)


def test_an_entry_of_an_older_litekiln_is_taken(tmp_path: Path, entry: Entry) -> None:
    record = json.loads((entry.folder / "entry.json").read_text(encoding="utf-8"))
    old = {name: value for name, value in record.items() if name != "record_sha256"}
    (entry.folder / "entry.json").write_text(json.dumps({**old, "format": 1}), encoding="utf-8")
    assert Store(tmp_path).get(KEY, thorough=True)


def test_a_record_with_the_same_content_in_another_form_is_taken(tmp_path: Path, entry: Entry) -> None:
    record = entry.folder / "entry.json"
    record.write_text(json.dumps(json.loads(record.read_text()), indent=1))
    assert Store(tmp_path).get(entry.key)


def test_a_link_in_an_output_is_refused(tmp_path: Path) -> None:
    staged = _stage(tmp_path)
    (staged / "files" / "link").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match="not a plain file: files/link"):
        Store(tmp_path).add(KEY, staged, {})
    assert Store(tmp_path).get(KEY) is None


def test_discarding_removes_the_whole_entry(tmp_path: Path, entry: Entry) -> None:
    assert Store(tmp_path).discard(KEY)
    assert list((tmp_path / "store").iterdir()) == []
    assert Store(tmp_path).discard(KEY)


def test_an_entry_that_was_used_meanwhile_is_not_discarded(tmp_path: Path, entry: Entry) -> None:
    """Another process finds it between the look of `inv clean` and its removal."""
    began = time.time()
    Store(tmp_path).get(KEY)
    assert not Store(tmp_path).discard(KEY, used_since=began - 1)
    assert Store(tmp_path).get(KEY, thorough=True) == entry
    os.utime(entry.folder, (began - 9, began - 9))
    assert Store(tmp_path).discard(KEY, used_since=began - 1)
    assert KEY not in Store(tmp_path)


def test_who_reads_an_entry_that_is_made_again_reads_on(tmp_path: Path, entry: Entry) -> None:
    store = Store(tmp_path)
    with (entry.files / "deep" / "model.bin").open("rb") as reader, _opened(entry.folder) as folder:
        staged = _stage(tmp_path)
        (staged / "files" / "deep" / "model.bin").write_bytes(b"other")
        store.add(KEY, staged, {})
        assert (Path(f"/proc/self/fd/{folder}") / "files" / "deep" / "model.bin").read_bytes() == b"weights"  # a container's view
        assert reader.read() == b"weights"
    assert (entry.files / "deep" / "model.bin").read_bytes() == b"other"
    assert list(store) == [KEY]
    store.sweep()
    assert [path.name for path in store.root.iterdir()] == [KEY]


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def test_entries_are_exchanged_where_the_system_can_not_do_it_in_one_step(
    tmp_path: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    staged = _stage(tmp_path)
    (staged / "files" / "more").write_text("x")
    assert (Store(tmp_path).add(KEY, staged, {}).files / "more").exists()
    Store(tmp_path).sweep()
    assert [path.name for path in (tmp_path / "store").iterdir()] == [KEY]


def test_a_power_cut_leaves_no_entry_with_half_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an entry holds is on the disk before its name is, and the name before the run goes on."""
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(handle: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{handle}").readlink()).removeprefix(f"{tmp_path}/"))
        sync(handle)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    Store(tmp_path).add(KEY, _stage(tmp_path), {})
    inside = {"staged", "staged/files", "staged/files/deep", "staged/files/deep/model.bin"}
    assert set(done[: done.index("rename")]) == inside | {f"staged/{name}" for name in ("result.json", "log.txt", "entry.json")}
    assert done[done.index("rename") :] == ["rename", "store"]


def test_a_disk_that_can_not_sync_is_no_error_and_a_failing_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", lambda _: refuse(errno.EINVAL))
    Store(tmp_path).add(KEY, _stage(tmp_path), {})
    monkeypatch.setattr(os, "fsync", lambda _: refuse(errno.EIO))
    with pytest.raises(StoreError, match=r"the disk of .* failed: Input/output error"):
        Store(tmp_path).add("b" * 64, _stage(tmp_path), {})
    assert list(Store(tmp_path)) == [KEY]


def test_entries_of_a_store_that_can_not_be_written_are_read(tmp_path: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refuse)
    assert Store(tmp_path).get(KEY) == entry


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
