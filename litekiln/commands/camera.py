"""`inv camera`: a bundle's detections in a camera's picture as a web page, on this computer, by the Pi's runtime."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.names import AUTO
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.pi.desk import run_bundle
from litekiln.terminal import Reporter

DEVICES, NETWORK = "/dev/", "://"  # how sources that may appear later begin, and what only an address has
WORDS = ("test", "-")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_PORTS = 65535


@dataclass(frozen=True)
class CameraRequest:
    """The bundle, its source of frames, and where the page is. "" leaves a value to the runtime."""

    model: str
    variant: str
    source: str = "/dev/video0"
    host: str = LOOPBACK[0]
    port: int = 8080
    width: str = ""
    height: str = ""
    fps: str = ""
    threads: str = ""
    threshold: str = ""
    snapshots: str = ""
    engine: str = AUTO


def camera(reporter: Reporter, project: Project, request: CameraRequest) -> dict[str, Any]:
    """The runtime's exit code, after it was stopped."""
    refuse_unknown(project, request.model, request.variant)
    _check(request, sys.platform)
    built = ready_bundle(reporter, project, request.model, request.variant, request.engine)
    if request.host not in LOOPBACK and not os.environ.get("LITEKILN_TOKEN"):
        reporter.warn(f"with --host {request.host} everybody in your network can watch; LITEKILN_TOKEN=WORD sets a password")
    options = {"source": request.source, "host": request.host, "port": str(request.port)}
    options |= {name: getattr(request, name) for name in ("width", "height", "fps", "threads", "threshold", "snapshots")}
    arguments = [f"--{name}={value}" for name, value in options.items() if value]
    reporter.note("Ctrl-C ends it")
    return {"exit_code": run_bundle(project, built, "camera", ["serve", *arguments], reporter.note).exit_code}


def _check(request: CameraRequest, system: str) -> None:
    """Refuse what can't work, before a build that takes minutes."""
    refuse_port(request.port)
    if request.snapshots and not Path(request.snapshots).is_dir():
        msg = f"--snapshots {request.snapshots}: there is no such folder"
        raise UsageError(msg, remedy=f"mkdir -p {shlex.quote(request.snapshots)}")
    source = request.source
    if source.startswith(DEVICES) and system != "linux":
        msg = f"--source {source}: webcams are read only on Linux"
        remedy = "--source test, a file, a folder or an address; or pipe frames in: ffmpeg … -f mjpeg - | inv camera … --source -"
        raise UsageError(msg, cause="the runtime uses the camera interface of its kernel, V4L2", remedy=remedy)
    may_come = source in WORDS or source.startswith(DEVICES) or NETWORK in source
    if not may_come and not Path(source).exists():
        remedy = "--source test, /dev/video0, a picture, an .mjpeg file, a folder of pictures, rtsp://…, http://… or -"
        raise UsageError(f"--source {source}: there is no such file or folder", remedy=remedy)


def refuse_port(port: int) -> None:
    if not 1 <= port <= MOST_PORTS:
        raise UsageError(f"--port {port}: expected a port from 1 to {MOST_PORTS}", remedy="--port 8080, for example")
