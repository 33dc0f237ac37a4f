"""`inv build --all`: every recipe in one run. It continues after a failure and ends with a table of what failed and why.

The models' plans run as one, so jobs stay busy whichever model has a step ready. A model's bundles are written as soon as
nothing more can be made of it, so a run that is stopped keeps what it finished.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from litekiln.bundles.page import ModelPages
from litekiln.commands.choices import calibration_set
from litekiln.commands.prepare import (
    BUNDLE_COLUMNS,
    BuildRequest,
    Prepared,
    built_as_data,
    bundle_row,
    prepare,
    show_plan,
    warnings_of,
)
from litekiln.commands.recorded_hashes import say_whether_recorded
from litekiln.commands.standing import Standing, marks_of, say_left_over
from litekiln.errors import EngineError, LitekilnError, StoreError
from litekiln.hashing import FileHashes
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.selection import select_models, select_variants
from litekiln.run.merged_plans import Several
from litekiln.run.schedule import Run, blamed_for, jobs_to_run
from litekiln.run.session import open_executor
from litekiln.run.step_errors import common_kind
from litekiln.run.write_bundle import Bundle
from litekiln.terminal import Reporter

ENDS_ALL = (EngineError, StoreError)  # without an engine or a disk no model can be built


@dataclass(frozen=True)
class Failure:
    """Why variants of a model were not made."""

    model: str
    variants: tuple[str, ...]  # () for all requested variants
    step: str  # "" if no step failed
    error: LitekilnError

    @property
    def why(self) -> str:
        return self.error.what.partition("\n")[0]

    @property
    def log(self) -> str:
        return str(self.error.details.get("log", ""))

    def as_data(self) -> dict[str, Any]:
        return {"variants": list(self.variants), "step": self.step, **self.error.as_dict()}


@dataclass
class _Outcome:
    """The results of each model so far."""

    runs: dict[str, Run] = field(default_factory=dict)
    bundles: dict[str, list[Bundle]] = field(default_factory=dict)
    standings: dict[str, list[Standing]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        return list(dict.fromkeys(failure.model for failure in self.failures))

    def as_data(self) -> dict[str, Any]:
        return {
            model: {
                **(built_as_data(self.runs[model], self.bundles[model]) if model in self.runs else {"steps": [], "bundles": []}),
                "failures": [failure.as_data() for failure in self.failures if failure.model == model],
            }
            for model in sorted({*self.runs, *self.failed})
        }


def build_all(reporter: Reporter, project: Project, request: BuildRequest) -> dict[str, Any]:
    """Make the bundles of all models, or of the named ones. Returns their steps and bundles as data."""
    names = select_models(project, request.models)
    outcome = _Outcome()
    with ReadOnce(project) as once:
        calibration_set(project, request.calib, once)  # checked once: a wrong --calib would fail for every model
        prepared = _prepare(reporter, once, names, request, outcome)
    requested = len({*prepared, *outcome.failed})  # skips models that have none of the requested variants
    if request.dry_run:
        plans = {name: {**_show_plan(reporter, project, each.plan), "failures": []} for name, each in prepared.items()}
        unplanned = {each.model: {"plan": [], "variants": {}, "failures": [each.as_data()]} for each in outcome.failures}
        return _end(reporter, requested, outcome, {**plans, **unplanned})
    try:
        _run(reporter, project, prepared, request, outcome)
    except LitekilnError as error:
        _show(reporter, project, prepared, outcome)
        error.details = {**error.details, "models": outcome.as_data()}
        raise
    _show(reporter, project, prepared, outcome)
    return _end(reporter, requested, outcome, outcome.as_data())


def _prepare(reporter: Reporter, once: ReadOnce, names: list[str], request: BuildRequest, outcome: _Outcome) -> dict[str, Prepared]:
    """Each model with its plan. A model that can't be planned is added to the failures, and the others continue."""
    prepared, project = {}, once.project
    for name, variants in select_variants(project, names, request.variants, once.recipe).items():
        asked = replace(request, model=name, variants=variants)
        try:
            prepared[name] = prepare(reporter, project, asked, fetch_as=f"{name}: fetch", once=once)
        except ENDS_ALL:
            raise
        except LitekilnError as error:
            reporter.failed(name, error.what.partition("\n")[0])
            outcome.failures.append(Failure(name, (), "", error))
    return prepared


def _run(reporter: Reporter, project: Project, prepared: dict[str, Prepared], request: BuildRequest, outcome: _Outcome) -> None:
    if not prepared:
        return
    hashes = FileHashes(project.state)
    pages = ModelPages(project, hashes)
    with open_executor(project, request.engine, reporter, jobs_to_run(request.jobs)) as (executor, lease):

        def done(model: str, run: Run) -> None:
            outcome.runs[model], outcome.bundles[model], outcome.standings[model] = run, [], []
            outcome.bundles[model] = prepared[model].write_bundles(project, run, lease, reporter, hashes)
            outcome.standings[model] = prepared[model].older(project, outcome.bundles[model])
            if outcome.bundles[model]:
                pages.write(model, reporter.warn, marks_of(outcome.standings[model]))
            outcome.failures.extend(_failures(prepared[model].plan, run))

        try:
            executor.run_several(Several([each.plan for each in prepared.values()]), force=request.force, done=done)
        finally:
            hashes.save()
            pages.save()


def _failures(plan: Plan, run: Run) -> list[Failure]:
    """One failure for each failed step, with its lost variants. Variants that serve only for comparing are left out."""
    cost: dict[str, list[str]] = {}
    for variant, steps in blamed_for(plan, run.finished, run.failed).items():
        if variant in plan.bundled:
            for step in steps[:1]:
                cost.setdefault(step, []).append(variant)
    whole = len(plan.bundled)
    return [Failure(plan.model, tuple(lost) if len(lost) < whole else (), step, run.failed[step]) for step, lost in cost.items()]


def _show_plan(reporter: Reporter, project: Project, plan: Plan) -> dict[str, Any]:
    reporter.note(f"model {plan.model}")
    return show_plan(project, plan, reporter)


def _show(reporter: Reporter, project: Project, prepared: dict[str, Prepared], outcome: _Outcome) -> None:
    rows = [(model, *bundle_row(project, bundle)) for model in sorted(outcome.bundles) for bundle in outcome.bundles[model]]
    reporter.table(("model", *BUNDLE_COLUMNS), rows)
    for model in sorted(outcome.bundles):
        for warning in warnings_of(outcome.bundles[model]):
            reporter.warn(f"{model}: {warning}")
    failures = sorted(outcome.failures, key=lambda failure: failure.model)
    logs = [project.relative(Path(each.log)) if each.log else "-" for each in failures]
    shown = [(each.model, " ".join(each.variants) or "all", log, each.why) for each, log in zip(failures, logs, strict=True)]
    reporter.table(("failed", "variants", "log", "why"), shown)
    for model in sorted(outcome.bundles):
        made = {bundle.variant for bundle in outcome.bundles[model]}
        say_left_over(reporter, outcome.standings[model], [each for each in prepared[model].plan.bundled if each not in made])
        if prepared[model].as_recipe:
            say_whether_recorded(reporter, project, prepared[model].recipe, outcome.bundles[model])


def _end(reporter: Reporter, requested: int, outcome: _Outcome, models: dict[str, Any]) -> dict[str, Any]:
    """The value of a run without failures. Else raises an error of the kind that all failures share."""
    if not outcome.failures:
        if outcome.runs:
            reporter.note(f"all {requested} models are built")
        return {"models": models}
    msg = f"{len(outcome.failed)} of {requested} models failed, wholly or in part: {', '.join(sorted(outcome.failed))}"
    kind = common_kind([failure.error for failure in outcome.failures])
    remedy = "see the table above; the same command continues where this one ended. A model's whole error: inv build --model NAME"
    raise kind(msg, remedy=remedy, details={"models": models})
