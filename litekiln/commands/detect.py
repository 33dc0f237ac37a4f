"""`inv detect`: what a bundle detects in pictures, on this computer, by the Pi's runtime."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.names import AUTO
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.pi.desk import run_bundle
from litekiln.terminal import Reporter

EXAMPLES = "examples/"  # in a bundle


@dataclass(frozen=True)
class DetectRequest:
    """The bundle and the pictures; without pictures its own examples. `keep` returns the lines instead of printing them."""

    model: str
    variant: str
    pictures: Sequence[str] = ()
    out: str = ""
    threshold: str = ""
    engine: str = AUTO
    keep: bool = False


def detect(reporter: Reporter, project: Project, request: DetectRequest) -> dict[str, Any]:
    """The runtime's exit code, and with `keep` what it detects. It prints a line of JSON for each picture."""
    refuse_unknown(project, request.model, request.variant)
    _check_files(request)
    built = ready_bundle(reporter, project, request.model, request.variant, request.engine)
    pictures = list(request.pictures)
    if not pictures:
        pictures = [str(path) for name, path in sorted(built.files.items()) if name.startswith(EXAMPLES)]
        reporter.note(f"no picture is named: these are the examples of {built.name}")
    options = [f"--{name}={value}" for name, value in (("out", request.out), ("threshold", request.threshold)) if value]
    ended = run_bundle(project, built, "detect", ["detect", *options, "--", *pictures], reporter.note, keep=request.keep)
    if request.out and Path(request.out).is_dir():
        reporter.note(f"pictures with boxes are in {request.out}")
    detected = [json.loads(line) for line in ended.output.splitlines()]
    return {**({"pictures": detected} if request.keep else {}), "exit_code": ended.exit_code}


def _check_files(request: DetectRequest) -> None:
    """Refuse what can't be read or written, before a build that takes minutes."""
    for each in request.pictures:
        if not Path(each).exists():
            cause = "only files and folders are read" if "://" in each else "it is looked for in the current folder"
            raise UsageError(f"{each}: there is no such file", cause=cause, remedy="name pictures, or folders of pictures")
    if request.out and Path(request.out).exists() and not Path(request.out).is_dir():
        msg = f"--out {request.out}: that is not a folder"
        raise UsageError(msg, remedy="name a folder for the pictures with boxes; it is made if it is missing")
