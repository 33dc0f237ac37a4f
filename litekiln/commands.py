"""What the tasks do: one function per command. Each returns plain data for `--json` and prints for people through the reporter."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from litekiln.bundle import write_bundles
from litekiln.check import Status
from litekiln.errors import LockOutOfDate, Unhealthy, UsageError
from litekiln.executor import Executor, Finished
from litekiln.lease import Lease, sweep_staging
from litekiln.paths import Project, find_project
from litekiln.plan import Plan
from litekiln.planner import plan_build, plan_smoke
from litekiln.recipes import load_recipe, recipe_names
from litekiln.report import Reporter, size_text
from litekiln.store import Store, saying_disk_full
from litekiln.toolchains import select_toolchains

if TYPE_CHECKING:
    from litekiln.engines.base import Engine
    from litekiln.lock import Lock

HOST = "host"
ENGINES = ("auto", "docker", "venv", "here")


@contextmanager
def _executor(project: Project, engine: str, reporter: Reporter) -> Iterator[tuple[Executor, Lease]]:
    if engine not in ENGINES:
        msg = f"unknown engine {engine!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(ENGINES)}")
    with ExitStack() as stack:
        with saying_disk_full(project.state):
            sweep_staging(project.state)
            lease = stack.enter_context(Lease(project.state))
        executor = Executor(project, lambda: _engine(engine, project, lease, reporter), lease, reporter)
        yield stack.enter_context(executor), lease


def _engine(name: str, project: Project, lease: Lease, reporter: Reporter) -> "Engine":
    from litekiln.engines.choose import choose_engine

    return choose_engine(name, project, lease, reporter.note)


def build(reporter: Reporter, *, model: str, variants: list[str], engine: str, force: bool, dry_run: bool) -> dict[str, Any]:
    """recipe → plan → engine runs what the store lacks → bundles."""
    project = find_project()
    plan = plan_build(project, load_recipe(project, model), variants)
    if dry_run:
        return _show_plan(project, plan, reporter)
    with _executor(project, engine, reporter) as (executor, lease):
        run = executor.run(plan, force=force)
        bundles = write_bundles(project, plan, run.finished, lease)
    rows = [
        (b.variant, size_text(b.size), f"{b.seconds:.1f} s", b.input_type, b.sha256[:12], project.relative(b.folder))
        for b in bundles
    ]
    reporter.table(("variant", "size", "time", "input", "sha256", "path"), rows)
    return {
        "model": model,
        "steps": _steps(run.complete()),
        "bundles": [
            {"variant": b.variant, "path": str(b.folder), "size": b.size, "sha256": b.sha256, "input_type": b.input_type}
            for b in bundles
        ],
    }


def _show_plan(project: Project, plan: Plan, reporter: Reporter) -> dict[str, Any]:
    store = Store(project.state)
    stored = {step.id: step.key in store for step in plan.steps}
    rows = [(step.id, step.toolchain, step.key[:12], "up to date" if stored[step.id] else "to do") for step in plan.steps]
    reporter.table(("step", "toolchain", "key", "state"), rows)
    reporter.note(f"{len(plan.steps)} steps, {sum(not there for there in stored.values())} to do; nothing was run")
    steps = [{"id": step.id, "toolchain": step.toolchain, "key": step.key, "stored": stored[step.id]} for step in plan.steps]
    return {"model": plan.model, "plan": steps}


def _steps(finished: dict[str, Finished]) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "key": run.step.key,
            "toolchain": run.step.toolchain,
            "reason": run.reason,
            "seconds": round(run.seconds, 2),
            "engine": run.engine,
            "result": run.entry.result(),
        }
        for name, run in finished.items()
    ]


def smoke(reporter: Reporter, *, toolchains: list[str], engine: str, force: bool) -> dict[str, Any]:
    """Each toolchain's smoke program, through the same plan, store and engine as everything else."""
    project = find_project()
    runs = {}
    with _executor(project, engine, reporter) as (executor, _):
        for toolchain in select_toolchains(project, toolchains):
            reporter.note(f"toolchain {toolchain.name}: TensorFlow {toolchain.spec.tensorflow}, Python {toolchain.spec.python}")
            runs[toolchain.name] = _steps(executor.run(plan_smoke(project, toolchain), force=force).complete())
    return {"toolchains": runs}


def models(reporter: Reporter) -> dict[str, Any]:
    """The recipes there are, and what of each is built."""
    project = find_project()
    found: list[dict[str, Any]] = []
    for name in recipe_names(project):
        recipe = load_recipe(project, name)
        built = sorted(path.parent.name for path in (project.out / name).glob("*/manifest.json"))
        source = recipe.spec.source
        variants = list(recipe.spec.convert.variants)
        found.append({"name": name, "kind": source.kind, "license": source.license, "variants": variants, "built": built})
    rows = [(m["name"], m["kind"], m["license"], " ".join(m["variants"]), " ".join(m["built"]) or "-") for m in found]
    reporter.table(("model", "kind", "licence", "variants", "built"), rows)
    return {"models": found}


def lock(reporter: Reporter, *, toolchains: list[str], check: bool, upgrade: bool) -> dict[str, Any]:
    """Compile locks, show what changes; write it, or with `check` refuse it."""
    from litekiln.lock import compile_lock

    project = find_project()
    stale = []
    for each in _locks(project, toolchains):
        result = compile_lock(each, upgrade=upgrade)
        if not result.diff:
            reporter.note(f"{each.name}: {project.relative(each.path)} is up to date")
            continue
        stale.append(each.name)
        sys.stderr.write(result.diff)
        if not check:
            each.path.write_text(result.text, encoding="utf-8")
            reporter.note(f"{each.name}: wrote {project.relative(each.path)}")
    if check and stale:
        msg = f"out of date: {', '.join(stale)}"
        cause = "the inputs were edited, or the lock was edited by hand"
        raise LockOutOfDate(msg, cause=cause, remedy="`inv lock` writes what the diff above shows; commit it")
    return {"changed": stale}


def _locks(project: Project, names: list[str]) -> "list[Lock]":
    from litekiln.lock import host_locks, toolchain_lock

    wanted = [name for name in names if name != HOST]
    locks = [toolchain_lock(each) for each in select_toolchains(project, wanted, locked=False)] if wanted or not names else []
    return [*(host_locks(project) if HOST in names or not names else []), *locks]


def images(reporter: Reporter, *, toolchains: list[str], base: str, list_only: bool, again: bool) -> dict[str, Any]:
    """Build the toolchain images; with base 'debian' the bases too, from Debian packages."""
    from litekiln.engines.images import BASE_KINDS, build_images, list_images

    project = find_project()
    if base not in BASE_KINDS:
        msg = f"unknown base {base!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(BASE_KINDS)}")
    selected = select_toolchains(project, toolchains)
    if list_only:
        found = list_images(project, selected)
    else:
        found = build_images(project, selected, base_kind=base, again=again, reporter=reporter)
    rows = [
        (
            i.toolchain,
            size_text(i.size) if i.size else "-",
            f"{i.seconds:.0f} s" if i.seconds else "-",
            i.tag,
            i.image_id[7:19] or "not built",
        )
        for i in found
    ]
    reporter.table(("toolchain", "size", "time", "tag", "id"), rows)
    return {"images": [vars(image) for image in found]}


def doctor(reporter: Reporter, *, store: bool) -> dict[str, Any]:
    """Check the machine; a check that fails makes the exit code."""
    from litekiln.doctor import examine

    checks = examine(find_project(), store=store)
    for check in checks:
        reporter.check(check)
    failed = [check.name for check in checks if check.status is Status.FAIL]
    value = {"ok": not failed, "checks": [{**vars(check), "status": check.status.value} for check in checks]}
    if failed:
        msg = f"not ready: {', '.join(failed)}"
        raise Unhealthy(msg, remedy="what stands behind each line above", details=value)
    return value


def clean(
    reporter: Reporter, *, older_than: float, max_size: float, images: bool, everything: bool, dry_run: bool
) -> dict[str, Any]:
    """Free disk space within the limits given; without any, what killed runs left and environments of other locks."""
    from litekiln.clean import clean_environments, clean_leftovers, clean_store
    from litekiln.engines.cleaning import clean_docker

    project = find_project()
    age, size = (0.0, 0.0) if everything else (older_than if older_than >= 0 else None, max_size if max_size >= 0 else None)
    with Lease(project.state) as lease:
        removals = [
            *clean_leftovers(project, dry_run=dry_run),
            *clean_store(project, lease, older_than_days=age, max_gigabytes=size, dry_run=dry_run),
            *clean_environments(project, lease, everything=everything, dry_run=dry_run),
            *clean_docker(project, images=images, everything=everything, dry_run=dry_run, say=reporter.note),
        ]
    reporter.table(("removed" if not dry_run else "would go", "size"), [(each.what, size_text(each.size)) for each in removals])
    total = sum(each.size for each in removals)
    reporter.note(f"{len(removals)} things, {size_text(total)}{', nothing was removed' if dry_run else ''}")
    return {"removed": [vars(each) for each in removals], "bytes": total, "dry_run": dry_run}
