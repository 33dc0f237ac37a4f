"""`inv verify`: what was measured of each variant, with the limit it was held against. What isn't built yet is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litekiln.bundles.layout import bundle_folders
from litekiln.bundles.page import write_model_page
from litekiln.bundles.read import read_bundle
from litekiln.commands.prepare import command
from litekiln.engines.names import AUTO
from litekiln.errors import BundleError, UsageError
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan, Step
from litekiln.recipes.recipe import load_recipe
from litekiln.run.schedule import jobs_to_run
from litekiln.run.session import open_executor
from litekiln.run.write_bundle import Bundle, write_bundles
from litekiln.terminal import Reporter


@dataclass(frozen=True)
class VerifyRequest:
    """Which variants of a model are held against their limits."""

    model: str
    variants: Sequence[str] = ()
    engine: str = AUTO
    force: bool = False


def verify(reporter: Reporter, project: Project, request: VerifyRequest) -> dict[str, Any]:
    """Verify a model's variants by the steps of a build; with `force` again, though the store has what they found."""
    model = request.model
    recipe = load_recipe(project, model)
    choices = Choices(tuple(request.variants))
    plan, typed = plan_build(project, recipe, choices), command(model, choices)
    _refuse_to_replace(project, plan, typed)
    with open_executor(project, request.engine, reporter, jobs_to_run(0)) as (executor, lease):
        run = executor.run(plan, force=_judges if request.force else _nothing)
        bundles = write_bundles(project, recipe, plan, run, lease, typed)
    for bundle in bundles:
        _show(reporter, bundle)
    rows = [(each.variant, each.report["verdict"], _held(each.report)) for each in bundles]
    reporter.table(("variant", "verdict", "held against"), rows)
    if bundles:
        reporter.note(f"the report: {project.relative(write_model_page(project, model, reporter.warn))}")
    if run.error:
        run.error.details = {"verified": [each.variant for each in bundles], "refused": _missing(plan, bundles)}
        raise run.error
    return {"model": model, "variants": {each.variant: each.report for each in bundles}}


def _refuse_to_replace(project: Project, plan: Plan, typed: str) -> None:
    """What was built with options of its own is another file: verifying the recipe's would put that in its place."""
    for folder in bundle_folders(project, plan.model):
        if folder.name not in plan.bundled:
            continue
        try:
            made_by = read_bundle(folder).report.reproduce
        except BundleError:
            continue  # what can't be read is made anew
        wanted = f"{typed} --variant {folder.name}"
        if made_by and made_by.replace("inv legacy ", "inv build ", 1) != wanted:
            msg = f"{project.relative(folder)} was built by another command: {made_by}"
            cause = "inv verify holds what the recipe says against its limits, and would put that in its place"
            raise UsageError(msg, cause=cause, remedy=f"that command verifies as well, run it again; or first: {wanted}")


def _judges(step: Step) -> bool:
    return step.judges


def _nothing(_: Step) -> bool:
    return False


def _missing(plan: Plan, bundles: list[Bundle]) -> list[str]:
    made = {each.variant for each in bundles}
    return [variant for variant in plan.bundled if variant not in made]


def _held(report: dict[str, Any]) -> str:
    parts = {"parity": "its source", "accuracy": "an evaluation set", "agreement": "float32"}
    there = [words for name, words in parts.items() if report[name]]
    return f"{len(report['checks'])} checks of the contract, {', '.join(there) or 'no pictures'}"


def _show(reporter: Reporter, bundle: Bundle) -> None:
    """Every figure of a variant with its limit."""
    rows = [(each["what"], each["found"], each["expected"]) for each in bundle.report["checks"]]
    reporter.table((f"{bundle.variant}: contract", "found", "expected"), rows)
    reporter.table((f"{bundle.variant}: measured", "value", "limit"), _measured(bundle.report))
    for warning in bundle.report["warnings"]:
        reporter.warn(f"{bundle.variant} {warning}")


def _measured(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    parity, accuracy, agreement = report["parity"], report["accuracy"], report["agreement"]
    for each in parity.get("raw", []):
        value = f"{each['max']:g}, {each['relative']:.3g} of its largest value"
        rows.append((f"{each['name']} differs from the source by up to", value, _most(each.get("limit"), "largest")))
        if "mean_limit" in each:
            mean = f"{each['mean']:g}, {each['relative_mean']:.3g} of its mean value"
            rows.append((f"{each['name']} differs from the source by, on average", mean, _most(each["mean_limit"], "mean")))
    if parity.get("detections"):
        rows.append(_likeness("of the source's detections", parity["detections"], "source"))
    if parity.get("own_detections"):
        rows.append(_likeness("of those of the source's own last steps", parity["own_detections"], "source"))
    if accuracy:
        rows.append((f"mAP on {accuracy['protocol']['pictures']} pictures", f"{accuracy['map']:.3f}", ""))
    if "drop_points" in accuracy:
        limit = f"warns above {accuracy['warn_points']:g}, refuses above {accuracy['limit_points']:g}"
        rows.append(("points of mAP lost against float32", f"{accuracy['drop_points']:g}", limit))
    if agreement:
        rows.append(_likeness(f"of float32's detections on {agreement['pictures']} pictures (agreement)", agreement, "detections"))
    errors, xnnpack, tpu = report["errors"], report["xnnpack"], report["edge_tpu"]
    if errors and errors["median_snr_db"] is not None:
        rows.append(("signal to noise in the middle of its tensors", f"{errors['median_snr_db']} dB", ""))
    if "advice" in errors:
        rows.append(("what would help", errors["advice"], ""))
    rows += [_time(each) for each in report["speed"]["threads"]]
    rows.append(("operators that XNNPACK runs", f"{xnnpack['delegated']} of {xnnpack['operators']}", ""))
    rows.append(("Edge TPU", tpu["why"], ""))
    return rows


def _likeness(what: str, found: dict[str, Any], every: str) -> tuple[str, str, str]:
    counted = f"{found['share']:.1%} ({found['matched']} of {found[every]}, {found['extra']} others)"
    if not (found[every] or found["extra"]):
        counted = "neither detects anything"
    limit = f"at least {found['limit']:.0%} at IoU {found['iou']:g}" if "limit" in found else f"at IoU {found['iou']:g}"
    return f"share {what}", counted, limit


def _time(timed: dict[str, Any]) -> tuple[str, str, str]:
    threads = f"{timed['threads']} thread{'' if timed['threads'] == 1 else 's'}"
    return f"one picture on {threads}, here", f"{timed['median_ms']:g} ms", ""


def _most(limit: float | None, value: str) -> str:
    return "" if limit is None else f"{limit:g} of its {value} value"
