"""A camera at /dev/video0: with a fake kernel that answers as uvcvideo does, and a real one if this kernel has vivid."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from litekiln_pi.decoding import decode
from litekiln_pi.errors import SourceLost
from litekiln_pi.frames import Shot
from litekiln_pi.sources import open_source, v4l2, v4l2_words
from litekiln_pi.sources import v4l2_abi as abi
from litekiln_pi.sources.v4l2 import Camera
from litekiln_pi.stills import as_jpeg
from tests.conftest import loopback_cameras
from tests.pi.fake_camera import FakeKernel
from tests.pi.fakes import scene
from tests.pi.jpegs import without_tables
from tests.pi.test_sources import stopped_while_waiting
from tests.pi.uncompressed_pictures import as_yuv, as_yuyv

JPEG = as_jpeg(scene(red=(10, 10, 100, 100)))


def shots_of(kernel: FakeKernel, **wishes: Any) -> tuple[list[Shot], str]:
    """All shots, and what ended them."""
    camera, came = Camera("/dev/video0", kernel=kernel, **wishes), list[Shot]()
    with pytest.raises(SourceLost) as lost:
        came.extend(camera.shots())
    assert not kernel.is_open
    return came, str(lost.value)


def test_jpegs_are_taken_before_yuyv_and_the_calls_come_in_order() -> None:
    kernel = FakeKernel([JPEG, JPEG, errno.ENODEV], size=(320, 240))
    came, why = shots_of(kernel, width=320, height=240, fps=15)
    assert [shot.jpeg for shot in came] == [JPEG, JPEG]
    assert why == "/dev/video0 was unplugged"
    assert kernel.rate == (1000, 15000)
    assert kernel.calls == [
        *("open", "QUERYCAP", "ENUM_FMT", "ENUM_FMT", "ENUM_FMT", "S_FMT", "S_PARM", "REQBUFS"),
        *["QUERYBUF", "mmap"] * 3,
        *["QBUF"] * 3,
        *("STREAMON", "DQBUF", "QBUF", "DQBUF", "QBUF", "DQBUF", "STREAMOFF", "close"),
    ]


def test_a_camera_is_found_again_after_it_was_unplugged() -> None:
    kernel = FakeKernel([JPEG, errno.ENODEV])
    camera = Camera("/dev/video0", kernel=kernel)
    with pytest.raises(SourceLost):
        list(camera.shots())
    kernel.fails = {"open": errno.ENOENT}
    with pytest.raises(SourceLost, match=r"there is no /dev/video0 here: start the container with --device /dev/video0"):
        list(camera.shots())
    kernel.fails, kernel.maps, kernel.frames = {}, [], [JPEG]
    shots = camera.shots()
    assert next(shots).jpeg == JPEG
    shots.close()  # type: ignore[attr-defined]
    assert not kernel.is_open


def test_a_driver_that_changes_the_size_is_followed() -> None:
    picture = scene(160, 120, green=(20, 20, 90, 100))
    kernel = FakeKernel([as_yuyv(picture, stride=384), errno.EIO], formats=["YUYV"], size=(160, 120), stride=384)
    camera = Camera("/dev/video0", kernel=kernel)
    shots = camera.shots()
    shot = next(shots).picture
    assert shot is not None
    assert camera.format == "YUYV 160x120"
    assert numpy.abs(numpy.asarray(shot, int) - numpy.asarray(picture)).max() <= 3
    with pytest.raises(SourceLost, match="/dev/video0 failed to give frames: check the cable, the power supply and the camera"):
        next(shots)


@pytest.mark.parametrize(("colours", "expected"), [((0, 0), 0), ((8, 2), 0), ((0, 1), 16), ((7, 0), 16), ((7, 2), 0)])
def test_the_range_of_yuyv_is_what_the_driver_says(colours: tuple[int, int], expected: int) -> None:
    """Black is 16 in the limited range; in the full range 16 is a dark grey."""
    kernel = FakeKernel([bytes((16, 128)) * 64], formats=["YUYV"], size=(8, 8), colours=colours)
    picture = next(iter(Camera("/dev/video0", kernel=kernel).shots())).picture
    assert picture is not None
    assert picture.getpixel((3, 3)) == (expected,) * 3


@pytest.mark.parametrize("name", ["YUYV", "UYVY", "NV12", "YU12", "GREY"])
def test_cameras_without_jpeg_give_pictures(name: str) -> None:
    picture = scene(160, 120, green=(20, 20, 90, 100))
    kernel = FakeKernel([as_yuv(name, picture, stride=192), errno.ENODEV], formats=["Z16 ", name], size=(160, 120), stride=192)
    came, _ = shots_of(kernel)
    wanted = picture.convert("L").convert("RGB") if name == "GREY" else picture
    assert came[0].picture is not None
    assert numpy.abs(numpy.asarray(came[0].picture, int) - numpy.asarray(wanted)).max() <= 3


def test_a_converter_of_hdmi_on_the_ribbon_cable_is_a_camera() -> None:
    """Its pictures are finished; a sensor's are not."""
    kernel = FakeKernel([as_yuv("UYVY", scene(32, 16)), errno.ENODEV], formats=["UYVY"], size=(32, 16), driver=b"unicam")
    assert len(shots_of(kernel)[0]) == 1


def test_damaged_and_short_frames_are_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    padded = JPEG + bytes(100)
    bad = [None, b"", JPEG[:-700], b"\0" * 400]
    came, _ = shots_of(FakeKernel([*bad, padded, *bad * 25, JPEG, errno.ENODEV]))
    assert [shot.jpeg for shot in came] == [JPEG, JPEG]
    assert capsys.readouterr().err == "/dev/video0: 100 damaged frames so far: a bad cable, or too little power\n"
    came, _ = shots_of(FakeKernel([bytes(100), None, bytes(8 * 8 * 2), errno.ENODEV], formats=["YUYV"], size=(8, 8)))
    assert len(came) == 1


def test_a_jpeg_without_huffman_tables_gets_the_standard_ones() -> None:
    bare = without_tables(JPEG)
    assert len(bare) < len(JPEG) - 400
    came, _ = shots_of(FakeKernel([bare, errno.ENODEV]))
    assert numpy.array_equal(numpy.asarray(decode(came[0].jpeg).picture), numpy.asarray(decode(JPEG).picture))


REFUSALS = {
    "/dev/video0 is in use by another program: end it": {"fails": {"S_FMT": errno.EBUSY}},
    "/dev/video0 is in use by another program: end it ": {"fails": {"REQBUFS": errno.EBUSY}},
    "the USB bus has no room for /dev/video0: choose a smaller size": {"fails": {"STREAMON": errno.ENOSPC}},
    "/dev/video0 belongs to a bare sensor that is not set up: for a camera on the ribbon cable use: rpicam-vid": {
        "fails": {"STREAMON": errno.EPIPE}
    },
    "only gives pictures in several planes": {"caps": abi.CAP_VIDEO_CAPTURE_MPLANE | abi.CAP_STREAMING},
    "start the container with --group-add video": {"fails": {"open": errno.EACCES}},
    "the container may not use /dev/video0, though it sees it: start it with --device /dev/video0": {
        "fails": {"open": errno.EPERM}
    },
    "/dev/video0 exists, but its camera doesn't": {"fails": {"open": errno.ENXIO}},
    "/dev/video0 is not a camera; ": {"fails": {"QUERYCAP": errno.ENOTTY}},
    "/dev/video0 gives pBAA, RG10, as its sensor sends it: nothing sets exposure and colours. for a camera on the ribbon": {
        "formats": ["pBAA", "RG10"],
        "driver": b"unicam",
    },
    "/dev/video0 gives Y10P, GREY, as its sensor sends it: nothing": {"formats": ["Y10P", "GREY"], "driver": b"rp1-cfe"},
    "/dev/video0 gives BA81: raw formats of a bare sensor. for a camera on the ribbon cable use: rpicam-vid": {"formats": ["BA81"]},
    "/dev/video0 gives H264, which needs a video decoder. It may give MJPG under another number (": {"formats": ["H264"]},
    "), or: ffmpeg -f v4l2 -input_format hevc -i /dev/video0 -f mjpeg - | docker run -i IMAGE watch --source -": {
        "formats": ["HEVC", "H264"]
    },
    "/dev/video0 gives Z16; MJPG, YUYV, UYVY, NV12, YU12 or GREY is needed": {"formats": ["Z16 "]},
    "/dev/video0 gives no format at all": {"formats": []},
    "/dev/video0 was asked for MJPG and gives H264": {"becomes": "H264"},
    "gives a camera's data, not its picture: use the number before it": {"caps": abi.CAP_META_CAPTURE | abi.CAP_STREAMING},
    "is not a camera, but a decoder or converter of the Pi": {"caps": abi.CAP_VIDEO_M2M_MPLANE | abi.CAP_STREAMING},
    "(USB Camera: HD) is not a camera: it takes no pictures": {"caps": abi.CAP_VIDEO_OUTPUT | abi.CAP_STREAMING},
    "(USB Camera: HD) can't stream": {"caps": abi.CAP_VIDEO_CAPTURE},
    "is not a camera, but the Pi's picture processor": {"driver": b"bm2835_isp", "card": b"bcm2835-isp"},
}


@pytest.mark.parametrize("text", REFUSALS)
def test_what_is_no_camera_or_can_not_be_had_is_told(text: str) -> None:
    came, why = shots_of(FakeKernel([JPEG], **REFUSALS[text]))
    assert not came
    assert text.strip() in why


def test_one_rate_only_is_no_failure_but_an_unplugged_camera_is() -> None:
    camera = Camera("/dev/video0", fps=30, kernel=FakeKernel([JPEG], fails={"S_PARM": errno.ENOTTY}))
    assert next(iter(camera.shots())).jpeg == JPEG
    came, why = shots_of(FakeKernel([JPEG], fails={"S_PARM": errno.ENODEV}), fps=30)
    assert (came, why) == ([], "/dev/video0 was unplugged")


def test_a_missing_device_names_those_that_are_here(tmp_path: Path) -> None:
    for name in ("video0", "video10", "video2"):
        (tmp_path / name).touch()
    assert v4l2_words.others("/dev/video9", tmp_path).endswith("/video0, " + f"{tmp_path}/video2, {tmp_path}/video10")
    missing = OSError(errno.ENOENT, "")
    assert "`ls /dev/video*` shows all devices); other devices here: " in v4l2_words.cannot_open("/dev/video9", missing, tmp_path)
    assert v4l2_words.cannot_open("/dev/video9", missing, tmp_path / "none").endswith("there is no other /dev/video*")
    with pytest.raises(SourceLost, match="there is no /dev/video99 here: start the container with --device /dev/video99"):
        list(open_source("/dev/video99").shots())


def test_a_file_that_is_no_device_is_told(tmp_path: Path) -> None:
    """This uses the system's real calls, as far as they work without a camera."""
    file = tmp_path / "video0"
    file.write_bytes(b"no device")
    with pytest.raises(SourceLost, match=r"video0 is not a camera; "):
        list(Camera(str(file)).shots())
    system = v4l2.System()
    number = system.open(str(file))
    assert system.ready(number, 0.1)
    assert system.mmap(number, 9, 0)[:2] == b"no"
    system.close(number)


def test_a_camera_that_gives_nothing_is_lost_and_stopping_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(FakeKernel):
        def ready(self, number: int, seconds: float) -> bool:
            time.sleep(seconds)
            return False

    camera = Camera("/dev/video0", kernel=Waiting())
    assert stopped_while_waiting(camera) == []
    monkeypatch.setattr(v4l2, "PATIENCE", 0.3)
    with pytest.raises(SourceLost, match="/dev/video0 gave no frame for 0 seconds: plug it in again"):
        list(Camera("/dev/video0", kernel=Waiting()).shots())


@pytest.mark.loopback
def test_a_real_driver_gives_frames() -> None:
    for device in loopback_cameras():
        camera = Camera(device, fps=15)
        shots = camera.shots()
        sizes = {(next(shots).picture or Image.new("RGB", (1, 1))).size for _ in range(5)}
        assert sizes == {tuple(int(side) for side in camera.format.split()[1].split("x"))}
        assert os.fspath(device) in camera.name
        camera.stop()
        assert list(shots) == []
