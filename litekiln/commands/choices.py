"""What a build was asked besides its recipe: as choices for the plan, and as the command to type for the same bundles."""

import shlex
from pathlib import Path

from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.picture_sets import RANDOM, SET, PictureSet

FLAGS = {"--raw": "raw", "--force-export": "force_export", "--allow-flex": "allow_flex"}


def command(model: str, choices: Choices, calib: str = "", *, legacy: bool = False) -> str:
    """What to type for the same bundles, without the variant."""
    parts = [
        "inv",
        "legacy" if legacy else "build",
        "--model",
        model,
        *(["--calib", Path(calib).name if Path(calib).is_absolute() else calib] if calib else []),
    ]
    parts += [flag for flag, name in FLAGS.items() if getattr(choices, name)]
    for name in choices.keep_float:
        parts += ["--keep-float", name]
    return shlex.join(parts)


def choices_of(project: Project, typed: str) -> Choices:
    """The choices of a command that `command` gave. Raises UsageError if they can't be had again."""
    try:
        words = iter(shlex.split(typed)[2:])
    except ValueError:
        words = iter([typed])
    flags, kept, calib = set(), [], ""
    for word in words:
        if word in FLAGS:
            flags.add(FLAGS[word])
        elif word == "--calib":
            calib = next(words, "")
        elif word == "--keep-float":
            kept.append(next(words, ""))
        elif word in ("--model", "--variant"):
            next(words, "")
        else:
            msg = f"the command in its report can't be read: {typed}"
            raise UsageError(msg, cause="another version of litekiln wrote it")
    return Choices(
        calibration=calibration_set(project, calib),
        noise=calib == RANDOM,
        raw="raw" in flags,
        force_export="force_export" in flags,
        allow_flex="allow_flex" in flags,
        keep_float=tuple(kept),
    )


def calibration_set(project: Project, calib: str, once: ReadOnce | None = None) -> PictureSet | None:
    """The pictures that `--calib` names: a folder, or a set below calib/."""
    if not calib or calib == RANDOM:
        return None
    once, folder = once or ReadOnce(project), Path(calib).resolve()
    if calib not in once.set_names and folder.is_dir():
        if (folder / SET).is_file() and folder.is_relative_to(project.calib.resolve()):
            return once.picture_set(folder.relative_to(project.calib.resolve()).as_posix())  # a set's path, completed by a shell
        return once.pictures_in(folder)
    return once.picture_set(calib)
