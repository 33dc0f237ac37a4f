"""A bundle's report.json: the measurements of this build, their limits, and the verdict."""

from typing import Any

from litekiln import __version__
from litekiln.bundles.report_format import FORMAT, Report
from litekiln.bundles.report_value import new_report
from litekiln.errors import StepFailed
from litekiln.plan.plan import Attempt, Plan
from litekiln.recipes.recipe import Recipe
from litekiln.run.schedule import Run
from litekiln.run.store import Entry
from litekiln.variants import BY_NAME
from litekiln.wording import amount, listed

ELSEWHERE = "measured on this machine; a Raspberry Pi has another processor, and other times"


def chosen_attempt(plan: Plan, run: Run, variant: str) -> Attempt | None:
    """The attempt that made a variant; None if none did."""
    return next((attempt for attempt in plan.variants.get(variant, ()) if run.finished.keys() >= set(attempt.ends)), None)


ELSEWHERE_TOLD = ("format", "pictures", "tensorflow", "inexact")  # the pictures are in the manifest


def build_report(recipe: Recipe, plan: Plan, run: Run, variant: str, command: str) -> Report:
    """The report of a variant's bundle. `command` is the one that makes it again."""
    found = _found(recipe, plan, run, variant)
    try:
        return new_report({**found, "reproduce": f"{command} --variant {variant}"})
    except ValueError as error:
        msg = f"the report of {plan.model}/{variant} could not be written: {error}"
        cause = "a program in steps/ left a result that litekiln/bundles/report_format.py does not describe"
        raise StepFailed(msg, cause=cause, remedy="change one of the two, then build again") from None


def _found(recipe: Recipe, plan: Plan, run: Run, variant: str) -> dict[str, Any]:
    """What the results of the steps say, in the form of report.json."""
    attempt = chosen_attempt(plan, run, variant)
    assert attempt
    exported = run.finished[attempt.exported].entry.result()
    converted = run.finished[attempt.convert].entry.result()
    verified = run.finished[attempt.verify].entry.result()
    annotated = run.finished[attempt.annotate].entry.result()
    measured = run.finished[attempt.measure].entry.result()
    calibrated = run.finished[attempt.calibrate].entry.result() if attempt.calibrate else {}
    calibration = {name: value for name, value in calibrated.items() if name not in ELSEWHERE_TOLD}
    traced = run.finished[attempt.trace].entry.result() if attempt.trace else {}
    parts = (exported, converted, annotated, calibration, verified, traced)
    warnings = [text for part in parts for text in part.get("warnings", [])]
    warnings += _measured_on_its_own(plan, run, attempt, calibrated.get("pictures", []))
    return {
        "format": FORMAT,
        "litekiln": __version__,
        "model": plan.model,
        "variant": variant,
        "verdict": _verdict(calibration, warnings),
        "warnings": warnings,
        "source": {"license": recipe.spec.source.license, **_source(exported)},
        "contract": exported["contract"],
        "file": {
            **{name: converted[name] for name in ("inputs", "outputs", "operators")},
            **{name: annotated[name] for name in ("size", "sha256")},
        },
        "conversion": {
            "toolchain": attempt.toolchain,
            "tensorflow": converted["tensorflow"],
            "attempts": _story(plan, run, variant),
            **_processor(run.finished[attempt.convert].entry, exported, calibrated),
        },
        "calibration": calibration,
        "checks": verified["checks"],
        "parity": {**verified["parity"], "set": attempt.pictures} if "parity" in verified else {},
        "accuracy": verified.get("accuracy", {}),
        "agreement": {**verified["agreement"], "set": attempt.pictures} if "agreement" in verified else {},
        "suspicion": verified.get("suspicion", {}),
        "errors": _errors(traced, variant),
        "edge_tpu": {**verified["edge_tpu"], "compiled": measured["compiled"]},
        "xnnpack": measured["xnnpack"],
        "speed": {**measured["speed"], "note": ELSEWHERE},
        "examples": verified.get("examples", []),
    }


def _measured_on_its_own(plan: Plan, run: Run, attempt: Attempt, calibrated: list[dict[str, str]]) -> list[str]:
    """A warning if pictures that mAP was measured on are among those that the variant was calibrated with."""
    judged = plan.step(attempt.verify)
    if not judged.args.get("evaluation"):
        return []
    used = {each["sha256"] for each in calibrated} - {""}  # noise has no hash
    pictures = judged.inputs["pictures"]
    hashes = run.finished[pictures.step].entry.made() if pictures.step else pictures.files
    both = [name for name, digest in sorted(hashes.items()) if digest in used]
    if not both:
        return []
    what = f"{amount(len(both), 'evaluation picture was', 'evaluation pictures were')} also calibrated with: {listed(both, 3)}"
    return [f"{what}. On new pictures mAP may be lower: choose others for one of the two sets"]


def _processor(entry: Entry, *made: dict[str, Any]) -> dict[str, Any]:
    """What made the file's bytes depend on the processor, if anything did."""
    inexact = sorted({operator for each in made for operator in each.get("inexact", [])})
    return {"inexact": inexact, "processor": entry.record()["processor"]} if inexact else {}


def _errors(traced: dict[str, Any], variant: str) -> dict[str, Any]:
    """Where the error of an integer variant comes from. Variants with the same arithmetic share one measurement."""
    found: dict[str, Any] = traced.get(BY_NAME[variant].family, {})
    return found


def _source(exported: dict[str, Any]) -> dict[str, Any]:
    """How the weights compare with the source's, and which settings were overridden."""
    return {name: exported.get(name, {}) for name in ("weights", "overrides")}


def _verdict(calibration: dict[str, Any], warnings: list[str]) -> str:
    """The verdict. It is never "over its limit": such a file is refused and gets no bundle."""
    if calibration.get("random"):
        return "not for use"
    return "ok, with warnings" if warnings else "ok"


def _story(plan: Plan, run: Run, variant: str) -> list[dict[str, str]]:
    """The toolchains that were tried, each with its outcome."""
    refused: list[dict[str, str]] = []
    for attempt in plan.variants[variant]:
        if run.finished.keys() >= set(attempt.ends):
            return [*refused, {"toolchain": attempt.toolchain, "outcome": "taken"}]
        blamed = [step.id for step in plan.leading_to(*attempt.ends) if step.id in run.failed]
        refused.append({"toolchain": attempt.toolchain, "outcome": run.failed[blamed[0]].what.partition("\n")[0]})
    return refused
