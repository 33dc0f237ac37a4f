"""Builds toolchain images: one per toolchain, all from Dockerfile.export. The tag is a hash of everything that goes in."""

import shlex
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.engines.base import OnLine
from litekiln.engines.buildx import build_error, building, require_buildx, titles
from litekiln.engines.daemon import connect
from litekiln.engines.debian_bases import Base, debian_base_tag, make_bases
from litekiln.engines.process import run_logged
from litekiln.hashing import sha256_file, sha256_paths, sha256_value
from litekiln.network_settings import ca_bundle, index_url
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.toolchains.lock import require_current
from litekiln.toolchains.toolchain import Toolchain, changed_meanwhile

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY = "litekiln/toolchain"
HOST_PYTHON = "3.11"


@dataclass(frozen=True)
class BuiltImage:
    """An image, and how it was built."""

    toolchain: str
    tag: str
    image_id: str
    size: int
    seconds: float
    base: str


def image_tag(project: Project, toolchain: Toolchain) -> str:
    """The image's tag, from everything that decides what the image can do.

    Step programs are mounted and the host package's code may be old, so both are left out.
    """
    code = project.code
    smoke = sha256_paths([code / "steps" / "smoke.py", code / "steps" / "protocol.py"], root=code)
    host = [
        sha256_file(code / name)
        for name in ("Dockerfile.export", "requirements.lock", "toolchains/build-env.sh", "toolchains/smoke.sh")
    ]
    content = sha256_value([toolchain.environment_hash, toolchain.spec_hash, smoke, host])
    return f"{REPOSITORY}:{toolchain.name}-{content[:12]}"


def ensure_image(client: "DockerClient", project: Project, toolchain: Toolchain, say: OnLine) -> str:
    """The tag of the toolchain's image, which is built if it is missing."""
    from docker.errors import ImageNotFound

    tag = image_tag(project, toolchain)
    with building(project, toolchain.name):
        try:
            client.images.get(tag)
        except ImageNotFound:
            say(f"building the {toolchain.name} image, once: some minutes")
            _build(client, project, toolchain, base_kind="auto", say=say)
    return tag


def build_image(client: "DockerClient", project: Project, toolchain: Toolchain, *, base_kind: str, say: OnLine) -> BuiltImage:
    """Build one image, even if it exists. Unchanged layers come from BuildKit's cache."""
    require_current(toolchain)
    with building(project, toolchain.name):
        return _build(client, project, toolchain, base_kind=base_kind, say=say)


def _build(client: "DockerClient", project: Project, toolchain: Toolchain, *, base_kind: str, say: OnLine) -> BuiltImage:
    require_buildx()
    tag = image_tag(project, toolchain)
    base, host_base = _bases(client, toolchain, base_kind)
    argv = ["docker", "buildx", "build", "--load", "--progress", "plain", "--platform", "linux/amd64"]
    argv += ["--file", str(project.code / "Dockerfile.export"), "--tag", tag, "--build-arg", f"BASE={base}"]
    argv += ["--build-arg", f"TOOLCHAIN={toolchain.name}", *(["--build-arg", f"HOST_BASE={host_base}"] if host_base else [])]
    started = time.monotonic()
    log = project.state / "logs" / f"image-{toolchain.name}.log"
    with tempfile.TemporaryDirectory() as scratch:
        command = [*argv, *_secrets(Path(scratch)), str(project.code)]
        code = run_logged(command, log, titles(say))
    if code:
        raise build_error(
            f"the {toolchain.name} image", base, log, "`inv images --base debian`; or work without Docker: --engine venv"
        )
    if image_tag(project, toolchain.read_again()) != tag:
        client.images.remove(tag)
        raise changed_meanwhile(toolchain, f"the {toolchain.name} image")
    image = client.images.get(tag)
    size = int(image.attrs["Size"])
    return BuiltImage(toolchain.name, tag, str(image.id), size, time.monotonic() - started, base)


def _bases(client: "DockerClient", toolchain: Toolchain, base_kind: str) -> tuple[str, str]:
    """The base of the toolchain, and that of the host's Python: '' for the digest-pinned default of the Dockerfile."""
    from docker.errors import ImageNotFound

    base, host = debian_base_tag(toolchain.spec.python), debian_base_tag(HOST_PYTHON)
    if base_kind == "auto":
        try:
            client.images.get(base)
            client.images.get(host)
        except ImageNotFound:
            base_kind = "registry"
    return (toolchain.spec.base, "") if base_kind == "registry" else (base, host)


def _secrets(scratch: Path) -> list[str]:
    """Options that give the build this machine's CA bundle and package index as secrets, so neither ends up in a layer."""
    options: list[str] = []
    bundle, index = ca_bundle(), index_url()
    if bundle:
        options += ["--secret", f"id=ca,src={bundle}"]
    if index:
        lines = [f"export {name}={shlex.quote(index)}\n" for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")]
        (scratch / "index").write_text("".join(lines), encoding="utf-8")
        options += ["--secret", f"id=index,src={scratch / 'index'}"]
    return options


def build_images(
    project: Project, toolchains: list[Toolchain], *, base_kind: str, again: bool, reporter: Reporter
) -> list[BuiltImage]:
    """Build several images and, from Debian packages, their bases and the base of the Pi's images."""
    built = []
    with connect() as client:
        require_buildx()
        make = partial(make_bases, client, scratch=project.state / "bases", say=reporter.note, again=again)
        if base_kind == "debian":
            make([Base("amd64", python) for python in sorted({HOST_PYTHON, *(each.spec.python for each in toolchains)})])
        for toolchain in toolchains:
            name = f"image {toolchain.name}"
            with reporter.step(name, "unchanged layers come from BuildKit's cache"):
                image = build_image(client, project, toolchain, base_kind=base_kind, say=partial(reporter.live, name))
            reporter.done(name, image.seconds, "buildx")
            built.append(image)
        if base_kind == "debian":
            make([Base("arm64", HOST_PYTHON)])
    return built


def list_images(project: Project, toolchains: list[Toolchain]) -> list[BuiltImage]:
    """The image of each toolchain. Its id is empty if it is not built."""
    tags = {toolchain.name: image_tag(project, toolchain) for toolchain in toolchains}
    with connect() as client:
        there = {tag: image for image in client.images.list(REPOSITORY) for tag in image.tags}
    found = []
    for name, tag in tags.items():
        image = there.get(tag)
        found.append(BuiltImage(name, tag, str(image.id) if image else "", int(image.attrs["Size"]) if image else 0, 0.0, ""))
    return found
