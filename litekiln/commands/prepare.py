"""What building one model and building all share: the request, its plan, and how results are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from litekiln.bundles import figures
from litekiln.bundles.layout import bundle_folders
from litekiln.bundles.report_value import section_value
from litekiln.commands.choices import calibration_set, command
from litekiln.engines.names import AUTO
from litekiln.errors import UsageError
from litekiln.hashing import FileHashes
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.picture_sets import RANDOM
from litekiln.recipes.pins import record_first_use
from litekiln.recipes.recipe import Recipe
from litekiln.run.schedule import Finished, Run
from litekiln.run.store import Store
from litekiln.run.write_bundle import Bundle, write_bundles
from litekiln.sources.kinds import TF1_NAMES
from litekiln.terminal import Reporter
from litekiln.wording import size_text

if TYPE_CHECKING:
    from litekiln.commands.standing import Standing


@dataclass(frozen=True)
class Legacy:
    """Options for TF1's models only."""

    raw: bool  # leave the PostProcess operator out
    force_export: bool  # even where the archive has a finished graph


@dataclass(frozen=True)
class BuildRequest:
    """What the command line asks of a build: one `model`, `everything`, or with that only some `models`."""

    model: str = ""
    everything: bool = False
    models: Sequence[str] = ()
    variants: Sequence[str] = ()  # () for all of the recipe's
    engine: str = AUTO
    calib: str = ""  # pictures to calibrate with, instead of the recipe's
    jobs: int = 0
    force: bool = False
    dry_run: bool = False
    allow_flex: bool = False
    keep_float: Sequence[str] = ()
    record: bool = False
    legacy: Legacy | None = None

    @property
    def is_the_recipes(self) -> bool:
        """Whether no option changes what the recipe says."""
        return not (self.calib or self.allow_flex or self.keep_float or self.legacy)


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to be built."""

    recipe: Recipe
    plan: Plan
    command: str  # what to type for the same bundles
    whole: bool = True  # the plan has all of the recipe's variants
    as_recipe: bool = True  # no option changes what the recipe says

    def write_bundles(
        self, project: Project, run: Run, lease: Lease, reporter: Reporter, hashes: FileHashes | None = None
    ) -> list[Bundle]:
        return write_bundles(project, self.recipe, self.plan, run, lease, self.command, reporter.warn, hashes)

    def older(self, project: Project, made: Sequence[Bundle]) -> "list[Standing]":
        """How the model's other bundles stand to today's files. Those that were just made or left alone are up to date."""
        now = {bundle.variant for bundle in made}
        others = [folder.name for folder in bundle_folders(project, self.recipe.name) if folder.name not in now]
        if not others:
            return []
        from litekiln.commands.standing import Standings

        known = [(self.plan, self.command)] if self.whole else []
        return Standings(project, *known).of_model(self.recipe.name, others)


def prepare(
    reporter: Reporter, project: Project, request: BuildRequest, *, fetch_as: str = "fetch", once: ReadOnce | None = None
) -> Prepared:
    """A model's recipe and plan. An archive without a known hash is fetched first, shown as `fetch_as`.

    `once` is what the plans of one command share; who gives it saves it.
    """
    if not once:
        with ReadOnce(project) as once:
            return prepare(reporter, project, request, fetch_as=fetch_as, once=once)
    recipe = once.recipe(request.model)
    if request.legacy:
        _check_legacy(recipe)
    pictures = calibration_set(project, request.calib, once)
    if not request.dry_run:
        _record_first_use(project, recipe, reporter, fetch_as)
    legacy = request.legacy or Legacy(raw=False, force_export=False)
    noise = request.calib == RANDOM
    kept = tuple(request.keep_float)
    choices = Choices(tuple(request.variants), pictures, noise, legacy.raw, legacy.force_export, request.allow_flex, kept)
    typed = command(request.model, choices, request.calib, legacy=request.legacy is not None)
    return Prepared(recipe, plan_build(project, recipe, choices, once), typed, not request.variants, request.is_the_recipes)


def _check_legacy(recipe: Recipe) -> None:
    kind = recipe.spec.source.kind
    if kind not in TF1_NAMES:
        msg = f"{recipe.name} is a model of kind {kind!r}, `inv legacy` is for TF1's: {' and '.join(TF1_NAMES)}"
        raise UsageError(msg, remedy=f"inv build --model {recipe.name}")


def _record_first_use(project: Project, recipe: Recipe, reporter: Reporter, shown: str) -> None:
    """Fetch an archive without a published hash and record its hash. Keys contain it, so this comes before the plan.

    It is recorded once it proved to be what the recipe says: a login page in its place must not block the right file.
    """
    source = recipe.spec.source
    if not source.url or source.remote(recipe.folder).digest:
        return
    from litekiln.fetch.fetch import fetch
    from litekiln.run.host_steps import lay_out_model, usable

    remote = source.remote(recipe.folder)
    with reporter.step(shown, "first use: no hash is published"):
        archive = fetch(remote, project.downloads, progress=_bytes_shown(reporter, shown), note=reporter.note)
        with Lease(project.state) as lease, usable(archive, remote):
            tried = lease.staging / "first-use" / "files"
            tried.mkdir(parents=True)
            lay_out_model(archive, {"kind": source.kind, "member": source.member}, tried)
    lock = record_first_use(recipe.folder, source.url, archive)
    reporter.note(f"recorded sha256 {archive.sha256[:12]}… in {project.relative(lock)}; later downloads must match")


def _bytes_shown(reporter: Reporter, shown: str) -> Any:
    def progress(done: int, total: int | None) -> None:
        reporter.live(shown, f"{size_text(done)} of {size_text(total)}" if total else size_text(done))

    return progress


def show_plan(project: Project, plan: Plan, reporter: Reporter) -> dict[str, Any]:
    """A plan's steps as data. Prints them; ways that are only tried after a refusal are counted, not listed."""
    store = Store(project.state)
    first_ways = {step.id for attempts in plan.variants.values() for step in plan.leading_to(*attempts[0].ends)}
    stored = {step.id: step.key in store for step in plan.steps}
    shown = [step for step in plan.steps if step.id in first_ways or stored[step.id]]
    states = {step.id: "up to date" if stored[step.id] else "to do" for step in shown}
    reporter.table(
        ("step", "toolchain", "key", "state"),
        [(step.id, step.toolchain or "-", step.key[:12], states[step.id]) for step in shown],
    )
    others = len(plan.steps) - len(shown)
    further = f"; {others} more in other toolchains, only for what these refuse" if others else ""
    reporter.note(f"{len(shown)} steps, {list(states.values()).count('to do')} to do{further}; nothing was run")
    return plan_as_data(plan, stored)


def plan_as_data(plan: Plan, stored: Mapping[str, bool] = MappingProxyType({})) -> dict[str, Any]:
    """A plan as `--dry-run --json` prints it. `inv matrix` of later versions reads it: names here must keep their meaning."""
    names = ("id", "toolchain", "key", "ingredients")
    steps = [{**{name: getattr(step, name) for name in names}, "stored": stored.get(step.id, False)} for step in plan.steps]
    return {"plan": steps, "variants": {variant: _ways(plan, variant) for variant in plan.bundled}}


def _ways(plan: Plan, variant: str) -> list[dict[str, Any]]:
    """Every way to a variant, preferred first. A way is tried only after those before it are refused."""
    attempts = plan.variants[variant]
    return [{"toolchain": each.toolchain, "steps": [step.id for step in plan.leading_to(*each.ends)]} for each in attempts]


BUNDLE_COLUMNS = ("variant", "size", "time", "mAP", "input", "sha256", "path")


def bundle_row(project: Project, bundle: Bundle) -> tuple[str, ...]:
    return (
        bundle.variant,
        size_text(bundle.size),
        f"{bundle.seconds:.1f} s",
        figures.map_text(bundle.report),
        bundle.input_type,
        bundle.sha256[:12],
        project.relative(bundle.folder),
    )


def warnings_of(bundles: list[Bundle]) -> list[str]:
    """The warnings of the bundles' reports, each once."""
    return list(dict.fromkeys(warning for bundle in bundles for warning in _warnings(bundle)))


def _warnings(bundle: Bundle) -> list[str]:
    calibration = bundle.report.calibration
    general = calibration.warnings if calibration else []
    return [text if text in general else f"{bundle.variant} {text}" for text in bundle.report.warnings]


def built_as_data(run: Run, bundles: list[Bundle]) -> dict[str, Any]:
    return {"steps": steps_as_data(run.finished), "bundles": [_bundle_as_data(bundle) for bundle in bundles]}


def _bundle_as_data(bundle: Bundle) -> dict[str, Any]:
    names = ("variant", "size", "sha256", "input_type")
    return {
        **{name: getattr(bundle, name) for name in names},
        "path": str(bundle.folder),
        "verdict": bundle.report.verdict,
        "accuracy": section_value(bundle.report, "accuracy"),
    }


def steps_as_data(finished: dict[str, Finished]) -> list[dict[str, Any]]:
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
