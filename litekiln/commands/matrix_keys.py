"""What `inv matrix` compares: plans as `inv build --all --dry-run --json` prints them, and the code that writes bundles.

For another commit its own litekiln runs that command, in a folder with its files. This code knows none of its modules.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.commands.prepare import plan_as_data
from litekiln.hashing import sha256_paths
from litekiln.paths import CODE, Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.read_once import ReadOnce

# The code that decides what is in a bundle but is in no step's key; tests/unit/commands/test_matrix_keys.py fails if something
# is missing here. The code of pages is left out: a page is redrawn from the same report, without building a model.
REPORT = ("bundles/report_format.py", "bundles/report_measures.py", "bundles/report_value.py")
WRITERS = ("__init__.py", "wording.py", "run/write_*.py", "bundles/layout.py", *REPORT)
PLANNING_TIME = 120


@dataclass(frozen=True)
class StepKey:
    """A step's key and ingredients. Plans of old commits have no ingredients."""

    key: str
    toolchain: str
    ingredients: dict[str, str] | None


@dataclass(frozen=True)
class VariantKeys:
    """A variant's preferred toolchain, and the steps of all ways to it, in the plan's order."""

    toolchain: str
    steps: dict[str, StepKey]


@dataclass(frozen=True)
class ModelKeys:
    """The steps of a model's plan, and those of each variant. Plans of old commits don't list the variants."""

    steps: dict[str, StepKey]
    variants: dict[str, VariantKeys] | None


@dataclass(frozen=True)
class Before:
    """Another commit's answer: its models' keys, why other models can't be planned, and the hash of its writing code."""

    models: dict[str, ModelKeys]
    unplanned: dict[str, str]
    writers: str


class Unplannable(Exception):
    """The litekiln of another commit gives no keys."""


def keys_of(once: ReadOnce, model: str) -> ModelKeys:
    """A model's keys, with the current code and files. Nothing is fetched."""
    return _read(plan_as_data(plan_build(once.project, once.recipe(model), once=once)))


def writers_of(project: Project) -> str:
    """The hash of the code that writes bundles."""
    return _writers(_code(project.code))


def ask(folder: Path) -> Before:
    """The answer of the litekiln in a folder about the models there. If the folder has none, this one answers."""
    code = _code(folder)
    recipes = sorted(path.parent.name for path in folder.glob("models/*/model.toml"))
    found: dict[str, Any] = _answer(code, folder) if recipes else {}
    try:
        models = {name: _read(value) for name, value in found.items() if not value.get("failures")}
        failed = {name: str(value["failures"][0]["what"]).partition("\n")[0] for name, value in found.items() if name not in models}
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"this litekiln can't read the form of its plans ({type(error).__name__}: {error})"
        raise Unplannable(msg) from None
    silent = {name: "its litekiln doesn't say why" for name in recipes if name not in found}
    return Before(models, {**failed, **silent}, _writers(code))


def _code(folder: Path) -> Path:
    """The folder of the code: the given one if it has litekiln and tasks.py, else this code's own."""
    return folder if (folder / "litekiln").is_dir() and (folder / "tasks.py").is_file() else CODE


def _answer(code: Path, folder: Path) -> dict[str, Any]:
    """What a dry run of a build prints, by model. It fails if a model can't be planned, but still prints the others."""
    argv = [sys.executable, "-m", "invoke", "--search-root", str(code), "build", "--all", "--dry-run", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "LITEKILN_HOME"}  # its hashes stay in its folder
    environment |= {"PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PLANNING_TIME)
    except subprocess.TimeoutExpired:
        msg = f"its litekiln did not answer within {PLANNING_TIME} s"
        raise Unplannable(msg) from None
    try:
        value = json.loads(done.stdout)
        models = value.get("models")
    except (ValueError, AttributeError):
        raise Unplannable((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]) from None
    if not isinstance(models, dict):
        raise Unplannable(str(value.get("what")).partition("\n")[0])
    return models


def _read(value: dict[str, Any]) -> ModelKeys:
    """A plan's keys, from what a dry run prints."""
    steps = {each["id"]: StepKey(each["key"], each["toolchain"], each.get("ingredients")) for each in value["plan"]}
    ways = value.get("variants")
    return ModelKeys(steps, None if ways is None else {variant: _variant(steps, each) for variant, each in ways.items()})


def _variant(steps: dict[str, StepKey], ways: list[dict[str, Any]]) -> VariantKeys:
    wanted = {name for way in ways for name in way["steps"]}
    return VariantKeys(ways[0]["toolchain"], {name: step for name, step in steps.items() if name in wanted})


def writer_files(package: Path) -> list[Path]:
    """The files of a litekiln package that decide what is in a bundle."""
    return sorted(path for pattern in WRITERS for path in package.glob(pattern))


def _writers(code: Path) -> str:
    package = code / "litekiln"
    return sha256_paths(writer_files(package), root=package)
