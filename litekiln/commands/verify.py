"""`inv verify`: the measurements of each variant with their limits. Variants that aren't built yet are built."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from litekiln.bundles import figures
from litekiln.bundles.layout import bundle_folders
from litekiln.bundles.page import write_model_page
from litekiln.bundles.read import read_bundle
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_measures import Accuracy, Agreement, Matched, Parity, given
from litekiln.bundles.report_value import report_value
from litekiln.commands.choices import command
from litekiln.commands.standing import Standings, marks_of, say_left_over
from litekiln.engines.names import AUTO
from litekiln.errors import UsageError
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
    """Which variants of a model are compared with their limits."""

    model: str
    variants: Sequence[str] = ()
    engine: str = AUTO
    force: bool = False


def verify(reporter: Reporter, project: Project, request: VerifyRequest) -> dict[str, Any]:
    """The reports of a model's variants, verified by the steps of a build. `force` runs the judging steps again."""
    model = request.model
    recipe = load_recipe(project, model)
    choices = Choices(tuple(request.variants))
    plan, typed = plan_build(project, recipe, choices), command(model, choices)
    _refuse_to_replace(project, plan, typed)
    with open_executor(project, request.engine, reporter, jobs_to_run(0)) as (executor, lease):
        run = executor.run(plan, force=_judges if request.force else _nothing)
        bundles = write_bundles(project, recipe, plan, run, lease, typed, reporter.warn)
    for bundle in bundles:
        _show(reporter, bundle)
    rows = [(each.variant, each.report.verdict, _held(each.report)) for each in bundles]
    reporter.table(("variant", "verdict", "compared with"), rows)
    known = [] if request.variants else [(plan, typed)]
    standings = Standings(project, *known).of_model(model)
    say_left_over(reporter, standings, _missing(plan, bundles))
    if bundles:
        page = write_model_page(project, model, reporter.warn, marks_of(standings))
        reporter.note(f"the report: {project.relative(page)}")
    if run.error:
        run.error.details = {"verified": [each.variant for each in bundles], "refused": _missing(plan, bundles)}
        raise run.error
    return {"model": model, "variants": {each.variant: report_value(each.report) for each in bundles}}


def _refuse_to_replace(project: Project, plan: Plan, typed: str) -> None:
    """Raise if a bundle was built with other options: verifying would replace it with the recipe's."""
    for folder in bundle_folders(project, plan.model):
        if folder.name not in plan.bundled:
            continue
        made_by = read_bundle(folder).report.reproduce
        wanted = f"{typed} --variant {folder.name}"
        if made_by and made_by.replace("inv legacy ", "inv build ", 1) != wanted:
            msg = f"{project.relative(folder)} was built by another command: {made_by}"
            cause = "inv verify builds what the recipe says, and would replace this bundle"
            raise UsageError(msg, cause=cause, remedy=f"run that command again, it also verifies; or first: {wanted}")


def _judges(step: Step) -> bool:
    return step.judges


def _nothing(_: Step) -> bool:
    return False


def _missing(plan: Plan, bundles: list[Bundle]) -> list[str]:
    made = {each.variant for each in bundles}
    return [variant for variant in plan.bundled if variant not in made]


def _held(report: Report) -> str:
    parts = {"its source": report.parity, "an evaluation set": report.accuracy, "float32": report.agreement}
    there = [words for words, part in parts.items() if part]
    return f"{len(report.checks)} checks of the contract, {', '.join(there) or 'no pictures'}"


def _show(reporter: Reporter, bundle: Bundle) -> None:
    """Every figure of a variant with its limit."""
    rows = [(each.what, each.found, each.expected) for each in bundle.report.checks]
    reporter.table((f"{bundle.variant}: contract", "found", "expected"), rows)
    reporter.table((f"{bundle.variant}: measured", "value", "limit"), list(_measured(bundle.report)))
    for warning in bundle.report.warnings:
        reporter.warn(f"{bundle.variant} {warning}")


Row = tuple[str, str, str]  # what was measured, its value, its limit


def _measured(report: Report) -> Iterator[Row]:
    if report.parity:
        yield from _beside_source(report.parity)
    if report.accuracy:
        yield from _right(report, report.accuracy)
    if found := report.agreement:
        what = f"share of float32's detections on {found.pictures} pictures (agreement)"
        yield what, _counted(found, found.detections), _least(found)
    if report.errors and report.errors.median_snr_db is not None:
        yield "median signal to noise of its tensors", f"{report.errors.median_snr_db} dB", ""
    if report.errors and (advice := given(report.errors.advice)) is not None:
        yield "what would help", advice, ""
    for each in report.speed.threads if report.speed else []:
        yield (
            f"one picture on {each.threads} thread{'' if each.threads == 1 else 's'}, here",
            figures.milliseconds(each.median_ms),
            "",
        )
    if report.xnnpack:
        yield "operators that XNNPACK runs", f"{report.xnnpack.delegated} of {report.xnnpack.operators}", ""
    if report.edge_tpu:
        yield "Edge TPU", report.edge_tpu.why, ""


def _beside_source(parity: Parity) -> Iterator[Row]:
    for each in parity.raw:
        value = f"{each.max:g}, {each.relative:.3g} of its largest value"
        yield f"{each.name} differs from the source by up to", value, _most(given(each.limit), "largest")
        if (limit := given(each.mean_limit)) is not None:
            mean = f"{each.mean:g}, {each.relative_mean:.3g} of its mean value"
            yield f"{each.name} differs on average from the source by", mean, _most(limit, "mean")
    if found := given(parity.detections):
        yield "share of the source's detections", _counted(found, found.source), _least(found)
    if found := given(parity.own_detections):
        yield "share of the detections of the source's own last steps", _counted(found, found.source), _least(found)


def _right(report: Report, accuracy: Accuracy) -> Iterator[Row]:
    on = f" on {accuracy.protocol.pictures} pictures" if accuracy.protocol else ""
    yield f"mAP{on}", f"{figures.map_text(report)}{_chance(given(accuracy.error), '.3f')}", ""
    lost, warn, most = (given(each) for each in (accuracy.drop_points, accuracy.warn_points, accuracy.limit_points))
    if lost is not None:  # not rounded as in tables: it is compared with its limits
        chance = _chance(given(accuracy.drop_error), "g")
        yield "points of mAP lost against float32", f"{lost:g}{chance}", f"warns above {warn:g}, refuses above {most:g}"


def _chance(error: float | None, form: str) -> str:
    """How far chance moves a figure."""
    return "" if error is None else f" ± {error:{form}}"


def _counted(found: Matched | Agreement, wanted: int) -> str:
    if not (wanted or found.extra):
        return "neither detects anything"
    return f"{figures.percent(found.share)} ({found.matched} of {wanted}, {found.extra} others)"


def _least(found: Matched | Agreement) -> str:
    limit, at = given(found.limit), f"at IoU {found.iou:g}"
    return at if limit is None else f"at least {figures.percent(limit)} {at}"


def _most(limit: float | None, value: str) -> str:
    return "" if limit is None else f"{limit:g} of its {value} value"
