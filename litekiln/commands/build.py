"""`inv build` and `inv legacy`: recipe → plan → the engine runs what the store lacks → bundles; for one model or all."""

from typing import Any

from litekiln.bundles.page import write_model_page
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
from litekiln.commands.recorded_hashes import record_hashes, say_whether_recorded
from litekiln.errors import LitekilnError, UsageError
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.run.schedule import jobs_to_run
from litekiln.run.session import open_executor
from litekiln.run.write_bundle import Bundle
from litekiln.terminal import Reporter


def build(reporter: Reporter, project: Project, request: BuildRequest) -> dict[str, Any]:
    """Make the requested bundles. Returns the steps and bundles as data."""
    _refuse_unclear(request)
    if not request.everything:
        return build_model(reporter, project, request)

    from litekiln.commands.build_all import build_all

    return build_all(reporter, project, request)


def _refuse_unclear(request: BuildRequest) -> None:
    """Refuse a request that doesn't name one model or all."""
    if request.jobs < 0:
        msg = f"--jobs {request.jobs}: expected 1 or more"
        raise UsageError(msg, remedy="leave it out: then as many run as processors and memory allow")
    model, models = request.model, request.models
    if request.record and (request.everything or request.dry_run or not request.is_the_recipes):
        msg = "--record is for one model as its recipe says: without --all, --calib, --keep-float, --allow-flex and --dry-run"
        raise UsageError(msg, remedy=f"inv build --model {model or 'NAME'} --record")
    if model and request.everything:
        msg = f"--model {model} and --all: give one of them"
        raise UsageError(msg, remedy=f"inv build --model {model}; for several: inv build --all --models {model},…")
    if models and not request.everything:
        msg = "--models goes with --all"
        raise UsageError(msg, remedy=f"inv build --all --models {','.join(models)}; for one: inv build --model {models[0]}")
    if not model and not request.everything:
        msg = "which model? neither --model nor --all was given"
        raise UsageError(msg, remedy="inv build --model NAME builds one, inv build --all builds all; inv models lists them")


def build_model(reporter: Reporter, project: Project, request: BuildRequest) -> dict[str, Any]:
    """Make one model's bundles. Returns its steps and bundles as data, or its plan with --dry-run."""
    prepared = prepare(reporter, project, request)
    plan = prepared.plan
    if request.dry_run:
        return {"model": plan.model, **show_plan(project, plan, reporter)}
    with open_executor(project, request.engine, reporter, jobs_to_run(request.jobs)) as (executor, lease):
        run = executor.run(plan, force=request.force)
        bundles = prepared.write_bundles(project, run, lease, reporter)
    _show(project, prepared, bundles, reporter)
    if run.error:
        raise _with_what_was_made(run.error, plan, bundles)
    if request.record:
        record_hashes(reporter, project, prepared.recipe, bundles)
    other = say_whether_recorded(reporter, project, prepared.recipe, bundles) if prepared.as_recipe else []
    return {"model": plan.model, **built_as_data(run, bundles), "not_as_recorded": other}


def _show(project: Project, prepared: Prepared, bundles: list[Bundle], reporter: Reporter) -> None:
    plan, older, marks = prepared.plan, prepared.older(project, bundles), []
    reporter.table(BUNDLE_COLUMNS, [bundle_row(project, bundle) for bundle in bundles])
    for warning in warnings_of(bundles):
        reporter.warn(warning)
    made = {bundle.variant for bundle in bundles}
    if missing := [variant for variant in plan.bundled if variant not in made]:
        reporter.warn(f"not made: {', '.join(missing)}")
    if older:
        from litekiln.commands.standing import marks_of, say_left_over

        say_left_over(reporter, older, missing)
        marks = marks_of(older)
    if bundles:
        page = write_model_page(project, plan.model, reporter.warn, marks)
        reporter.note(f"the report: {project.relative(page)}")


def _with_what_was_made(error: LitekilnError, plan: Plan, bundles: list[Bundle]) -> LitekilnError:
    """The error; its details list the variants that were still built."""
    made = [bundle.variant for bundle in bundles]
    error.details = {**error.details, "made": made, "not_made": [variant for variant in plan.bundled if variant not in made]}
    return error
