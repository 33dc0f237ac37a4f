"""`inv clean`: what goes, and what stays because another process may be using it. Another `Lease` stands for that process."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from litekiln.commands import clean as cleaning
from litekiln.commands.clean import CleanRequest, clean, clean_downloads, clean_environments, clean_store
from litekiln.disk import waiting_lock
from litekiln.engines.cleaning import clean_docker
from litekiln.errors import StoreError
from litekiln.fetch.fetch import lock_of
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.run.store import Store
from litekiln.terminal import Reporter

SIZE = 1000
OLD = 100 * 86400


@pytest.fixture
def keys(project: Project) -> list[str]:
    """Nine entries, each a day older than the one before; the first was used 100 days ago."""
    store, names = Store(project.state), [f"{number}" * 64 for number in range(1, 10)]
    for age, key in enumerate(names):
        staged = project.state / "staging" / "made" / key
        (staged / "files").mkdir(parents=True)
        (staged / "files" / "content").write_bytes(bytes(SIZE))
        store.add(key, staged, {})
        moment = time.time() - OLD - age * 86400
        os.utime(store.root / key, (moment, moment))
    return names


def _clean(project: Project, *, days: float | None = None, gigabytes: float | None = None, dry_run: bool = False) -> int:
    with Lease(project.state) as lease:
        return len(list(clean_store(project, lease, older_than_days=days, max_gigabytes=gigabytes, dry_run=dry_run)))


def test_clean_by_age(project: Project, keys: list[str]) -> None:
    assert _clean(project, days=100.5, dry_run=True) == 8
    assert list(Store(project.state)) == keys
    assert _clean(project, days=100.5) == 8
    assert list(Store(project.state)) == keys[:1]


def test_clean_by_size_takes_the_least_recently_used_first(project: Project, keys: list[str]) -> None:
    _clean(project, gigabytes=4 * SIZE / 1e9)
    left = list(Store(project.state))
    assert 0 < len(left) < 9
    assert left == keys[: len(left)]


def test_clean_leaves_what_is_in_use(project: Project, keys: list[str]) -> None:
    with Store(project.state).lock(keys[0]):
        assert _clean(project, days=1) == 8
    assert list(Store(project.state)) == keys[:1]


def test_clean_leaves_what_another_process_has_used_since_it_began(project: Project, keys: list[str]) -> None:
    with Lease(project.state):
        Store(project.state).get(keys[1])
        assert _clean(project, gigabytes=0) == 8
    assert list(Store(project.state)) == [keys[1]]
    assert _clean(project, gigabytes=0) == 1


def test_clean_leaves_what_another_process_uses_while_it_counts(
    project: Project, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process begins, and finds an entry up to date, after the entries were listed."""
    began: list[Lease] = []
    count = cleaning.folder_size

    def counted(folder: Path) -> int:
        if not began:
            began.append(Lease(project.state).__enter__())
            Store(project.state).get(keys[3])
        return count(folder)

    monkeypatch.setattr(cleaning, "folder_size", counted)
    assert _clean(project, gigabytes=0) == 8
    assert list(Store(project.state)) == [keys[3]]
    began[0].__exit__()


def test_an_entry_that_another_clean_took_is_no_error(project: Project, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    store, use = Store(project.state), Store.last_use

    def taken(self: Store, key: str) -> float | None:
        if key == keys[2]:
            store.discard(key)
        return use(self, key)

    monkeypatch.setattr(Store, "last_use", taken)
    assert _clean(project, gigabytes=0) == 8


def test_clean_takes_the_downloads_and_says_so(project: Project) -> None:
    project.downloads.mkdir(parents=True)
    (project.downloads / "zoo.tar.gz").write_bytes(b"12345")
    with Lease(project.state) as lease:
        assert [each.what for each in clean_downloads(project, lease, dry_run=True)] == ["download zoo.tar.gz"]
        assert [each.size for each in clean_downloads(project, lease, dry_run=False)] == [5]
    assert list(project.downloads.glob("[!.]*")) == []


def test_clean_takes_downloads_of_one_name_and_leaves_what_is_being_fetched(project: Project) -> None:
    busy, mine = "b" * 16, project.downloads / "mine"
    for place, size in (("a" * 16, 5), (busy, 7), ("c" * 16, 9)):
        (project.downloads / place).mkdir(parents=True)
        (project.downloads / place / "zoo.tar.gz").write_bytes(b"1" * size)
        (project.downloads / place / ".zoo.tar.gz.first-use.json").write_bytes(b"{}")
    (project.downloads / ".locks").mkdir()
    mine.mkdir()
    (project.downloads / ("d" * 16)).symlink_to(mine)
    with Lease(project.state) as lease, waiting_lock(lock_of(project.downloads / busy)):
        found = [(each.what, each.size) for each in clean_downloads(project, lease, dry_run=False)]
    assert found == [("download zoo.tar.gz", 7), ("download zoo.tar.gz", 11)]
    assert sorted(path.name for path in project.downloads.glob("[!.]*")) == [busy, "d" * 16, "mine"]


def test_an_environment_stays_when_another_process_begins(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old-1", "old-2"):
        (project.state / "envs" / name).mkdir(parents=True)
    with Lease(project.state) as lease:
        going = clean_environments(project, lease, everything=True, dry_run=False)
        assert next(going).what == "environment old-1"
        with Lease(project.state):
            assert list(going) == []
    assert [path.name for path in (project.state / "envs").iterdir()] == ["old-2"]


def test_while_another_process_works_what_it_may_use_is_kept(
    project: Project, keys: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cleaning, "clean_docker", lambda *_, **__: iter(()))
    project.downloads.mkdir(parents=True)
    for name in ("zoo.tar.gz", "other.tar.gz.part"):
        (project.downloads / name).write_bytes(b"12345")
    environment = project.state / "envs" / "tiny-0"
    environment.mkdir(parents=True)
    with Lease(project.state) as other:
        Store(project.state).get(keys[4])
        told = clean(Reporter(), project, CleanRequest(everything=True))
        assert other.staging.is_dir()
    assert [each["what"] for each in told["removed"]] == [
        "staging folder made",
        *(f"store entry {key[:12]}" for key in reversed(keys) if key != keys[4]),
    ]
    assert (
        "another litekiln is at work: environments, downloads and images are kept, "
        "and the store entries that were used since it began"
    ) in capsys.readouterr().out
    told = clean(Reporter(), project, CleanRequest(everything=True))
    assert [each["what"] for each in told["removed"]] == [
        "download other.tar.gz.part",
        "download zoo.tar.gz",
        f"store entry {keys[4][:12]}",
        "environment tiny-0",
    ]
    assert "at work" not in capsys.readouterr().out


class _Images:
    """Docker's images: `busy` has a container of another checkout."""

    class _Image:
        def __init__(self, tag: str) -> None:
            self.tags, self.attrs = [tag], {"Size": 7}

    def __init__(self) -> None:
        self.images = self
        self.tags = ["litekiln/toolchain:a", "litekiln/toolchain:busy", "litekiln/toolchain:gone"]
        self.removed: list[str] = []

    def list(self, _: str) -> "list[_Images._Image]":
        return [self._Image(tag) for tag in self.tags]

    def remove(self, tag: str) -> None:
        if tag.endswith("busy"):
            msg = "conflict"
            raise APIError(msg, explanation="a container uses it")
        if tag.endswith("gone"):
            msg = "no such image"
            raise ImageNotFound(msg)
        self.removed.append(tag)


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> _Images:
    found = _Images()

    @contextmanager
    def connected() -> Iterator[Any]:
        yield found

    monkeypatch.setattr("litekiln.engines.cleaning.connect", connected)
    monkeypatch.setattr("litekiln.engines.cleaning.sweep", lambda *_: [])
    return found


def test_an_image_that_docker_keeps_is_named_and_the_others_go(project: Project, images: _Images) -> None:
    said: list[str] = []
    with Lease(project.state) as lease:
        gone = list(clean_docker(project, lease, images=True, everything=True, dry_run=False, say=said.append))
    assert [each.what for each in gone] == ["image litekiln/toolchain:a", "image litekiln/toolchain:gone"]
    assert said == ["image litekiln/toolchain:busy was kept: a container uses it"]


def test_images_stay_while_another_process_works(project: Project, images: _Images) -> None:
    with Lease(project.state) as lease, Lease(project.state):
        assert list(clean_docker(project, lease, images=True, everything=True, dry_run=False, say=pytest.fail)) == []
    assert images.removed == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("place", ["leases", "staging", "store"])
def test_a_state_folder_that_cannot_be_written_is_named(
    project: Project, keys: list[str], monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    monkeypatch.setattr(cleaning, "clean_docker", lambda *_, **__: iter(()))

    def refuse(name: str) -> None:
        real = getattr(Path, name)

        def refused(self: Path, *rest: Any, **options: Any) -> Any:
            if place in self.parts:
                raise OSError(number, os.strerror(number), str(self))
            return real(self, *rest, **options)

        monkeypatch.setattr(Path, name, refused)

    refuse("mkdir")
    refuse("rename")
    with pytest.raises(StoreError, match=f"can't write below {project.state}: {os.strerror(number)}") as caught:
        clean(Reporter(), project, CleanRequest(everything=True))
    assert "set LITEKILN_HOME to a folder of yours" in caught.value.remedy
