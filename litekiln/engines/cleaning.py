"""The part of `inv clean` that removes containers and images."""

from collections.abc import Iterator
from dataclasses import dataclass

from litekiln.engines.base import OnLine
from litekiln.engines.daemon import connect
from litekiln.engines.docker import sweep
from litekiln.engines.images import REPOSITORY, image_tag
from litekiln.errors import EngineError
from litekiln.paths import Project
from litekiln.toolchains.toolchain import select_toolchains


@dataclass(frozen=True)
class Removal:
    """Something that was removed (or, in a dry run, would be)."""

    what: str
    size: int


def clean_docker(project: Project, *, images: bool, everything: bool, dry_run: bool, say: OnLine) -> Iterator[Removal]:
    """Remove containers that killed runs left; with `images` also toolchain images that no lock here uses, with `everything` all.

    Images are shared by all checkouts on a machine, so they stay unless the caller asks for their removal.
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
                if not dry_run:
                    client.images.remove(tag)
                yield Removal(f"image {tag}", int(image.attrs["Size"]))
    except EngineError as error:
        say(f"Docker was not cleaned: {error.what}")
