"""The part of `inv clean` that removes containers and images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litekiln.engines.base import OnLine
from litekiln.engines.daemon import connect
from litekiln.engines.docker import sweep
from litekiln.engines.images import REPOSITORY, image_tag
from litekiln.errors import EngineError
from litekiln.leases import Lease, others_work_since
from litekiln.paths import Project
from litekiln.toolchains.toolchain import select_toolchains

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Removal:
    """Something that was removed (or, in a dry run, would be)."""

    what: str
    size: int


def clean_docker(
    project: Project, lease: Lease, *, images: bool, everything: bool, dry_run: bool, say: OnLine
) -> Iterator[Removal]:
    """Remove containers that killed runs left; with `images` also toolchain images that no lock here uses, with `everything` all.

    Images are shared by all checkouts on a machine, so they stay unless the caller asks for their removal. While another process
    of this project is at work they stay too: it may be about to run a step in one.
    """
    current = set() if everything else {image_tag(project, each) for each in select_toolchains(project, [])}
    try:
        with connect() as client:
            if not dry_run:
                for name in sweep(client, project):
                    yield Removal(name, 0)
            if not images and not everything:
                return
            old = [(tag, image) for image in client.images.list(REPOSITORY) for tag in image.tags if tag not in current]
            for tag, image in old:
                if others_work_since(project.state, lease) is not None:
                    return
                if not dry_run and (why := _kept(client, tag)):
                    say(f"image {tag} was kept: {why}")
                    continue
                yield Removal(f"image {tag}", int(image.attrs["Size"]))
    except EngineError as error:
        say(f"Docker was not cleaned: {error.what}")


def _kept(client: "DockerClient", tag: str) -> str:
    """Remove an image. Why Docker keeps it, or "": a container of another checkout may be running in it."""
    from docker.errors import APIError, ImageNotFound

    try:
        client.images.remove(tag)
    except ImageNotFound:
        return ""
    except APIError as error:
        return str(error.explanation or error)
    return ""
