"""What the tasks do: one function per command. Each returns plain data for `--json` and prints for people through the reporter."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litekiln.check import Status
from litekiln.commands import build as building
from litekiln.errors import LitekilnError, LockOutOfDate, Unhealthy
from litekiln.paths import Project, find_project
from litekiln.plan.build_plan import plan_smoke
from litekiln.recipes.recipe import CHECKPOINT_KINDS, Recipe, load_recipe, recipe_names
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter, size_text
from litekiln.toolchains.toolchain import select_toolchains

if TYPE_CHECKING:
    from litekiln.toolchains.lock import Lock

HOST = "host"


def build(
    reporter: Reporter, *, model: str = "", everything: bool = False, models: Sequence[str] = (), **arguments: Any
) -> dict[str, Any]:
    """recipe → plan → engine runs what the store lacks → bundles; of one model, or of all."""
    from litekiln.commands.build_all import build_all, refuse_unclear

    refuse_unclear(model, models, everything=everything)
    if everything:
        return build_all(reporter, find_project(), models=models, **arguments)
    return building.build(reporter, find_project(), model=model, **arguments)


def legacy(reporter: Reporter, *, raw: bool, force_export: bool, **arguments: Any) -> dict[str, Any]:
    """The same for a model of TF1's, with what only those can be asked for."""
    wish = building.Legacy(raw=raw, force_export=force_export)
    return building.build(reporter, find_project(), legacy=wish, **arguments)


def new(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """A model of the user's own becomes models/<name>/."""
    from litekiln.new.model import new_model

    return new_model(reporter, find_project(), **arguments)


def smoke(reporter: Reporter, *, toolchains: list[str], engine: str, force: bool) -> dict[str, Any]:
    """Each toolchain's smoke program, through the same plan, store and engine as everything else."""
    project = find_project()
    runs = {}
    with open_executor(project, engine, reporter) as (executor, _):
        for toolchain in select_toolchains(project, toolchains):
            reporter.note(f"toolchain {toolchain.name}: TensorFlow {toolchain.spec.tensorflow}, Python {toolchain.spec.python}")
            runs[toolchain.name] = building.steps_as_data(executor.run(plan_smoke(project, toolchain), force=force).complete())
    return {"toolchains": runs}


def verify(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """Every figure that a model's variants were held to."""
    from litekiln.commands.verify import verify as verify_model

    return verify_model(reporter, find_project(), **arguments)


def pi(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """A bundle as an arm64 image."""
    from litekiln.commands.pi import pi as make_image

    return make_image(reporter, find_project(), **arguments)


def graph(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """A picture of a .tflite file's graph."""
    from litekiln.commands.graph import draw_graph

    return draw_graph(reporter, find_project(), **arguments)


def lint(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """What is wrong with .tflite files that were made elsewhere."""
    from litekiln.commands.lint import lint as lint_files

    return lint_files(reporter, **arguments)


def report(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """What a model's bundles are worth, and the page that shows it."""
    from litekiln.commands.report import show_report

    return show_report(reporter, find_project(), **arguments)


def compare(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """Two builds side by side."""
    from litekiln.bundles.compare import compare_builds

    return compare_builds(reporter, find_project(), **arguments)


def models(reporter: Reporter) -> dict[str, Any]:
    """The recipes there are, and what of each is built."""
    project = find_project()
    found = [_model(project, load_recipe(project, name)) for name in recipe_names(project)]
    rows = [
        (
            each["name"],
            each["kind"],
            each["input"] or "once built",
            str(each["published_map"] or "-"),
            each["license"],
            " ".join(each["variants"]),
            " ".join(each["built"]) or "-",
        )
        for each in found
    ]
    reporter.table(("model", "kind", "input size", "mAP", "licence", "variants", "built"), rows)
    return {"models": found}


def _model(project: Project, recipe: Recipe) -> dict[str, Any]:
    source = recipe.spec.source
    return {
        "name": recipe.name,
        "kind": source.kind,
        "input": _input_size(project, recipe),
        "published_map": source.published_map,
        "license": source.license,
        "variants": list(recipe.spec.convert.variants),
        "built": sorted(path.parent.name for path in (project.out / recipe.name).glob("*/manifest.json")),
    }


def _input_size(project: Project, recipe: Recipe) -> str:
    """From the source, never from the recipe or a name; '' while it isn't here and nothing is built."""
    if recipe.spec.source.kind not in CHECKPOINT_KINDS:
        return _input_size_of_file(recipe) or _input_size_of_bundle(project, recipe)
    from litekiln.formats.pipeline_config import read_pipeline
    from litekiln.plan.build_plan import source_config

    try:
        config = source_config(project, recipe)
        found = read_pipeline(config) if config else None
    except LitekilnError:
        return "unreadable"
    return f"{found.width}x{found.height}" if found else ""


def _input_size_of_file(recipe: Recipe) -> str:
    """Where the source has no pipeline.config but lies beside its recipe: its own word. A function has to be run for it."""
    from litekiln.sources.recognise import Named, recognise

    source = recipe.spec.source
    if source.url or source.kind == "function":
        return ""
    custom = recipe.folder / source.custom if source.custom else None
    try:
        return recognise(recipe.folder / (source.file or source.folder), Named(source.signature, custom)).size
    except LitekilnError:
        return "unreadable"


def _input_size_of_bundle(project: Project, recipe: Recipe) -> str:
    """Where only running the source tells, or fetching it, what was built tells; '' before that."""
    for path in sorted((project.out / recipe.name).glob("*/report.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):  # reading the report says what is wrong with one
            contract = json.loads(path.read_text(encoding="utf-8"))["contract"]
            return f"{contract['width']}x{contract['height']}"
    return ""


def matrix(reporter: Reporter, **arguments: Any) -> dict[str, Any]:
    """What CI should build."""
    from litekiln.commands.matrix import matrix as list_legs

    return list_legs(reporter, find_project(), **arguments)


def lock(reporter: Reporter, *, toolchains: list[str], check: bool, upgrade: bool) -> dict[str, Any]:
    """Compile locks, show what changes; write it, or with `check` refuse it."""
    from litekiln.toolchains.lock import compile_lock

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
    from litekiln.toolchains.lock import host_locks, toolchain_lock

    wanted = [name for name in names if name != HOST]
    locks = [toolchain_lock(each) for each in select_toolchains(project, wanted, locked=False)] if wanted or not names else []
    return [*(host_locks(project) if HOST in names or not names else []), *locks]


def images(reporter: Reporter, *, toolchains: list[str], base: str, list_only: bool, again: bool) -> dict[str, Any]:
    """Build the toolchain images; with base 'debian' the bases too, from Debian packages."""
    from litekiln.engines.debian_bases import refuse_unknown_kind
    from litekiln.engines.images import build_images, list_images

    project = find_project()
    refuse_unknown_kind(base)
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
    from litekiln.commands.doctor import examine

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
    from litekiln.commands.clean import clean_downloads, clean_environments, clean_leftovers, clean_store
    from litekiln.engines.cleaning import clean_docker
    from litekiln.leases import Lease

    project = find_project()
    age, size = (0.0, 0.0) if everything else (older_than if older_than >= 0 else None, max_size if max_size >= 0 else None)
    with Lease(project.state) as lease:
        removals = [
            *clean_leftovers(project, dry_run=dry_run),
            *(clean_downloads(project, dry_run=dry_run) if everything else []),
            *clean_store(project, lease, older_than_days=age, max_gigabytes=size, dry_run=dry_run),
            *clean_environments(project, lease, everything=everything, dry_run=dry_run),
            *clean_docker(project, images=images, everything=everything, dry_run=dry_run, say=reporter.note),
        ]
    reporter.table(("removed" if not dry_run else "would go", "size"), [(each.what, size_text(each.size)) for each in removals])
    total = sum(each.size for each in removals)
    reporter.note(f"{len(removals)} things, {size_text(total)}{', nothing was removed' if dry_run else ''}")
    return {"removed": [vars(each) for each in removals], "bytes": total, "dry_run": dry_run}
