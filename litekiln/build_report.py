"""A bundle's report.json: what was measured in this build, the limit it was held against, and the verdict."""

from typing import Any

from litekiln import __version__
from litekiln.plan import Attempt, Plan
from litekiln.recipes import Recipe
from litekiln.schedule import Run

FORMAT = 1
REFERENCE = "float32"
POINTS = 100  # mAP is a share; people speak of points


def chosen_attempt(plan: Plan, run: Run, variant: str) -> Attempt | None:
    """The way by which a variant was made, if it was."""
    return next((attempt for attempt in plan.variants.get(variant, ()) if attempt.verify in run.finished), None)


def build_report(recipe: Recipe, plan: Plan, run: Run, variant: str) -> dict[str, Any]:
    """Everything a person needs to trust a bundle, or not to."""
    attempt = chosen_attempt(plan, run, variant)
    assert attempt
    exported = run.finished[attempt.exported].entry.result()
    converted = run.finished[attempt.convert].entry.result()
    verified = run.finished[attempt.verify].entry.result()
    calibration = _calibration(plan, run, attempt)
    accuracy = _accuracy(recipe, plan, run, verified)
    warnings = [text for part in (exported, converted, calibration, accuracy) for text in part.get("warnings", [])]
    return {
        "format": FORMAT,
        "litekiln": __version__,
        "model": plan.model,
        "variant": variant,
        "verdict": _verdict(calibration, accuracy, warnings),
        "warnings": warnings,
        "source": {"license": recipe.spec.source.license, **_source(exported)},
        "contract": exported["contract"],
        "file": {name: converted[name] for name in ("inputs", "outputs", "operators")},
        "conversion": {
            "toolchain": attempt.toolchain,
            "tensorflow": converted["tensorflow"],
            "attempts": _story(plan, run, variant),
        },
        "calibration": calibration,
        "accuracy": accuracy,
        "example": verified.get("example", []),
    }


def _source(exported: dict[str, Any]) -> dict[str, Any]:
    """What was proven of the source's weights, and what of it was overridden."""
    return {name: exported.get(name, {}) for name in ("weights", "overrides")}


def _verdict(calibration: dict[str, Any], accuracy: dict[str, Any], warnings: list[str]) -> str:
    if calibration.get("random"):
        return "not for use"
    if not accuracy.get("within_limit", True):
        return "over its limit"
    return "ok, with warnings" if warnings else "ok"


def _story(plan: Plan, run: Run, variant: str) -> list[dict[str, str]]:
    """Which toolchains were tried, and what became of it."""
    told: list[dict[str, str]] = []
    for attempt in plan.variants[variant]:
        if attempt.verify in run.finished:
            return [*told, {"toolchain": attempt.toolchain, "outcome": "taken"}]
        blamed = [step.id for step in plan.leading_to(attempt.verify) if step.id in run.failed]
        told.append({"toolchain": attempt.toolchain, "outcome": run.failed[blamed[0]].what.partition("\n")[0]})
    return told


def _calibration(plan: Plan, run: Run, attempt: Attempt) -> dict[str, Any]:
    """What was seen of the pictures; their list is in the manifest."""
    for step in plan.leading_to(attempt.verify):
        if step.program == "calibrate.py":
            result = run.finished[step.id].entry.result()
            return {name: value for name, value in result.items() if name not in ("format", "pictures", "tensorflow")}
    return {}


def _accuracy(recipe: Recipe, plan: Plan, run: Run, verified: dict[str, Any]) -> dict[str, Any]:
    """mAP, and what it lost against float32 on the same pictures."""
    if "accuracy" not in verified:
        return {}
    reference = chosen_attempt(plan, run, REFERENCE)
    if not reference:
        unknown = "is not compared with float32, which could not be built: what it lost is not known"
        return {**verified["accuracy"], "warnings": [unknown]}
    against = run.finished[reference.verify].entry.result()["accuracy"]["map"]
    drop = round((against - verified["accuracy"]["map"]) * POINTS, 2)
    limit = recipe.spec.verify.max_map_drop
    lost = f"loses {drop} points of mAP against float32, the limit is {limit}"
    return {
        **verified["accuracy"],
        "reference_map": against,
        "drop_points": drop,
        "limit_points": limit,
        "within_limit": drop <= limit,
        "warnings": [] if drop <= limit else [lost],
    }
