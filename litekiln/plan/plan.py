"""The plan: a list of steps with keys. A value: it can be printed, counted, compared and sent elsewhere.

A step's key is the hash of its ingredients: its program, its arguments, its toolchain's lock and its inputs. An input that
another step makes counts with that step's key, so all keys are known before anything runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from litekiln.addresses import without_secrets
from litekiln.hashing import FileHashes, files_below, sha256_named, sha256_value
from litekiln.paths import Project
from litekiln.plan.programs import Program
from litekiln.plan.step_modules import StepModules
from litekiln.toolchains.toolchain import Toolchain

FORMAT = 4
HOST = ""  # the toolchain of a step that litekiln runs itself: only fetching, which needs the network


@dataclass(frozen=True)
class Input:
    """A file or folder of the project (`path`, below the work folder), or what another step made (`step`, and `path` within it).

    `files` are the hashes of the project's files, by their names below `path`; "" is the name of a single file.
    """

    path: str
    sha256: str
    step: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One program run in one toolchain. `id` is its name for people, unique in the plan; `key` its name in the store.

    What a program needs, and what its exit means, comes from its row in programs.py.
    """

    id: str
    program: str
    toolchain: str
    args: dict[str, Any]
    inputs: dict[str, Input]
    ingredients: dict[str, str]
    timeout: int
    memory: int
    keep_refusal: bool = False
    alone: bool = False
    runs_model: bool = False
    judges: bool = False
    key: str = ""
    aside: dict[str, str] = field(default_factory=dict)  # what a host program needs for its messages; in no key

    @property
    def shown_args(self) -> dict[str, Any]:
        """The arguments for records and reports: an address without its secrets."""
        return {name: without_secrets(value) if isinstance(value, str) else value for name, value in self.args.items()}


@dataclass(frozen=True)
class Attempt:
    """One way to make a variant: in which toolchain it is converted, from which step's output, and by which steps.

    `trace` is the step that finds where its error comes from. Variants of one calibration share it, and some have none.
    """

    toolchain: str
    exported: str
    calibrate: str  # "" where it needs no pictures
    converting: tuple[str, ...]  # two for TF1: its converter, and the check of its file
    annotate: str
    verify: str
    measure: str
    trace: str = ""
    pictures: str = ""  # name of the set it is judged on; in no step's arguments, so that renaming its folder rebuilds nothing

    @property
    def convert(self) -> str:
        """The step that writes the converted file."""
        return self.converting[-1]

    @property
    def own(self) -> tuple[str, ...]:
        """The steps that no other variant shares."""
        return (*self.converting, self.annotate, self.verify, self.measure)

    @property
    def ends(self) -> tuple[str, ...]:
        """Steps that must finish before the variant exists."""
        return tuple(filter(None, (self.measure or self.verify, self.trace)))


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can run; the attempts at each variant, preferred first; the variants to bundle."""

    model: str
    steps: tuple[Step, ...]
    variants: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    bundled: tuple[str, ...] = ()

    def step(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def goals(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Alternatives for each goal, preferred first: each lists the steps that must finish."""
        if not self.variants:
            return {step.id: ((step.id,),) for step in self.steps}
        return {name: tuple(attempt.ends for attempt in attempts) for name, attempts in self.variants.items()}

    def leading_to(self, *step_ids: str) -> list[Step]:
        """These steps and all that they depend on, in the plan's order."""
        wanted = set(step_ids)
        for step in reversed(self.steps):
            if step.id in wanted:
                wanted |= {value.step for value in step.inputs.values() if value.step}
        return [step for step in self.steps if step.id in wanted]


class PlanBuilder:
    """Adds steps in order and gives each its key."""

    def __init__(self, project: Project, model: str) -> None:
        self.project = project
        self.model = model
        self._steps: dict[str, Step] = {}
        self._variants: dict[str, tuple[Attempt, ...]] = {}
        self._modules = StepModules(project.steps)
        self.hashes = FileHashes(project.state)

    def __contains__(self, step_id: str) -> bool:
        return step_id in self._steps

    def file(self, path: Path, names: Sequence[str] | None = None) -> Input:
        """A file or folder of this machine as an input; of a folder all files, or those that are named."""
        work = self.project.work
        shown = path.relative_to(work).as_posix() if path.is_relative_to(work) else str(path)
        if not path.is_dir():
            digest = self.hashes.sha256(path)
            return Input(shown, digest, files={"": digest})
        if names is None:
            names = [each.relative_to(path).as_posix() for each in sorted(files_below(path, links=True))]
        files = {name: self.hashes.sha256(path / name) for name in names}
        return Input(shown, sha256_named(files), files=files)

    def output(self, step_id: str, path: str = "") -> Input:
        """The output of an earlier step as an input."""
        return Input(path=path, sha256=self._steps[step_id].key, step=step_id)

    def add(
        self,
        step_id: str,
        program: Program,
        toolchain: Toolchain | None,
        *,
        args: dict[str, Any],
        inputs: Mapping[str, Input],
        aside: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Add a program of steps/ in a toolchain; without a toolchain, a step that litekiln runs itself."""
        ingredients = {
            "code": self._modules.hash_of(program.file) if toolchain else program.file,
            "arguments": sha256_value(args),
            "toolchain": toolchain.identity if toolchain else HOST,
            **{f"input {name}": sha256_value([value.sha256, value.path if value.step else ""]) for name, value in inputs.items()},
        }
        self._steps[step_id] = Step(
            id=step_id,
            program=program.file,
            toolchain=toolchain.name if toolchain else HOST,
            args=args,
            inputs=dict(inputs),
            ingredients=ingredients,
            timeout=program.timeout,
            memory=program.memory,
            keep_refusal=program.keep_refusal,
            alone=program.alone,
            runs_model=program.runs_model,
            judges=program.judges,
            key=sha256_value([FORMAT, program.file, ingredients]),
            aside=dict(aside),
        )

    def variant(self, name: str, attempts: list[Attempt]) -> None:
        self._variants[name] = tuple(attempts)

    def plan(self, bundled: tuple[str, ...] = ()) -> Plan:
        self.hashes.save()
        return Plan(model=self.model, steps=tuple(self._steps.values()), variants=self._variants, bundled=bundled)
