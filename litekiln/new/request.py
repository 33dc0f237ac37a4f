"""The request of `inv new`, checked before any file is read."""

import re
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import UsageError
from litekiln.new.evaluation_formats import FORMATS
from litekiln.recipes.pixels import HOW_TO_FIND_OUT, InputPixels, read_pixels
from litekiln.recipes.recipe import CALLABLE
from litekiln.sources.kinds import BY_NAME, KINDS

LONGEST_NAME = 100
PIXELS_KNOWN = "pipeline.config says it, and a step measures it on the model's own preprocessing"


@dataclass(frozen=True)
class NewRequest:
    """What the user typed; "" for what was left out."""

    name: str
    source: str
    labels: str = ""
    calib: str = ""
    evaluation: str = ""
    format: str = ""
    license: str = ""
    signature: str = ""
    custom: str = ""
    function: str = ""
    mean: str = ""
    std: str = ""
    resize: str = ""


@dataclass(frozen=True)
class CheckedRequest:
    """The same request as paths and numbers; None or "" for what was left out."""

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


def check_request(typed: NewRequest) -> CheckedRequest:
    """The request as paths and numbers. One that can't be right is a UsageError."""
    _check_name(typed.name)
    if not typed.source:
        msg = "--source is empty"
        raise UsageError(msg, remedy="give a path: --source PATH")
    if typed.format not in ("", *FORMATS):
        msg = f"--format {typed.format!r} is unknown"
        raise UsageError(msg, remedy=f"give --format {' or '.join(FORMATS)}; or leave it out")
    if typed.format and not typed.evaluation:
        msg = f"--format {typed.format} without --eval"
        raise UsageError(msg, remedy="give the folder of the evaluation set: --eval DIR")
    if typed.license and not re.fullmatch(r"[A-Za-z0-9.+() :-]+", typed.license):
        msg = f"--license {typed.license!r} is not an SPDX name"
        raise UsageError(
            msg, cause="it may hold only letters, digits and . + -", remedy="--license Apache-2.0, MIT, CC-BY-4.0, ..."
        )
    if typed.function and not re.fullmatch(CALLABLE, typed.function):
        msg = f"--function {typed.function!r} does not name a function"
        raise UsageError(msg, remedy="--function package.module:attribute, as `from package.module import attribute` would find it")
    return CheckedRequest(
        name=typed.name,
        source=_path(typed.source),
        labels=_path(typed.labels) if typed.labels else None,
        calib=_folder("--calib", typed.calib),
        evaluation=_folder("--eval", typed.evaluation),
        format=typed.format,
        license=typed.license,
        signature=typed.signature,
        custom=_python_file(typed.custom),
        function=typed.function,
        pixels=read_pixels(typed.mean, typed.std, typed.resize),
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        words = re.findall(r"[a-z0-9]+(?:[_.-]+[a-z0-9]+)*", name.lower())
        cleaned = "_".join(words)[:LONGEST_NAME].rstrip("_.-") or "my_model"
        msg = f"--name {name!r} is not a good name for a model"
        cause = f"it becomes a folder's name: at most {LONGEST_NAME} of a-z 0-9 _ . -, and not . or - first"
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


def check_fits(request: CheckedRequest, kind: str) -> None:
    """Refuse options that do not fit the kind of the source."""
    row = BY_NAME[kind]
    for other in KINDS:
        if getattr(request, other.option, None) and other is not row:
            flag = f"--{other.option}"
            msg = f"{flag} goes with a source of kind {other.name!r}, but {request.source.name} is of kind {kind!r}"
            raise UsageError(msg, remedy=f"leave {flag} out")
    if row.detector and not request.labels:
        msg = f"--labels is missing: {request.source.name} is a detector (kind {kind!r}), and its classes have names"
        raise UsageError(msg, remedy="give its label map: --labels FILE.pbtxt, or a FILE.txt with one name a line")
    if request.evaluation and not request.labels:
        msg = "--eval without --labels"
        raise UsageError(msg, cause="boxes are compared by the names of their classes", remedy="give the label map: --labels FILE")
    if row.asks_pixels and not request.pixels:
        msg = f"--mean and --std are missing: a source of kind {kind!r} does not say which pixels it takes"
        raise UsageError(msg, cause="a wrong guess converts without an error and finds less", remedy=HOW_TO_FIND_OUT)
    if request.pixels and row.checkpoint:
        msg = f"--mean and --std are not for a source of kind {kind!r}"
        raise UsageError(msg, cause=PIXELS_KNOWN, remedy="leave them out")
