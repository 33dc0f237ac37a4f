"""The Pi's runtime natively, as a process of its own: the same code that the image holds, on the machine of the tests."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

CODE = {"PYTHONPATH": os.pathsep.join((str(ROOT / "pi"), str(ROOT / "steps"))), "PYTHONDONTWRITEBYTECODE": "1"}
PROGRAM = [sys.executable, "-m", "litekiln_pi"]
Detections = list[dict[str, Any]]


def environment(bundle: Path, **more: str) -> dict[str, str]:
    return {**os.environ, **CODE, "LITEKILN_BUNDLE": str(bundle), **more}


def run(bundle: Path, *arguments: str, given: bytes = b"", cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    argv = [*PROGRAM, *arguments]
    done = subprocess.run(argv, env=environment(bundle), input=given, cwd=cwd, capture_output=True, check=False, timeout=120)
    return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


def lines(run: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def same(first: Detections, second: Detections) -> None:
    """Names alike, boxes within a pixel, scores within a hundredth: processors round in another order."""
    assert [each["name"] for each in first] == [each["name"] for each in second]
    for one, other in zip(first, second, strict=True):
        assert abs(one["score"] - other["score"]) < 0.01, (one, other)
        assert max(abs(a - b) for a, b in zip(one["box"], other["box"], strict=True)) < 1.0, (one, other)


def pictures_of(bundle: Path, target: Path) -> list[Path]:
    """The bundle's examples in a folder of their own."""
    target.mkdir()
    return [Path(shutil.copy(path, target / path.name)) for path in sorted((bundle / "examples").iterdir())]
