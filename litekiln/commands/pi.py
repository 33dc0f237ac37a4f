"""`inv pi`: a bundle and the runtime as an arm64 image for a Raspberry Pi."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from litekiln import __version__
from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.buildx import building
from litekiln.engines.daemon import connect
from litekiln.engines.debian_bases import refuse_unknown_kind
from litekiln.engines.names import AUTO
from litekiln.engines.pi_image import build_pi_image, make_pi_bases
from litekiln.engines.pi_image import push as push_image
from litekiln.engines.pi_image import save as save_image
from litekiln.errors import UsageError
from litekiln.named_files import IMAGE, check_target
from litekiln.paths import Project
from litekiln.pi.context import labels, lay_out_context
from litekiln.pi.packages import pi_packages
from litekiln.terminal import Reporter
from litekiln.wording import size_text

TAG = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?")


@dataclass(frozen=True)
class PiRequest:
    """The bundle, and where its image goes besides this machine's Docker; "" for nowhere else."""

    model: str
    variant: str
    tag: str = ""
    base: str = "auto"
    push: str = ""
    save: str = ""
    engine: str = AUTO


def pi(reporter: Reporter, project: Project, request: PiRequest) -> dict[str, Any]:
    """Facts about the image. Checks the bundle, builds the image, and pushes or saves it if requested."""
    model, variant, base, push, save = request.model, request.variant, request.base, request.push, request.save
    tag = request.tag or f"litekiln/{model}:{variant}"
    _refuse_unclear(project, model, variant, tag, base)
    tag = _whole(tag)
    if save:
        check_target("--save", Path(save).absolute(), IMAGE, reads=[project.out / model / variant])
    with connect() as client:
        built = ready_bundle(reporter, project, model, variant, request.engine)
        with reporter.step("packages", "wheels for arm64, by hash; kept for the next image"):
            packages = pi_packages(project)
        if base == "debian":
            make_pi_bases(client, project, reporter.note)
        context, words = project.state / "pi" / "context", labels(built, __version__)
        with building(project, "pi"):
            with reporter.step("image", tag):
                lay_out_context(project, built, packages, context)
                say = partial(reporter.live, "image")
                image = build_pi_image(client, project, context, tag, words, base_kind=base, say=say)
            reporter.done("image", image.seconds, "buildx")
        made: dict[str, Any] = {**vars(image), "model": model, "variant": variant, "labels": words}
        if push:
            made["pushed"] = push_image(client, image, push, reporter.note)
        if save:
            made["saved"], made["saved_size"] = save, save_image(image, Path(save), reporter.note)
    _show(reporter, made)
    return made


def _refuse_unclear(project: Project, model: str, variant: str, tag: str, base: str) -> None:
    refuse_unknown(project, model, variant)
    refuse_unknown_kind(base)
    if not TAG.fullmatch(tag):
        msg = f"{tag!r} can't be the name of an image"
        raise UsageError(msg, cause="a name has small letters, digits, . _ - and / only", remedy="--tag name:version")


def _whole(tag: str) -> str:
    """The tag with a version: for a bare name Docker would save every version that is here."""
    return tag if ":" in tag else f"{tag}:latest"


def _show(reporter: Reporter, made: dict[str, Any]) -> None:
    reporter.note(f"{made['tag']}: {size_text(made['size'])}, base {made['base']}")
    if "saved" in made:
        reporter.note(f"{made['saved']}: {size_text(made['saved_size'])}; on the Pi: docker load -i {Path(made['saved']).name}")
    name = made.get("pushed", made["tag"])
    if "pushed" not in made and "saved" not in made:
        reporter.note(f"to the Pi: docker save {made['tag']} | ssh PI docker load")
    reporter.note(f"on the Pi: docker run --rm -p 8080:8080 --device /dev/video0 {name}")
