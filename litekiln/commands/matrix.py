"""`inv matrix`: what CI should build, as a GitHub Actions matrix. The plan's keys say what a change affects; nothing is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from litekiln.commands.git import NOTHING, commit_of, write_files
from litekiln.commands.matrix_keys import Before, ModelKeys, StepKey, Unplannable, VariantKeys, ask, keys_of, writers_of
from litekiln.errors import LitekilnError, UsageError
from litekiln.hashing import sha256_value
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import HOST
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.selection import select_models, select_variants
from litekiln.run.step_errors import common_kind
from litekiln.terminal import Reporter

PER = ("variant", "model")
MOST_LEGS = 256  # GitHub's limit for one matrix


@dataclass(frozen=True)
class Leg:
    """A variant to build. `key` tells caches apart. `downloads` is "" if nothing is fetched."""

    model: str
    variant: str
    toolchain: str
    toolchains: tuple[str, ...]
    key: str
    downloads: str
    reason: str


@dataclass(frozen=True)
class MatrixRequest:
    """The models and variants, the commit to compare with ("" for all variants), and what a leg is."""

    models: Sequence[str] = ()
    variants: Sequence[str] = ()
    changed_since: str = ""
    per: str = "variant"


def matrix(reporter: Reporter, project: Project, request: MatrixRequest) -> dict[str, Any]:
    """The legs: all, or those that a change affects."""
    per, changed_since = request.per, request.changed_since
    if per not in PER:
        msg = f"--per {per}: a leg can't be made of that"
        raise UsageError(msg, remedy=f"choose among: {', '.join(PER)}")
    with ReadOnce(project) as once:
        chosen = select_variants(project, select_models(project, request.models), request.variants, once.recipe)
        now, writers = _keys_here(once, chosen), writers_of(project)
    before = _keys_before(reporter, project, changed_since) if changed_since else None
    variants = [
        (model, variant, found)
        for model, keys in now.items()
        for variant, found in (keys.variants or {}).items()
        if variant in chosen[model] or not chosen[model]
    ]
    legs = [
        _leg(model, variant, found, writers, reason)
        for model, variant, found in variants
        if (reason := _reason(now[model], found, writers, before, model, variant))
    ]
    include = (
        [_by_model(model, list(own)) for model, own in groupby(legs, key=attrgetter("model"))]
        if per == "model"
        else [_data(leg) for leg in legs]
    )
    _show(reporter, legs, len(variants), changed_since)
    if len(include) > MOST_LEGS:
        msg = f"{len(include)} legs; GitHub takes {MOST_LEGS} in one matrix"
        raise UsageError(msg, remedy="--per model makes one leg per model; or split them by --models")
    return {"include": include}


def _keys_here(once: ReadOnce, chosen: dict[str, list[str]]) -> dict[str, ModelKeys]:
    """The keys of the current files. A recipe that can't be planned is an error: CI could not build it either."""
    found: dict[str, ModelKeys] = {}
    errors: dict[str, LitekilnError] = {}
    for model in chosen:
        try:
            found[model] = keys_of(once, model)
        except LitekilnError as error:
            errors[model] = error
    if errors:
        lines = "\n".join(f"{model}: {error}" for model, error in errors.items())
        msg = f"{len(errors)} of {len(chosen)} models can't be planned: {', '.join(errors)}\n{lines}"
        raise common_kind(list(errors.values()))(msg, remedy="fix the errors above, or choose others with --models")
    return found


def _keys_before(reporter: Reporter, project: Project, ref: str) -> Before | None:
    """The keys at a commit, as its own litekiln gives them. None if they are not known: then everything counts as changed."""
    if ref == NOTHING:
        reporter.note("there is no commit before this one (a branch's first push): everything is listed")
        return None
    commit = commit_of(project.work, ref)
    with Lease(project.state) as lease:
        folder = lease.staging / "before"
        write_files(project.work, commit, folder)
        try:
            found = ask(folder)
        except Unplannable as error:
            reporter.warn(f"{ref} ({commit[:12]}) can't be planned, so everything is listed: {error}")
            return None
    for model, why in found.unplanned.items():
        reporter.note(f"{model} could not be planned at {ref}, so it counts as changed: {why}")
    return found


def _reason(now: ModelKeys, keys: VariantKeys, writers: str, before: Before | None, model: str, variant: str) -> str:
    """Why a variant must be built; "" if nothing that affects it has changed."""
    if before is None:
        return "all"
    if model in before.unplanned:
        return "could not be planned before"
    if model not in before.models:
        return "new model"
    was = before.models[model]
    if was.variants is None:  # which step serves which variant is not known: a removed step counts for all variants
        return _step_that_differs(keys.steps, was.steps, still=now.steps) or _writers_differ(writers, before)
    if variant not in was.variants:
        return "new variant"
    return _step_that_differs(keys.steps, was.variants[variant].steps, still=keys.steps) or _writers_differ(writers, before)


def _writers_differ(writers: str, before: Before) -> str:
    return "" if writers == before.writers else "bundle"


def _step_that_differs(steps: dict[str, StepKey], were: dict[str, StepKey], *, still: dict[str, StepKey]) -> str:
    """The first step that differs, in the plan's order. An old step that is not in `still` counts as removed."""
    for name, step in steps.items():
        if name not in were:
            return f"{name}: new step"
        if step.key != were[name].key:
            return f"{name}: {_what_differs(step.ingredients, were[name].ingredients)}"
    gone = next((name for name in were if name not in still), "")
    return f"{gone}: no longer a step" if gone else ""


def _what_differs(new: dict[str, str] | None, old: dict[str, str] | None) -> str:
    if new is None or old is None:
        return "another key"
    return ", ".join(sorted(each for each in {*old, *new} if old.get(each) != new.get(each))) or "how keys are made"


def _leg(model: str, variant: str, keys: VariantKeys, writers: str, reason: str) -> Leg:
    steps = keys.steps.values()
    toolchains = tuple(dict.fromkeys(step.toolchain for step in steps if step.toolchain != HOST))
    fetched = sorted(step.key for step in steps if step.toolchain == HOST)
    key = sha256_value([sorted(step.key for step in steps), {"bundle": writers}])
    return Leg(model, variant, keys.toolchain, toolchains, key, sha256_value(fetched) if fetched else "", reason)


def _data(leg: Leg) -> dict[str, str]:
    """A leg as texts, which a workflow's expressions and shell need."""
    return {**vars(leg), "toolchains": " ".join(leg.toolchains)}


def _by_model(model: str, own: list[Leg]) -> dict[str, str]:
    """One leg with all of a model's variants that must be built."""
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
