"""The Pi's image: built by BuildKit, sent to a registry, or written to a file for Pis without a network."""

import gzip
import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from litekiln.disk import saying_disk_full, write_whole
from litekiln.engines.base import OnLine
from litekiln.engines.buildx import build_error, build_platform, require_buildx, titles
from litekiln.engines.debian_bases import Base, make_bases
from litekiln.engines.process import run_logged
from litekiln.errors import ImageBuildFailed, NetworkError, UsageError
from litekiln.hashing import sha256_file
from litekiln.paths import Project
from litekiln.toolchains.lock import PI_PYTHON

if TYPE_CHECKING:
    from docker import DockerClient

PLATFORMS = {"linux/arm64": "arm64", "linux/amd64": "amd64"}  # Docker's names of platforms, and of their processors
PI = "linux/arm64"
BLOCK = 1 << 20
REFUSED = ("unauthorized", "denied", "authentication required", "no basic auth")


@dataclass(frozen=True)
class PiImage:
    """A Pi image that was built, for one platform."""

    tag: str
    platform: str
    image_id: str
    size: int
    seconds: float
    base: str


def chosen_platforms(text: str) -> list[str]:
    """The platforms that a user listed, each once."""
    chosen = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    for unknown in (each for each in chosen or [text] if each not in PLATFORMS):
        remedy = f"choose among {' and '.join(PLATFORMS)}; both: {','.join(PLATFORMS)}"
        raise UsageError(f"--platform {unknown}: there is no image for it", remedy=remedy)
    return chosen


def tags_of(tag: str, platforms: Sequence[str]) -> dict[str, str]:
    """The tag of each platform's image. Of several each has its processor in its name: Docker keeps one image under a tag."""
    return {each: f"{tag}-{PLATFORMS[each]}" if len(platforms) > 1 else tag for each in platforms}


def build_pi_image(
    client: "DockerClient",
    project: Project,
    context: Path,
    tag: str,
    labels: dict[str, str],
    platform: str = PI,
    *,
    base_kind: str,
    say: OnLine,
) -> PiImage:
    require_buildx()
    argv = ["docker", "buildx", "build", "--load", "--progress", "plain", "--platform", platform, "--provenance=false"]
    argv += ["--file", str(project.code / "Dockerfile.pi"), "--tag", tag]
    bases = _bases(client, base_kind, platform)
    for name, base in bases.items():
        argv += ["--build-arg", f"{name}={base}"]
    for name, value in labels.items():
        argv += ["--label", f"{name}={value}"]
    started, log = time.monotonic(), project.state / "logs" / "image-pi.log"
    if run_logged([*argv, str(context)], log, titles(say)):
        raise build_error("the Pi's image", bases.get("BASE", "python:3.11-slim"), log, "the same command with --base debian")
    image = client.images.get(tag)
    shown = bases.get("BASE", "the registry's, pinned in Dockerfile.pi")
    return PiImage(tag, platform, str(image.id), int(image.attrs["Size"]), time.monotonic() - started, shown)


def _bases(client: "DockerClient", kind: str, platform: str) -> dict[str, str]:
    """Build arguments for the base images; empty for the digest-pinned defaults of the Dockerfile."""
    from docker.errors import ImageNotFound

    made = {name: base.tag for name, base in _from_debian(platform).items()}
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


def make_pi_bases(client: "DockerClient", project: Project, platforms: Sequence[str], say: OnLine) -> None:
    """Make the base images from Debian packages, where no registry can be reached."""
    wanted = [base for platform in platforms for base in _from_debian(platform).values()]
    make_bases(client, list(dict.fromkeys(wanted)), project.state / "bases", say)


def _from_debian(platform: str) -> dict[str, Base]:
    """The bases that replace the registry's: one for the image, one for the machine that builds."""
    return {"BASE": Base(PLATFORMS[platform], PI_PYTHON), "BUILD_BASE": Base(PLATFORMS[build_platform()], PI_PYTHON)}


def name_native(client: "DockerClient", tag: str, images: Sequence[PiImage]) -> None:
    """Of several images, give the one of this machine's processor the tag itself, so that `docker run` takes it."""
    for each in images:
        if each.tag != tag and each.platform == build_platform():
            client.images.get(each.tag).tag(*tag.rsplit(":", 1))


def push(client: "DockerClient", tag: str, images: Sequence[PiImage], registry: str, say: OnLine) -> str:
    """Push the images; returns the tag's address with the registry's digest, which is what to pin.

    Several become one name there, under which each machine gets the image of its processor.
    """
    there = registry.rstrip("/")
    pushed = {f"{there}/{each.tag}": _push(client, each.tag, f"{there}/{each.tag}", registry, say) for each in images}
    target = f"{there}/{tag}"
    if target not in pushed:
        pushed[target] = _list_images(target, list(pushed), registry)
        say(f"pushed {target}, for {' and '.join(each.platform for each in images)}")
    return f"{there}/{tag.partition(':')[0]}@{pushed[target]}" if pushed[target] else target


def _list_images(target: str, parts: Sequence[str], registry: str) -> str:
    """Make a name in the registry that lists images; returns its digest."""
    argv = ["docker", "buildx", "imagetools"]
    _run(target, [*argv, "create", "--tag", target, *parts], registry)
    listed = json.loads(_run(target, [*argv, "inspect", "--format", "{{json .Manifest}}", target], registry))
    return str(listed["digest"])


def _push(client: "DockerClient", tag: str, target: str, registry: str, say: OnLine) -> str:
    """Push an image; returns its digest, or "" if Docker doesn't tell."""
    if not client.images.get(tag).tag(target):
        msg = f"{target!r} is not a valid image name"
        raise UsageError(msg, remedy="--push takes a registry and a path: registry.example.org/me")
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", _run(target, ["docker", "push", target], registry))
    say(f"pushed {target}")
    return digest[1] if digest else ""


def _run(target: str, argv: Sequence[str], registry: str) -> str:
    """The output of a command that talks to a registry."""
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    if run.returncode:
        said = (run.stderr.strip() or run.stdout.strip()).splitlines()[-1:]
        reason = said[0] if said else "no reason given"
        msg = f"{target} could not be pushed: {reason}"
        if any(sign in reason.lower() for sign in REFUSED):
            raise NetworkError(
                msg, cause="you are not logged in to the registry", remedy=f"docker login {registry.partition('/')[0]}"
            )
        raise NetworkError(msg, cause="the Docker daemon could not reach the registry", remedy="check its name and the network")
    return run.stdout


def save(images: Sequence[PiImage], path: Path, say: OnLine) -> int:
    """Write the images to a compressed file, whole or not at all, and its SHA-256 beside it; returns its size in bytes."""
    staged, checksum = path.with_name(f".{path.name}.part"), path.with_name(f"{path.name}.sha256")
    say(f"writing {path}")
    try:
        with saying_disk_full(path.parent), staged.open("wb") as file:
            _compress([each.tag for each in images], file)
        line = f"{sha256_file(staged)}  {path.name}\n"  # as sha256sum writes it, and reads it
        checksum.unlink(missing_ok=True)  # an older file's: there is none rather than a wrong one
        staged.replace(path)
        write_whole(checksum, line.encode())
    except OSError as error:
        msg = f"{path} can't be written: {error.strerror}"
        raise UsageError(msg, remedy="--save takes a file in a folder that exists") from None
    finally:
        staged.unlink(missing_ok=True)
    return path.stat().st_size


def _compress(tags: Sequence[str], file: BinaryIO) -> None:
    with (
        subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as process,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as stream,
    ):
        assert process.stdout
        shutil.copyfileobj(process.stdout, stream, BLOCK)
    if process.returncode:
        msg = f"docker could not write {' and '.join(tags)} to a file"
        raise ImageBuildFailed(msg, cause="see the line above", remedy="check the disk, then try again")
