"""`inv matrix`: what CI should build, as a GitHub Actions matrix. The plan's keys say what a change touches; nothing is run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.commands import matrix_keys
from litekiln.commands.git import NOTHING, commit_of, write_files
from litekiln.errors import LitekilnError, UsageError
from litekiln.hashing import sha256_value
from litekiln.leases import Lease
from litekiln.paths import CODE, Project
from litekiln.plan.plan import HOST
from litekiln.recipes.selection import select_models, select_variants
from litekiln.run.step_errors import common_kind
from litekiln.terminal import Reporter

PER = ("variant", "model")
MOST_LEGS = 256  # what GitHub takes in one matrix
PLANNING_TIME = 120
Keys = dict[str, Any]


@dataclass(frozen=True)
class Leg:
    """A variant to build. `key` tells caches apart, `downloads` is "" where nothing is fetched."""

    model: str
    variant: str
    toolchain: str
    toolchains: tuple[str, ...]
    key: str
    downloads: str
    reason: str


class _Unplannable(Exception):
    """The litekiln of another commit gives no keys."""


@dataclass(frozen=True)
class MatrixRequest:
    """Of which models and variants, since which commit ("" for all there is), and what a leg is."""

    models: Sequence[str] = ()
    variants: Sequence[str] = ()
    changed_since: str = ""
    per: str = "variant"


def matrix(reporter: Reporter, project: Project, request: MatrixRequest) -> dict[str, Any]:
    """The legs, all or those that a change touches."""
    per, changed_since = request.per, request.changed_since
    if per not in PER:
        msg = f"--per {per}: there is no such thing to make a leg of"
        raise UsageError(msg, remedy=f"choose among: {', '.join(PER)}")
    chosen = select_variants(project, select_models(project, request.models), request.variants)
    now = _keys_here(project, chosen)
    before = _keys_before(reporter, project, changed_since) if changed_since else None
    legs = [
        leg
        for model, found in now.items()
        for variant, keys in found.items()
        if (leg := _leg(model, variant, keys, _reason(keys, before, model, variant)))
    ]
    include = (
        [_by_model(legs, model) for model in dict.fromkeys(leg.model for leg in legs)]
        if per == "model"
        else [_data(leg) for leg in legs]
    )
    _show(reporter, legs, sum(map(len, now.values())), changed_since)
    if len(include) > MOST_LEGS:
        msg = f"{len(include)} legs; GitHub takes {MOST_LEGS} in one matrix"
        raise UsageError(msg, remedy="--per model makes one leg of a model's variants; or split them by --models")
    return {"include": include}


def _keys_here(project: Project, chosen: dict[str, list[str]]) -> dict[str, Keys]:
    """The keys of this folder's files as they are. A recipe that can't be planned is an error: CI could not build it either."""
    found: dict[str, Keys] = {}
    errors: dict[str, LitekilnError] = {}
    for model, variants in chosen.items():
        try:
            keys = matrix_keys.keys_of(project, model)
        except LitekilnError as error:
            errors[model] = error
            continue
        found[model] = {variant: each for variant, each in keys.items() if variant in variants or not variants}
    if errors:
        told = "\n".join(f"{model}: {error}" for model, error in errors.items())
        msg = f"{len(errors)} of {len(chosen)} models can't be planned: {', '.join(errors)}\n{told}"
        raise common_kind(list(errors.values()))(msg, remedy="mend what is named above, or choose others with --models")
    return found


def _keys_before(reporter: Reporter, project: Project, ref: str) -> dict[str, Keys] | None:
    """The keys as they were at a commit, said by its own litekiln. None where that is not known: then everything counts."""
    if ref == NOTHING:
        reporter.note("there is no commit before this one (a branch's first push): everything is listed")
        return None
    commit = commit_of(project.work, ref)
    with Lease(project.state) as lease:
        folder = lease.staging / "before"
        write_files(project.work, commit, folder)
        try:
            found = _ask(project, folder)
        except _Unplannable as error:
            reporter.warn(f"{ref} ({commit[:12]}) can't be planned, so everything is listed: {error}")
            return None
    for model, keys in found.items():
        if "error" in keys:
            reporter.note(f"{model} could not be planned at {ref}, so it counts as changed: {keys['error']}")
    return {model: keys.get("variants", {}) for model, keys in found.items()}


def _ask(project: Project, folder: Path) -> dict[str, Any]:
    """Run this version's question in the other commit's litekiln, or in this one where that folder has none."""
    code = folder if all((folder / name).is_dir() for name in ("steps", "toolchains")) else project.code
    package = folder if (folder / "litekiln").is_dir() else CODE
    argv = [sys.executable, "-c", Path(matrix_keys.__file__).read_text(encoding="utf-8"), str(code), str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "LITEKILN_HOME"}  # its hashes stay in its folder
    environment |= {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PLANNING_TIME)
    except subprocess.TimeoutExpired:
        msg = f"its litekiln did not answer within {PLANNING_TIME} s"
        raise _Unplannable(msg) from None
    if done.returncode:
        raise _Unplannable((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _reason(now: Keys, before: dict[str, Keys] | None, model: str, variant: str) -> str:
    """Why a variant is to be built; "" where nothing that decides about it has changed."""
    if before is None:
        return "all"
    if model not in before:
        return "new model"
    if variant not in before[model]:
        return "new variant"
    was, steps = before[model][variant], now["steps"]
    for name, step in steps.items():  # in the plan's order: the first that differs is where the change came in
        if name not in was["steps"]:
            return f"{name}: new step"
        if step["key"] != was["steps"][name]["key"]:
            old, new = was["steps"][name]["ingredients"], step["ingredients"]
            differing = sorted(each for each in {*old, *new} if old.get(each) != new.get(each))
            return f"{name}: {', '.join(differing) or 'how keys are made'}"
    if gone := [name for name in was["steps"] if name not in steps]:
        return f"{gone[0]}: no longer a step"
    return ", ".join(name for name in now["host"] if now["host"][name] != was["host"].get(name))


def _leg(model: str, variant: str, keys: Keys, reason: str) -> Leg | None:
    if not reason:
        return None
    steps = keys["steps"].values()
    toolchains = tuple(dict.fromkeys(step["toolchain"] for step in steps if step["toolchain"] != HOST))
    fetched = sorted(step["key"] for step in steps if step["toolchain"] == HOST)
    key = sha256_value([sorted(step["key"] for step in steps), keys["host"]])
    return Leg(model, variant, keys["toolchain"], toolchains, key, sha256_value(fetched) if fetched else "", reason)


def _data(leg: Leg) -> dict[str, str]:
    """A leg's values are texts: that is what a workflow's expressions and its shell take."""
    return {**vars(leg), "toolchains": " ".join(leg.toolchains)}


def _by_model(legs: list[Leg], model: str) -> dict[str, str]:
    """One leg of all variants of a model that are to be built."""
    own = [leg for leg in legs if leg.model == model]
    fetched = sorted({leg.downloads for leg in own} - {""})
    return {
        "model": model,
        "variants": " ".join(leg.variant for leg in own),
        "toolchains": " ".join(dict.fromkeys(name for leg in own for name in leg.toolchains)),
        "key": sha256_value([leg.key for leg in own]),
        "downloads": sha256_value(fetched) if fetched else "",
        "reason": "; ".join(dict.fromkeys(leg.reason for leg in own)),
    }


def _show(reporter: Reporter, legs: list[Leg], possible: int, since: str) -> None:
    rows = [(leg.model, leg.variant, leg.toolchain, leg.reason) for leg in legs]
    reporter.table(("model", "variant", "toolchain", "why"), rows)
    what = f"{len(legs)} of {possible} variants to build" if legs else "nothing to build"
    reporter.note(f"{what}{f', for what changed since {since}' if since else ''}; nothing was run")
