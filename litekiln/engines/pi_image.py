"""The Pi's image: built for arm64 by BuildKit, sent to a registry, or written to a file for Pis without a network."""

import gzip
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from litekiln.disk import saying_disk_full
from litekiln.engines.base import OnLine
from litekiln.engines.buildx import build_error, build_platform, require_buildx, titles
from litekiln.engines.debian_bases import Base, make_bases
from litekiln.engines.process import run_logged
from litekiln.errors import ImageBuildFailed, NetworkError, UsageError
from litekiln.paths import Project
from litekiln.toolchains.lock import PI_PYTHON

if TYPE_CHECKING:
    from docker import DockerClient

PLATFORM = "linux/arm64"
BLOCK = 1 << 20
REFUSED = ("unauthorized", "denied", "authentication required", "no basic auth")


@dataclass(frozen=True)
class PiImage:
    """A Pi image that was built."""

    tag: str
    image_id: str
    size: int
    seconds: float
    base: str


def build_pi_image(
    client: "DockerClient", project: Project, context: Path, tag: str, labels: dict[str, str], *, base_kind: str, say: OnLine
) -> PiImage:
    require_buildx()
    argv = ["docker", "buildx", "build", "--load", "--progress", "plain", "--platform", PLATFORM, "--provenance=false"]
    argv += ["--file", str(project.code / "Dockerfile.pi"), "--tag", tag]
    bases = _bases(client, base_kind)
    for name, base in bases.items():
        argv += ["--build-arg", f"{name}={base}"]
    for name, value in labels.items():
        argv += ["--label", f"{name}={value}"]
    started, log = time.monotonic(), project.state / "logs" / "image-pi.log"
    if run_logged([*argv, str(context)], log, titles(say)):
        raise build_error("the Pi's image", bases.get("BASE", "python:3.11-slim"), log, "the same command with --base debian")
    image = client.images.get(tag)
    shown = bases.get("BASE", "the registry's, pinned in Dockerfile.pi")
    return PiImage(tag, str(image.id), int(image.attrs["Size"]), time.monotonic() - started, shown)


def _bases(client: "DockerClient", kind: str) -> dict[str, str]:
    """Build arguments for the base images; empty for the digest-pinned defaults of the Dockerfile."""
    from docker.errors import ImageNotFound

    made = {name: base.tag for name, base in _from_debian().items()}
    if kind == "registry":
        return {}
    try:
        for tag in made.values():
            client.images.get(tag)
    except ImageNotFound:
        if kind == "debian":
            raise
        return {}
    return made


def make_pi_bases(client: "DockerClient", project: Project, say: OnLine) -> None:
    """Make the base images from Debian packages, where no registry can be reached."""
    make_bases(client, list(dict.fromkeys(_from_debian().values())), project.state / "bases", say)


def _from_debian() -> dict[str, Base]:
    """The bases that replace the registry's: one for the Pi, one for the machine that builds."""
    native = "arm64" if build_platform() == PLATFORM else "amd64"
    return {"BASE": Base("arm64", PI_PYTHON), "BUILD_BASE": Base(native, PI_PYTHON)}


def push(client: "DockerClient", image: PiImage, registry: str, say: OnLine) -> str:
    """Push the image; returns its address with the registry's digest, which is what to pin."""
    there = registry.rstrip("/")
    target = f"{there}/{image.tag}"
    if not client.images.get(image.tag).tag(target):
        msg = f"{target!r} is not a valid image name"
        raise UsageError(msg, remedy="--push takes a registry and a path: registry.example.org/me")
    run = subprocess.run(["docker", "push", target], capture_output=True, text=True, check=False)
    if run.returncode:
        said = (run.stderr.strip() or run.stdout.strip()).splitlines()[-1:]
        reason = said[0] if said else "no reason given"
        msg = f"{target} could not be pushed: {reason}"
        if any(sign in reason.lower() for sign in REFUSED):
            raise NetworkError(
                msg, cause="you are not logged in to the registry", remedy=f"docker login {registry.partition('/')[0]}"
            )
        raise NetworkError(msg, cause="the Docker daemon could not reach the registry", remedy="check its name and the network")
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", run.stdout)
    say(f"pushed {target}")
    return f"{there}/{image.tag.partition(':')[0]}@{digest[1]}" if digest else target


def save(image: PiImage, path: Path, say: OnLine) -> int:
    """Write the image to a compressed file, whole or not at all; returns its size in bytes."""
    staged = path.with_name(f".{path.name}.part")
    say(f"writing {path}")
    try:
        with saying_disk_full(path.parent), staged.open("wb") as file:
            _compress(image.tag, file)
        staged.replace(path)
    except OSError as error:
        msg = f"{path} can't be written: {error.strerror}"
        raise UsageError(msg, remedy="--save takes a file in a folder that exists") from None
    finally:
        staged.unlink(missing_ok=True)
    return path.stat().st_size


def _compress(tag: str, file: BinaryIO) -> None:
    with (
        subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE) as process,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as stream,
    ):
        assert process.stdout
        shutil.copyfileobj(process.stdout, stream, BLOCK)
    if process.returncode:
        msg = f"docker could not write {tag} to a file"
        raise ImageBuildFailed(msg, cause="see the line above", remedy="check the disk, then try again")
