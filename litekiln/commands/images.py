"""`inv images`: build the toolchain images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litekiln.engines.debian_bases import refuse_unknown_kind
from litekiln.engines.images import build_images, list_images
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import select_toolchains
from litekiln.wording import size_text


@dataclass(frozen=True)
class ImagesRequest:
    """The toolchains whose images are built, and their base."""

    toolchains: Sequence[str] = ()
    base: str = "auto"
    list_only: bool = False
    again: bool = False


def images(reporter: Reporter, project: Project, request: ImagesRequest) -> dict[str, Any]:
    """The toolchain images as data. Builds them; with base 'debian' also the bases, from Debian packages."""
    refuse_unknown_kind(request.base)
    selected = select_toolchains(project, request.toolchains)
    if request.list_only:
        found = list_images(project, selected)
    else:
        found = build_images(project, selected, base_kind=request.base, again=request.again, reporter=reporter)
    rows = [
        (
            i.toolchain,
            size_text(i.size) if i.size else "-",
            f"{i.seconds:.0f} s" if i.seconds else "-",
            i.tag,
            i.image_id[7:19] or "not built",
        )
        for i in found
    ]
    reporter.table(("toolchain", "size", "time", "tag", "id"), rows)
    return {"images": [vars(image) for image in found]}
