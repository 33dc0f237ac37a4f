"""A bundle that the Pi's runtime may run: for `inv pi`, `inv detect` and `inv camera`."""

from pathlib import Path

from litekiln.bundles.layout import MANIFEST, SELFTEST
from litekiln.bundles.manifest import plain_command
from litekiln.bundles.read import Built, read_bundle
from litekiln.commands.build import build_model
from litekiln.commands.prepare import BuildRequest
from litekiln.commands.standing import OUT_OF_DATE, Standings, say_standings
from litekiln.errors import BundleError
from litekiln.paths import Project
from litekiln.recipes.selection import select_models, select_variants
from litekiln.terminal import Reporter

NOT_FOR_USE = ("not for use", "over its limit")


def refuse_unknown(project: Project, model: str, variant: str) -> None:
    """Refuse a model or variant that no recipe has, before anything else is looked at."""
    select_variants(project, select_models(project, [model]), [variant])


def ready_bundle(reporter: Reporter, project: Project, model: str, variant: str, engine: str) -> Built:
    """The bundle, built first if it is missing or out of date. Refuses one that is unfit for use, or not as it was built."""
    folder = project.out / model / variant
    if why := _why_to_build(reporter, project, folder):
        reporter.note(f"{project.relative(folder)} is {why}: building it")
        build_model(reporter, project, BuildRequest(model=model, variants=[variant], engine=engine))
    built = read_bundle(folder)
    if built.report.verdict in NOT_FOR_USE:
        msg = f"{built.name} is {built.report.verdict}"
        raise BundleError(msg, cause="its report says why", remedy=f"inv report --model {model}")
    if not (folder / SELFTEST).is_file():
        msg = f"{built.name} has no {SELFTEST}, which a Pi needs to test itself"
        cause = "it was built by an older litekiln, without pictures, or gives no detections"
        raise BundleError(msg, cause=cause, remedy=f"build it again: {plain_command(model, variant)}")
    return built


def _why_to_build(reporter: Reporter, project: Project, folder: Path) -> str:
    """Why the bundle must be built first; "" if it is there. One with its own options is never replaced by the recipe's."""
    if not (folder / MANIFEST).is_file():
        return "not built yet"
    standing = Standings(project).of(read_bundle(folder), folder)
    if not standing.out_of_date:
        say_standings(reporter, [standing])
        return ""
    if standing.has_own_options:
        cause = "it was built with other options than its recipe's, and its files have changed since"
        remedy = f"build it again: {standing.command}; or as its recipe says: {plain_command(folder.parent.name, folder.name)}"
        raise BundleError(f"{standing.folder} is {OUT_OF_DATE}: {standing.reason}", cause=cause, remedy=remedy)
    return f"{OUT_OF_DATE} ({standing.reason})"
