"""Whether a bundle in out/ is what today's recipe and files would give: its manifest's keys against the plan's."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litekiln.bundles.layout import bundle_folders
from litekiln.bundles.manifest import MadeStep, plain_command
from litekiln.bundles.read import Built, read_bundle
from litekiln.commands.choices import choices_of
from litekiln.errors import BundleError, LitekilnError
from litekiln.hashing import FileHashes, canonical_json
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import HOST, Attempt, Plan, Step
from litekiln.plan.read_once import ReadOnce
from litekiln.terminal import Reporter

SHOWN = 3  # differences that a message names; --json lists all
OUT_OF_DATE = "out of date"


@dataclass(frozen=True)
class Standing:
    """How a bundle stands to the plan. `up_to_date` is None if that is not known; `why` then says why, else what differs."""

    built: Built
    folder: str  # as a person would type it
    up_to_date: bool | None
    why: tuple[str, ...] = ()

    @property
    def out_of_date(self) -> bool:
        return self.up_to_date is False

    @property
    def command(self) -> str:
        """What to type to build it again, with the options that it was built with."""
        report = self.built.report
        return report.reproduce or plain_command(report.model, report.variant)

    @property
    def has_own_options(self) -> bool:
        """Whether it was built with options of the command line, which its recipe doesn't have."""
        report = self.built.report
        return self.command.replace("inv legacy ", "inv build ", 1) != plain_command(report.model, report.variant)

    @property
    def reason(self) -> str:
        shown, more = "; ".join(self.why[:SHOWN]), len(self.why) - SHOWN
        return f"{shown}; and {more} more" if more > 0 else shown

    @property
    def sentence(self) -> str:
        """What to tell about a bundle that is out of date, with what to do."""
        again = f"Build it again: {self.command}; or remove it: rm -r {shlex.quote(self.folder)}"
        return f"{self.built.name} is {OUT_OF_DATE}: {self.reason}. {again}"

    def as_data(self) -> dict[str, object]:
        return {"up_to_date": self.up_to_date, "why_not": list(self.why), "own_options": self.has_own_options}


class Standings:
    """Compares bundles with the plans of today's files. Each plan is made once."""

    def __init__(self, project: Project, *known: tuple[Plan, str]) -> None:
        """`known` are plans that are made already, each with its command."""
        self._project = project
        self._hashes = FileHashes(project.state)
        self._once = ReadOnce(project)
        self._plans: dict[tuple[str, str], Plan | LitekilnError] = {(plan.model, typed): plan for plan, typed in known}

    def of(self, built: Built, folder: Path) -> Standing:
        """How the bundle in `folder` stands. Never fails: what can't be planned is not known."""
        shown = self._project.relative(folder)
        plan = self._plan(built)
        if isinstance(plan, LitekilnError):
            return Standing(built, shown, None, (plan.what.partition("\n")[0],))
        differences = tuple(dict.fromkeys(self._differences(plan, built)))
        return Standing(built, shown, not differences, differences)

    def of_named(self, built: Built) -> Standing | None:
        """How a bundle that was named stands; None for a report alone, or if it lies outside out/: its files are not here."""
        here = built.files and built.place.resolve().is_relative_to(self._project.out.resolve())
        return self.of(built, built.place) if here else None

    def of_model(self, model: str, variants: Sequence[str] = ()) -> list[Standing]:
        """The standings of a model's bundles, or of some variants'. Bundles that can't be read are left out."""
        found = []
        for folder in bundle_folders(self._project, model):
            if not variants or folder.name in variants:
                try:
                    found.append(self.of(read_bundle(folder, self._hashes.sha256), folder))
                except BundleError:
                    continue  # the page's writer says what is wrong with it
        return found

    def _plan(self, built: Built) -> Plan | LitekilnError:
        """The plan of the command that built it, with the files of today; or why there is none."""
        model, typed = built.report.model, built.report.reproduce
        options = typed.rpartition(" --variant ")[0]
        if (model, options) not in self._plans:
            try:
                choices = choices_of(self._project, typed) if typed else Choices()
                self._plans[model, options] = plan_build(self._project, self._once.recipe(model), choices, self._once)
            except LitekilnError as error:
                self._plans[model, options] = error
            except OSError as error:
                self._plans[model, options] = LitekilnError(f"{error.filename or model}: {error.strerror}")
            self._once.save()
        return self._plans[model, options]

    def _differences(self, plan: Plan, built: Built) -> Iterator[str]:
        """What differs between the bundle's steps and the plan's; nothing if the bundle is up to date."""
        ways, were = plan.variants.get(built.report.variant, ()), {step.id: step for step in built.manifest.steps}
        if built.report.variant not in plan.bundled:
            yield "its recipe no longer lists this variant"
            return
        keys = {name: step.key for name, step in were.items()}
        if any({step.id: step.key for step in plan.leading_to(*way.ends)} == keys for way in ways):
            return
        steps = plan.leading_to(*_nearest(plan, ways, keys).ends)
        locks = {name for name in {step.toolchain for step in steps} - {HOST} if self._lock_changed(name, built)}
        yield from (f"the lock of {name} changed" for name in sorted(locks))
        now = {step.id: step.key for step in steps}
        for step in steps:
            if step.id not in were:
                yield f"{step.id}: a new step"
            elif step.key != keys[step.id] and (own := _own_difference(step, were[step.id], locks, now, keys)):
                yield f"{step.id}: {own}"
        yield from (f"{name}: no longer a step" for name in were if name not in now)

    def _lock_changed(self, toolchain: str, built: Built) -> bool:
        was = built.manifest.toolchains.get(toolchain)
        return was is not None and was.lock_sha256 != self._once.toolchains.named(toolchain).lock_hash


def _nearest(plan: Plan, ways: Sequence[Attempt], keys: dict[str, str]) -> Attempt:
    """The way that shares most steps with the bundle."""
    return max(ways, key=lambda way: sum(step.id in keys for step in plan.leading_to(*way.ends)))


def _own_difference(step: Step, was: MadeStep, locks: set[str], keys: dict[str, str], old_keys: dict[str, str]) -> str:
    """What differs in a step itself; "" if only something else does that is named where it belongs: a lock, an earlier step."""
    own, follows = [], step.toolchain in locks
    if step.toolchain != was.toolchain:
        own.append(f"toolchain {step.toolchain}, was {was.toolchain}")
    changed = (
        name for name in {*step.args, *was.args} if canonical_json(step.args.get(name)) != canonical_json(was.args.get(name))
    )
    own += [f"{name} changed" for name in sorted(changed)]
    for name in sorted({*step.inputs, *was.inputs}):
        new, old = step.inputs.get(name), was.inputs.get(name)
        if not new or not old or new.step != old.step:
            own.append(f"{name} comes from elsewhere")
        elif new.step:
            follows = follows or keys.get(new.step) != old_keys.get(new.step)
        elif new.sha256 != old.sha256:
            own.append(f"{new.path} changed")
    if not own and not follows:
        return f"steps/{step.program} changed" if step.toolchain != HOST else "litekiln's own code changed"
    return ", ".join(own)


def say_standings(reporter: Reporter, standings: Sequence[Standing]) -> None:
    """Warn of bundles that are out of date, or not known to be up to date; name the options of those that have their own."""
    unknown: dict[str, list[str]] = {}
    for each in standings:
        if each.up_to_date is None:
            unknown.setdefault("; ".join(each.why), []).append(each.built.name)
        elif not each.up_to_date:
            reporter.warn(each.sentence)
        elif each.has_own_options:
            reporter.note(f"{each.built.name} was built with other options than its recipe's: {each.command}")
    for why, names in unknown.items():
        verb = "is" if len(names) == 1 else "are"
        reporter.warn(f"not known whether {', '.join(names)} {verb} up to date: {why}")


def marks_of(standings: Sequence[Standing]) -> list[str]:
    """What a model's page says of those that are out of date."""
    return [each.sentence for each in standings if each.out_of_date]


def say_left_over(reporter: Reporter, standings: Sequence[Standing], not_made: Sequence[str]) -> None:
    """Say of variants that were not made which older bundles of them still lie in out/."""
    for each in standings:
        if each.built.report.variant in not_made:
            state = f"is {OUT_OF_DATE}" if each.out_of_date else "is not known to be up to date"
            if not each.up_to_date:
                reporter.warn(
                    f"{each.folder} still holds an older bundle, which {state}. To remove it: rm -r {shlex.quote(each.folder)}"
                )
