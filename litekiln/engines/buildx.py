"""BuildKit, called through the docker command: its progress, and why it failed."""

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln.disk import FREE_SPACE, waiting_lock
from litekiln.engines.base import OnLine
from litekiln.errors import (
    BaseUnreachable,
    BuildxMissing,
    DiskFull,
    DockerMissing,
    ImageBuildFailed,
    LitekilnError,
)
from litekiln.paths import Project

BASE_SIGNS = (
    "failed to resolve source metadata",
    "failed to do request",
    "pull access denied",
    "manifest unknown",
    "no such host",
    "failed to load metadata",
)
TAIL_LINES = 40
TITLE_LENGTH = 100


@contextmanager
def building(project: Project, name: str) -> Iterator[None]:
    """Wait for the image's lock: one process builds it at a time."""
    locks = project.state / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with waiting_lock(locks / f"image-{name}.lock"):
        yield


def require_buildx() -> None:
    if not shutil.which("docker"):
        msg = "the docker command is not installed"
        raise DockerMissing(
            msg, cause="it builds images, with BuildKit", remedy="Debian: `sudo apt install docker.io docker-buildx`"
        )
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode:
        msg = "docker has no buildx"
        cause = "images are built by BuildKit, which the docker command reaches through its buildx plugin"
        remedy = "install the plugin (Debian 13: `sudo apt install docker-buildx`; Docker's own packages: docker-buildx-plugin)"
        raise BuildxMissing(msg, cause=cause, remedy=remedy)


def titles(say: OnLine) -> OnLine:
    """A listener to BuildKit's output that says the title of each step once: `[toolchain 5/6] RUN …`."""
    said: set[str] = set()

    def on_line(line: str) -> None:
        title = re.match(r"#\d+ (\[[a-z0-9-]+ +\d+/\d+\] .*)", line)
        if title and title[1] not in said:
            said.add(title[1])
            say(title[1][:TITLE_LENGTH])

    return on_line


def build_error(what: str, base: str, log: Path, without_registry: str) -> LitekilnError:
    """The error for a failed build, from the end of BuildKit's output."""
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    text = "\n".join(tail)
    if any(sign in text for sign in BASE_SIGNS):
        msg = f"the base image of {what} could not be fetched: {base.partition('@')[0]}"
        cause = "no container registry can be reached, and the image is not on this machine"
        return BaseUnreachable(msg, cause=cause, remedy=f"check the network; without a registry: {without_registry}")
    if "no space left on device" in text.lower():
        return DiskFull(f"no space left while building {what}", cause="an image takes up to 2 GB", remedy=FREE_SPACE)
    last = "\n".join(f"  | {line}" for line in tail[-12:])
    msg = f"building {what} failed\n{last}"
    return ImageBuildFailed(
        msg, cause=f"the whole output is in {log}", remedy="`inv doctor` checks the usual reasons: network, disk, CA set-up"
    )


def build_platform() -> str:
    """Docker's name for this machine's platform."""
    return "linux/arm64" if "aarch64" in sysconfig.get_platform() or "arm64" in sysconfig.get_platform() else "linux/amd64"
