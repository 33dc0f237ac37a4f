"""What goes into a container that stays, and what comes out of it."""

import os
from pathlib import Path

import pytest
from docker.errors import NotFound
from requests.exceptions import ConnectionError  # noqa: A004 - this is the one that docker's SDK raises

from litekiln.engines import served_in_docker
from litekiln.engines.base import Job, LineSink, Outcome, Stop
from litekiln.engines.served_in_docker import ALONE, Containers, _lay_out, _Serving, _take_out


def test_an_output_that_was_replaced_by_a_link_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    """A step may rename the folder that its output lies in, and put a link to a folder of the user's in its place."""
    for name in ("out", "theirs", "output"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "kept").touch()
    opened = os.open(tmp_path / "out", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "out" / "result.json").touch()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").symlink_to(tmp_path / "theirs")
    _take_out(opened, tmp_path / "output")
    os.close(opened)
    assert sorted(os.listdir(tmp_path / "output")) == ["link", "result.json"]  # noqa: PTH208
    assert (tmp_path / "output" / "link").is_symlink()
    assert (tmp_path / "theirs" / "kept").exists()


def test_a_box_is_laid_out_of_second_names(tmp_path: Path) -> None:
    """The store is not copied. A link becomes what it leads to: a container could not follow it."""
    (tmp_path / "entry" / "deep").mkdir(parents=True)
    (tmp_path / "entry" / "deep" / "data").write_text("x")
    (tmp_path / "entry" / "link").symlink_to("deep/data")
    job = Job(("python", "x.py"), {"in/a": tmp_path / "entry", "b": tmp_path / "entry" / "link"}, tmp_path, tmp_path, 1, "test")
    _lay_out(job, tmp_path / "box", "/outs/1")
    box = tmp_path / "box"
    original = (tmp_path / "entry" / "deep" / "data").stat().st_ino
    for name in ("in/a/deep/data", "in/a/link", "b"):
        assert not (box / name).is_symlink()
        assert (box / name).stat().st_ino == original
    assert (box / "out").readlink() == Path("/outs/1")


def test_a_file_that_can_not_have_a_second_name_is_copied(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("litekiln.engines.served_in_docker.os.link", refuse)
    (tmp_path / "data").write_text("x")
    job = Job(("python", "x.py"), {"in/data": tmp_path / "data"}, tmp_path, tmp_path, 1, "test")
    _lay_out(job, tmp_path / "box", "/outs/1")
    assert (tmp_path / "box" / "in" / "data").read_text() == "x"
    assert (tmp_path / "box" / "in" / "data").stat().st_ino != (tmp_path / "data").stat().st_ino


class Declines(_Serving):
    """A container where steps can't be kept apart."""

    def __init__(self, *_: object) -> None:
        self.steps = 0
        self.broken = self.declines = False
        self.closed = False

    def run(self, job: Job, environment: object, sink: LineSink, stop: Stop) -> Outcome | None:
        return self._outcome(b'{"declined": true}\n', sink, timed_out=False, stopped=False)

    def close(self) -> None:
        self.closed = True


def test_where_steps_can_not_be_kept_apart_it_is_said_once_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(served_in_docker, "_Serving", lambda *_: made.append(Declines()) or made[-1])
    containers = Containers(None, None, tmp_path)  # type: ignore[arg-type] - neither is used
    logs = []
    for name in ("first", "second"):
        job = Job(("python", "x.py"), {}, tmp_path, tmp_path / name, 1, "test")
        with LineSink(job.log, lambda _: None) as sink:
            assert containers.run(job, {}, sink, Stop()) is None
        logs.append(job.log.read_bytes())
    assert logs == [ALONE, b""]
    assert [each.closed for each in made] == [True]


class Gone:
    """A container whose daemon was stopped, and what litekiln holds of it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def close(self) -> None:
        pass

    def remove(self, **_: object) -> None:
        raise self._error


@pytest.mark.parametrize("error", [ConnectionError("the daemon was stopped"), NotFound("somebody else removed it")])
def test_a_daemon_that_went_away_is_no_second_error_at_the_end(tmp_path: Path, error: Exception) -> None:
    """It hid what the steps say of the daemon, and was called a mistake in litekiln."""
    (tmp_path / "served").mkdir()
    serving = _Serving.__new__(_Serving)
    serving._life = serving._container = Gone(error)  # type: ignore[assignment]
    serving._folder = tmp_path / "served"
    serving.close()
    assert list(tmp_path.iterdir()) == []
