"""Sources of frames. `open_source` opens what `--source` names."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Shot

DEVICE = re.compile(r"/dev/(video\d|v4l/)")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
SIDES, MOST_FPS = (16, 8192), 1000
POSSIBLE = (
    "it can be: /dev/video0 (a camera), rtsp://…, http://… and tcp://… (MJPEG), a picture, an .mjpeg file or a folder of pictures, "
    "- (MJPEG on standard input), test (a moving test picture)"
)


class Source(Protocol):
    """Something that gives frames.

    `shots()` opens it and gives frames until it ends. When the source is missing or lost, it raises SourceLost, whose text says
    what is missing; a live source is retried a second later. Another thread may call `stop()`, which ends a wait within a second.
    """

    name: str
    live: bool  # frames may be skipped; every frame of other sources is looked at

    def shots(self) -> Iterator[Shot]: ...

    def stop(self) -> None: ...


def open_source(spec: str, *, width: int = 640, height: int = 480, fps: float = 0, stdin: BinaryIO | None = None) -> Source:
    """The source that `spec` names. Size and rate are wishes to cameras and the test picture; rate 0 leaves it to the camera.

    A live source that sends faster than `fps` loses the frames beyond it.
    BadUse when `spec` is invalid. `shots()` notices what may still appear, such as a camera that is not plugged in.
    Each module is imported when it is needed: a USB camera starts without loading RTSP.
    """
    if not spec:
        raise BadUse("--source is empty", POSSIBLE)
    if not (min(SIDES) <= width <= max(SIDES) and min(SIDES) <= height <= max(SIDES)):
        msg = f"--width {width} --height {height}: each side must be {min(SIDES)} to {max(SIDES)} pixels"
        raise BadUse(msg, "cameras use the nearest size that they have; 640 and 480 are enough for most models")
    if not 0 <= fps <= MOST_FPS:
        msg = f"--fps {fps}: it must be between 0 and {MOST_FPS}"
        raise BadUse(msg, "0 leaves it to the camera, 0.2 is a frame each 5 seconds")
    if spec == "test":
        from litekiln_pi.sources.moving_picture import MovingPicture

        return MovingPicture(width, height, fps)
    source = _opened(spec, width, height, fps, stdin)
    if not fps or not source.live:
        return source
    from litekiln_pi.sources.frame_rate import AtMost

    return AtMost(source, fps)


def _opened(spec: str, width: int, height: int, fps: float, stdin: BinaryIO | None) -> Source:
    if spec == "-":
        from litekiln_pi.sources.standard_input import StandardInput

        return StandardInput(stdin)
    if DEVICE.match(spec):
        from litekiln_pi.sources.v4l2 import Camera

        return Camera(spec, width=width, height=height, fps=fps)
    scheme = SCHEME.match(spec)
    if scheme:
        return _of_network(scheme[1].lower(), spec, fps)
    path = Path(spec)
    if "/" not in spec and not path.suffix and not path.exists():
        raise BadUse(f"--source {spec}: unknown", POSSIBLE)
    from litekiln_pi.sources.files import open_path

    return open_path(path)


def _of_network(scheme: str, spec: str, fps: float) -> Source:
    if scheme == "rtsp":
        from litekiln_pi.sources.rtsp import RtspCamera

        return RtspCamera(spec)
    if scheme in ("http", "https"):
        from litekiln_pi.sources.http import HttpCamera

        return HttpCamera(spec, fps=fps)
    if scheme == "tcp":
        from litekiln_pi.sources.tcp import TcpCamera

        return TcpCamera(spec)
    raise BadUse(f"--source {scheme}://…: {scheme} is not supported", POSSIBLE)
