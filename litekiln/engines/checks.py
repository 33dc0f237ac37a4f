"""The checks of Docker in `inv doctor`."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from litekiln.engines.buildx import require_buildx
from litekiln.engines.daemon import INSTALL, WITHOUT, connect, daemon_address, is_elsewhere
from litekiln.engines.images import image_tag
from litekiln.engines.launched import probe
from litekiln.errors import EngineError
from litekiln.paths import Project
from litekiln.terminal import Check, Status
from litekiln.toolchains.toolchain import select_toolchains

BINFMT = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")


def docker_checks(project: Project) -> Iterator[Check]:
    yield _client()
    try:
        with connect(WITHOUT) as client:
            version = client.version()["Version"]
            present = {tag for image in client.images.list() for tag in image.tags}
    except EngineError as error:
        yield Check("docker daemon", Status.WARN, error.what, error.remedy)
        yield from (_buildx(), _emulation())
        return
    yield Check("docker daemon", Status.OK, f"{version} at {daemon_address()}")
    yield from (_buildx(), _emulation())
    if sys.platform == "linux" and not is_elsewhere(daemon_address()):
        yield _copies()
    for toolchain in select_toolchains(project, []):
        tag = image_tag(project, toolchain)
        status = Status.OK if tag in present else Status.WARN
        detail = tag if tag in present else "not built yet"
        yield Check(f"image {toolchain.name}", status, detail, f"inv images --toolchain {toolchain.name}")


def _copies() -> Check:
    """Whether steps of a model can share a container. The daemon's seccomp profile may still refuse it; a step's log says so."""
    if probe("apart") == 0:
        return Check("containers", Status.OK, "this kernel keeps steps apart that share one")
    detail = "each step gets one of its own, which takes longer: this kernel can't keep steps apart that share one"
    return Check(
        "containers", Status.WARN, detail, "nothing has to be done; Linux 6.12 or newer, with Landlock, makes builds faster"
    )


def _client() -> Check:
    if not shutil.which("docker"):
        return Check("docker client", Status.WARN, "not installed", INSTALL + WITHOUT)
    answer = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=False)
    return Check("docker client", Status.OK, answer.stdout.strip())


def _buildx() -> Check:
    try:
        require_buildx()
    except EngineError as error:
        return Check("docker buildx", Status.WARN, error.what, error.remedy)
    answer = subprocess.run(["docker", "buildx", "version"], capture_output=True, text=True, check=False)
    return Check("docker buildx", Status.OK, answer.stdout.strip())


def _emulation() -> Check:
    """Whether this machine runs arm64 programs: only tests of Pi images need it, their builds don't."""
    if sys.platform == "darwin":
        return Check("arm64 emulation", Status.OK, "Docker Desktop brings it")
    if subprocess.run(["uname", "-m"], capture_output=True, text=True, check=False).stdout.strip() in ("aarch64", "arm64"):
        return Check("arm64 emulation", Status.OK, "not needed: this machine is arm64")
    remedy = "sudo apt install qemu-user-static binfmt-support (needed only to test arm64 images here)"
    if not BINFMT.exists():
        return Check("arm64 emulation", Status.WARN, "qemu-aarch64 is not registered with binfmt_misc", remedy)
    if "F" not in next((line for line in BINFMT.read_text(encoding="ascii").splitlines() if line.startswith("flags:")), ""):
        return Check("arm64 emulation", Status.WARN, "registered without flag F: containers can't see the emulator", remedy)
    return Check("arm64 emulation", Status.OK, "qemu-aarch64 is registered")
