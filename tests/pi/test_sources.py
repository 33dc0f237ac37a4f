"""What `--source` can be, and the sources that need no camera: files, folders, a pipe, the moving test picture."""

import io
import os
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy
import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Shot
from litekiln_pi.sources import POSSIBLE, Source, open_source
from litekiln_pi.sources.moving_picture import MovingPicture
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import scene
from tests.pi.jpegs import without_tables

JPEG = as_jpeg(scene(red=(10, 10, 100, 100)))
OTHER = as_jpeg(scene(green=(50, 30, 200, 150)))


def refused(spec: str, **settings: BinaryIO) -> tuple[str, str]:
    with pytest.raises(BadUse) as refusal:
        open_source(spec, **settings)  # type: ignore[arg-type]
    return str(refusal.value), refusal.value.remedy


@pytest.mark.parametrize("spec", ["camera", "ftp://host/clip", ""])
def test_what_can_not_be_meant(spec: str) -> None:
    what, remedy = refused(spec)
    told = {
        "camera": "--source camera: unknown",
        "ftp://host/clip": "--source ftp://…: ftp is not supported",
        "": "--source is empty",
    }
    assert what == told[spec]
    assert remedy == POSSIBLE


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"width": 0}, "--width 0 --height 480: each side must be 16 to 8192 pixels"),
        ({"height": 9000}, "--width 640 --height 9000: each side must be 16 to 8192 pixels"),
        ({"fps": -1}, "--fps -1: it must be between 0 and 1000"),
    ],
)
def test_sizes_and_rates_that_can_not_be_meant(wish: dict[str, int], told: str) -> None:
    with pytest.raises(BadUse) as refusal:
        open_source("test", **wish)  # type: ignore[arg-type]
    assert str(refusal.value) == told


def test_a_picture_and_a_folder_of_them_in_order(tmp_path: Path) -> None:
    for name, content in {"b.jpg": JPEG, "a.PNG": OTHER, "notes.txt": b"no"}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "c.jpg").mkdir()
    folder = open_source(str(tmp_path))
    assert not folder.live
    assert [(shot.name, shot.jpeg) for shot in folder.shots()] == [("a.PNG", OTHER), ("b.jpg", JPEG)]
    single = open_source(str(tmp_path / "b.jpg"))
    assert [(shot.name, shot.jpeg) for shot in single.shots()] == [("b.jpg", JPEG)]
    source = open_source(str(tmp_path))
    shots = source.shots()
    next(shots)
    source.stop()
    assert list(shots) == []


def test_files_that_can_not_be_looked_at(tmp_path: Path) -> None:
    assert refused(str(tmp_path)) == (
        f"no pictures (.jpg .jpeg .png .webp .bmp .gif) in the folder {tmp_path}",
        "folders inside it are not searched",
    )
    what, remedy = refused("/no/such/folder/a.jpg")
    assert what == "there is no file or folder /no/such/folder/a.jpg"
    assert remedy == "in a container, mount its folder: docker run -v /its/folder:/no/such/folder …"
    assert refused("pictures/a.jpg") == (
        "there is no file or folder pictures/a.jpg",
        'in a container, mount its folder: docker run -v "$PWD:/data" …',
    )
    (tmp_path / "film.mp4").touch()
    what, remedy = refused(str(tmp_path / "film.mp4"))
    assert "film.mp4 is neither a picture (.jpg .jpeg .png .webp .bmp .gif) nor a file of JPEG frames (.mjpeg .mjpg)" in what
    assert remedy == "convert a film: ffmpeg -i film.mp4 -f mjpeg film.mjpeg"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refused(str(tmp_path / "pipe.jpg"))[0].endswith("pipe.jpg is neither a file nor a folder")
    assert "File name too long" in refused("/" + "a" * 300 + ".jpg")[0]


def test_a_picture_that_goes_or_is_too_large_is_told_and_the_others_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(JPEG)
    source = open_source(str(tmp_path))
    (tmp_path / "a.jpg").unlink()
    with (tmp_path / "b.jpg").open("wb") as file:
        file.truncate(300_000_000)
    assert [shot.name for shot in source.shots()] == ["c.jpg"]
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/a.jpg: can't be read: No such file or directory",
        f"{tmp_path}/b.jpg: it is 300 MB, the limit is 17 MB",
    ]


def test_a_clip_of_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mjpeg"
    clip.write_bytes(JPEG + without_tables(OTHER) + JPEG[:-9] + OTHER + JPEG[:50])
    source = open_source(str(clip))
    assert not source.live
    shots = list(source.shots())
    assert [shot.name for shot in shots] == ["clip.mjpeg 1", "clip.mjpeg 2", "clip.mjpeg 3"]
    assert [shots[0].jpeg, shots[2].jpeg] == [JPEG, OTHER]
    assert len(shots[1].jpeg) > len(without_tables(OTHER)) + 400
    assert capsys.readouterr().err == f"{clip}: 2 damaged or cut frames were skipped\n"
    clip.write_bytes(b"H.264 or so")
    assert list(open_source(str(clip)).shots()) == []
    told = f"{clip}: it contains no JPEG frame; `ffmpeg -i CLIP -f mjpeg clip.mjpeg` makes a file of frames\n"
    assert capsys.readouterr().err == told
    source = open_source(str(clip))
    clip.unlink()
    assert list(source.shots()) == []
    assert capsys.readouterr().err.startswith(f"{clip}: can't be read: No such file or directory\n")


def piped() -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0)


def test_frames_from_a_pipe_come_at_once_and_its_end_is_the_end() -> None:
    reading, writing = piped()
    with reading:
        source = open_source("-", stdin=reading)
        assert source.live
        shots = source.shots()
        writing.write(JPEG)
        assert next(shots).jpeg == JPEG  # the pipe is still open: no frame needs the next one
        writing.write(b"\r\n--frame\r\n\r\n" + without_tables(OTHER))
        assert b"\xff\xc4" in next(shots).jpeg
        writing.close()
        assert list(shots) == []
    assert [shot.jpeg for shot in open_source("-", stdin=io.BytesIO(JPEG + OTHER)).shots()] == [JPEG, OTHER]


def stopped_while_waiting(source: Source) -> list[Shot]:
    """The shots that still arrive; the wait must end soon."""
    threading.Timer(0.3, source.stop).start()
    started = time.monotonic()
    came = list(source.shots())
    assert time.monotonic() - started < 5
    return came


def test_a_pipe_that_waits_can_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = piped()
    with reading, writing:
        source = open_source("-", stdin=reading)
        assert stopped_while_waiting(source) == []
    assert capsys.readouterr().err == ""


def test_a_pipe_without_frames_is_told_what_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    hint = "Is it MJPEG? rpicam-vid writes H.264 by default:\n"
    command = "  rpicam-vid -t 0 --codec mjpeg --flush -o - | docker run -i IMAGE watch --source -\n"
    assert list(open_source("-", stdin=io.BytesIO(b"\0\0\0\1 H.264")).shots()) == []
    told = capsys.readouterr().err
    assert told == f"no JPEG frame on standard input, which ended after 10 bytes. {hint}{command}"
    assert list(open_source("-", stdin=io.BytesIO()).shots()) == []
    assert "which ended after 0 bytes (docker run needs -i). Is it" in capsys.readouterr().err
    assert list(open_source("-", stdin=io.BytesIO(bytes(9_000_000))).shots()) == []
    assert capsys.readouterr().err == f"no JPEG frame on standard input in its first 4 MB. {hint}{command}"


def test_a_terminal_is_no_pipe() -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    what, remedy = refused("-", stdin=Terminal())
    assert what == "--source - reads a camera's frames from a pipe, but nothing is piped in"
    assert remedy.startswith("rpicam-vid -t 0 --codec mjpeg --flush -o - | docker run -i IMAGE watch --source -")


def test_a_closed_standard_input_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)  # Python's value if it was closed before the start
    what, remedy = refused("-")
    assert what == "--source - reads a camera's frames from a pipe, but standard input is closed"
    assert remedy.startswith("rpicam-vid -t 0 --codec mjpeg --flush -o - | docker run -i IMAGE watch --source -")


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (64, 48)])
def test_the_test_picture_moves_and_its_shapes_stay_inside_and_apart(size: tuple[int, int]) -> None:
    source = MovingPicture(*size)
    for seconds in range(0, 60, 7):
        boxes = []
        for name in ("circle", "square", "triangle"):
            across, down = zip(*source.outline(name, seconds), strict=True)
            boxes.append((min(across), max(across)))
            assert min(across) >= 0
            assert max(across) <= size[0]
            assert min(down) >= 0
            assert max(down) <= size[1]
        assert boxes[0][1] < boxes[1][0]
        assert boxes[1][1] < boxes[2][0]
    first, same, later = (numpy.asarray(source.draw(seconds)) for seconds in (1.0, 1.0, 1.5))
    assert numpy.array_equal(first, same)
    assert not numpy.array_equal(first, later)


def test_the_test_picture_is_live_and_has_a_rate() -> None:
    source = open_source("test", width=64, height=48, fps=20)
    assert source.live
    shots, started = source.shots(), time.monotonic()
    pictures = [next(shots).picture for _ in range(11)]
    assert time.monotonic() - started > 0.45
    assert {picture.size for picture in pictures if picture} == {(64, 48)}
    source.stop()
    assert list(shots) == []
    assert len(stopped_while_waiting(open_source("test", width=64, height=48, fps=0.1))) == 1
