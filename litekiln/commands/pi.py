"""`inv pi`: a bundle and the runtime as an image for a Raspberry Pi, and for computers if wanted."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from litekiln import __version__
from litekiln.bundles.read import Built
from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.buildx import build_platform, building
from litekiln.engines.daemon import connect
from litekiln.engines.debian_bases import refuse_unknown_kind
from litekiln.engines.names import AUTO
from litekiln.engines.pi_image import PI, PLATFORMS, PiImage, build_pi_image, chosen_platforms, make_pi_bases, name_native, tags_of
from litekiln.engines.pi_image import push as push_images
from litekiln.engines.pi_image import save as save_images
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
    platform: str = PI
    engine: str = AUTO


def pi(reporter: Reporter, project: Project, request: PiRequest) -> dict[str, Any]:
    """Facts about the image. Checks the bundle, builds an image for each platform, and pushes or saves them if requested."""
    model, variant, push, save = request.model, request.variant, request.push, request.save
    tag = request.tag or f"litekiln/{model}:{variant}"
    _refuse_unclear(project, model, variant, tag, request.base)
    tag, platforms = _whole(tag), chosen_platforms(request.platform)
    if save:
        check_target("--save", Path(save).absolute(), IMAGE, reads=[project.out / model / variant])
    with connect() as client:
        built = ready_bundle(reporter, project, model, variant, request.engine)
        if request.base == "debian":
            make_pi_bases(client, project, platforms, reporter.note)
        build = partial(build_pi_image, client, project, base_kind=request.base)
        with building(project, "pi"):
            images = [_build(reporter, project, built, name, each, build) for each, name in tags_of(tag, platforms).items()]
            name_native(client, tag, images)
        made: dict[str, Any] = {
            **vars(images[0]),
            "tag": tag,
            "model": model,
            "variant": variant,
            "labels": labels(built, __version__),
        }
        if len(images) > 1:
            made["images"] = [vars(each) for each in images]
        if push:
            made["pushed"] = push_images(client, tag, images, push, reporter.note)
        if save:
            made["saved"], made["saved_size"] = save, save_images(images, Path(save), reporter.note)
    _show(reporter, made, images)
    return made


def _build(reporter: Reporter, project: Project, built: Built, tag: str, platform: str, build: Callable[..., PiImage]) -> PiImage:
    """The image for one platform."""
    processor = PLATFORMS[platform]
    with reporter.step("packages", f"wheels for {processor}, by hash; kept for the next image"):
        packages = pi_packages(project, processor)
    context = project.state / "pi" / "context" / processor
    with reporter.step("image", tag):
        lay_out_context(project, built, packages, context)
        say = partial(reporter.live, "image")
        image = build(context, tag, labels(built, __version__), platform, say=say)
    reporter.done("image", image.seconds, "buildx")
    return image


def _refuse_unclear(project: Project, model: str, variant: str, tag: str, base: str) -> None:
    refuse_unknown(project, model, variant)
    refuse_unknown_kind(base)
    if not TAG.fullmatch(tag):
        msg = f"{tag!r} can't be the name of an image"
        raise UsageError(msg, cause="a name has small letters, digits, . _ - and / only", remedy="--tag name:version")


def _whole(tag: str) -> str:
    """The tag with a version: for a bare name Docker would save every version that is here."""
    return tag if ":" in tag else f"{tag}:latest"


def _show(reporter: Reporter, made: dict[str, Any], images: Sequence[PiImage]) -> None:
    for each in images:
        reporter.note(f"{each.tag}: {size_text(each.size)}, base {each.base}")
    native = next((each for each in images if each.tag != made["tag"] and each.platform == build_platform()), None)
    if native:
        reporter.note(f"{made['tag']} is {native.tag}, for this computer's processor")
    for_a_pi = next((each.tag for each in images if each.platform == PI), "")
    where = "on the Pi: " if for_a_pi else "there: "
    if "saved" in made:
        reporter.note(f"{made['saved']}: {size_text(made['saved_size'])}; {where}docker load -i {Path(made['saved']).name}")
    if for_a_pi and "pushed" not in made and "saved" not in made:
        reporter.note(f"to the Pi: docker save {for_a_pi} | ssh PI docker load")
    name = made.get("pushed", for_a_pi or made["tag"])
    reporter.note(f"{where}docker run --rm -p 8080:8080 --device /dev/video0 {name}")
