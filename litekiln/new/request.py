"""What `inv new` was asked for, held to what can be right before anything is looked into."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from litekiln.errors import UsageError
from litekiln.new.evaluation_formats import FORMATS
from litekiln.recipes.recipe import CHANNELS, CHECKPOINT_KINDS, DETECTION_KINDS, FUNCTION, TOLD_KINDS, InputPixels, Kind

LONGEST_NAME = 100
RESIZES = ("stretch", "letterbox")
HOW_TO_FIND_OUT = (
    "look at what the training did with pixels from 0 to 255 before they went into the model: divided by 127.5, minus 1: "
    "--mean 127.5 --std 127.5; divided by 255: --mean 0 --std 255; nothing, or the model's own first layer does it: "
    "--mean 0 --std 1; ImageNet's means: --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375"
)
PIXELS_KNOWN = "pipeline.config says what it has to be, and that is measured on the model's own preprocessing"


@dataclass(frozen=True)
class Wish:
    """What was typed, as paths and numbers; None or '' for what was left out."""

    name: str
    source: Path
    labels: Path | None
    calib: Path | None
    evaluation: Path | None
    format: str
    license: str
    signature: str
    custom: Path | None
    function: str
    pixels: InputPixels | None


def read_wish(
    *,
    name: str,
    source: str,
    labels: str,
    calib: str,
    evaluation: str,
    format: str,  # noqa: A002 - the flag's name
    license: str,  # noqa: A002 - the flag's name
    signature: str = "",
    custom: str = "",
    function: str = "",
    mean: str = "",
    std: str = "",
    resize: str = "",
) -> Wish:
    _check_name(name)
    if not source:
        msg = "--source is empty"
        raise UsageError(msg, remedy="give a path: --source PATH")
    if format not in ("", *FORMATS):
        msg = f"--format {format!r} is unknown"
        raise UsageError(msg, remedy=f"choose among: {', '.join(FORMATS)}; or leave it out")
    if format and not evaluation:
        msg = f"--format {format} without --eval"
        raise UsageError(msg, remedy="give the folder whose form it is: --eval DIR")
    if license and not re.fullmatch(r"[A-Za-z0-9.+() :-]+", license):
        msg = f"--license {license!r} is no SPDX name"
        raise UsageError(msg, cause="these hold letters, digits and . + - only", remedy="--license Apache-2.0, MIT, CC-BY-4.0, ...")
    if function and not re.fullmatch(FUNCTION, function):
        msg = f"--function {function!r} names no function"
        raise UsageError(msg, remedy="--function package.module:attribute, as `from package.module import attribute` would find it")
    return Wish(
        name=name,
        source=_path(source),
        labels=_path(labels) if labels else None,
        calib=_folder("--calib", calib),
        evaluation=_folder("--eval", evaluation),
        format=format,
        license=license,
        signature=signature,
        custom=_python_file(custom),
        function=function,
        pixels=read_pixels(mean, std, resize),
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        cleaned = re.sub(r"[^a-z0-9_.-]+", "_", name.lower()).lstrip(".-").strip("_")[:LONGEST_NAME] or "my_model"
        msg = f"--name {name!r} is no good name for a model"
        cause = f"it becomes a folder's name: at most {LONGEST_NAME} of a-z 0-9 _ . -, not beginning with . or -"
        raise UsageError(msg, cause=cause, remedy=f"--name {cleaned}")


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _folder(flag: str, text: str) -> Path | None:
    if text and not _path(text).is_dir():
        msg = f"{flag} {text}: {'not a' if _path(text).exists() else 'no such'} folder"
        raise UsageError(msg, remedy=f"give the folder that holds the pictures: {flag} DIR")
    return _path(text) if text else None


def _python_file(text: str) -> Path | None:
    if text and not (_path(text).is_file() and text.endswith(".py")):
        msg = f"--custom {text}: {'not a Python file' if _path(text).exists() else 'no such file'}"
        raise UsageError(msg, remedy="give the file that defines the model's own classes: --custom FILE.py")
    return _path(text) if text else None


def read_pixels(mean: str, std: str, resize: str) -> InputPixels | None:
    if not mean and not std:
        if resize:
            msg = f"--resize {resize} without --mean and --std"
            raise UsageError(msg, remedy="give all three, or none where a pipeline.config says it")
        return None
    if not mean or not std:
        missing, given = ("--std", "--mean") if mean else ("--mean", "--std")
        msg = f"{given} without {missing}"
        raise UsageError(msg, cause="the network takes (pixel - mean) / std", remedy=HOW_TO_FIND_OUT)
    if resize not in ("", *RESIZES):
        msg = f"--resize {resize!r} is unknown"
        raise UsageError(msg, remedy=f"choose among: {' and '.join(RESIZES)}")
    try:
        pixels = InputPixels(mean=_numbers("--mean", mean), std=_numbers("--std", std), resize=resize or "stretch")  # type: ignore[arg-type]
    except ValueError as error:
        msg = f"--{error}"
        raise UsageError(msg, remedy=HOW_TO_FIND_OUT) from None
    return pixels


def _numbers(flag: str, text: str) -> float | list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, CHANNELS) or not all(math.isfinite(each) for each in numbers):
        msg = f"{flag} {text!r}: expected one number, or three with commas between: red,green,blue"
        raise UsageError(msg, remedy=HOW_TO_FIND_OUT)
    return numbers[0] if len(numbers) == 1 else numbers


def check_fits(wish: Wish, kind: str) -> None:
    """Whether what was typed goes with what the source turned out to be."""
    assert kind in get_args(Kind)
    for flag, value, owner in (
        ("--signature", wish.signature, "saved-model"),
        ("--custom", wish.custom, "keras"),
        ("--function", wish.function, "function"),
    ):
        if value and kind != owner:
            msg = f"{flag} goes with a source of kind {owner!r}, {wish.source.name} is of kind {kind!r}"
            raise UsageError(msg, remedy=f"leave {flag} out")
    if kind in DETECTION_KINDS and not wish.labels:
        msg = f"--labels is missing: {wish.source.name} is a detector (kind {kind!r}), and its classes have names"
        raise UsageError(msg, remedy="give its label map: --labels FILE.pbtxt, or a FILE.txt with one name a line")
    if wish.evaluation and not wish.labels:
        msg = "--eval without --labels"
        raise UsageError(msg, cause="boxes are compared by the names of their classes", remedy="give the label map: --labels FILE")
    if kind in TOLD_KINDS and not wish.pixels:
        msg = f"--mean and --std are missing: a source of kind {kind!r} does not say what its pixels have to be"
        raise UsageError(msg, cause="a wrong guess converts without an error and finds less", remedy=HOW_TO_FIND_OUT)
    if wish.pixels and kind in CHECKPOINT_KINDS:
        msg = f"--mean and --std are not for a source of kind {kind!r}"
        raise UsageError(msg, cause=PIXELS_KNOWN, remedy="leave them out")
