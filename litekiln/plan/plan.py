"""The plan: a list of steps with keys. A value: it can be printed, counted, compared and sent elsewhere.

A step's key is the hash of its ingredients: its program, its arguments, its toolchain's lock and its inputs. An input that
another step makes counts with that step's key, so all keys are known before anything runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litekiln.hashing import sha256_bytes, sha256_tree, sha256_value
from litekiln.paths import Project
from litekiln.plan.programs import Program
from litekiln.toolchains.toolchain import Toolchain

FORMAT = 4
IMPORTED = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
HOST = ""  # the toolchain of a step that litekiln does itself: only fetching, which needs the network


@dataclass(frozen=True)
class Input:
    """A file or folder of the project (`path`, below the work folder), or what another step made (`step`, and `path` within it)."""

    path: str
    sha256: str
    step: str = ""


@dataclass(frozen=True)
class Step:
    """One program run in one toolchain. `id` is its name for people, unique in the plan; `key` its name in the store.

    What a program needs, and what its end means, comes from its row in programs.py.
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


@dataclass(frozen=True)
class Attempt:
    """One way to a variant: in which toolchain it is converted, from which step's output, and by which steps.

    `trace` is the step that tells where its error comes from; variants of one calibration share it, and some have none.
    """

    toolchain: str
    exported: str
    calibrate: str  # "" where it needs no pictures
    converting: tuple[str, ...]  # TF1's converter and what holds its file to its name are two
    annotate: str
    verify: str
    measure: str
    trace: str = ""
    pictures: str = ""  # the set that it is judged on, by name: no step is told, or a renamed folder would make its own again

    @property
    def convert(self) -> str:
        """The step that leaves the converted file."""
        return self.converting[-1]

    @property
    def own(self) -> tuple[str, ...]:
        """The steps that no other variant shares."""
        return (*self.converting, self.annotate, self.verify, self.measure)

    @property
    def ends(self) -> tuple[str, ...]:
        """The steps that have to be finished for the variant to be."""
        return tuple(filter(None, (self.measure or self.verify, self.trace)))


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can run; for each variant the ways to it, the preferred one first; and which to bundle."""

    model: str
    steps: tuple[Step, ...]
    variants: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    bundled: tuple[str, ...] = ()

    def step(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def goals(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """What has to be finished, by name: the steps of one of these ways, the first that can be gone."""
        if not self.variants:
            return {step.id: ((step.id,),) for step in self.steps}
        return {name: tuple(attempt.ends for attempt in attempts) for name, attempts in self.variants.items()}

    def leading_to(self, *step_ids: str) -> list[Step]:
        """Steps and all that they need, in the plan's order."""
        wanted = set(step_ids)
        for step in reversed(self.steps):
            if step.id in wanted:
                wanted |= {value.step for value in step.inputs.values() if value.step}
        return [step for step in self.steps if step.id in wanted]


class PlanBuilder:
    """Adds steps in order, keying each by what went before."""

    def __init__(self, project: Project, model: str) -> None:
        self.project = project
        self.model = model
        self._steps: dict[str, Step] = {}
        self._variants: dict[str, tuple[Attempt, ...]] = {}
        self._codes: dict[str, str] = {}
        self._modules = StepModules(project.steps)

    def __contains__(self, step_id: str) -> bool:
        return step_id in self._steps

    def file(self, path: Path, sha256: str = "") -> Input:
        """An input that lies in the project, or elsewhere on this machine; its hash, if it is known already."""
        work = self.project.work
        shown = path.relative_to(work).as_posix() if path.is_relative_to(work) else str(path)
        return Input(path=shown, sha256=sha256 or sha256_tree(path))

    def output(self, step_id: str, path: str = "") -> Input:
        """An input that an earlier step makes."""
        return Input(path=path, sha256=self._steps[step_id].key, step=step_id)

    def add(
        self,
        step_id: str,
        program: Program,
        toolchain: Toolchain | None,
        *,
        args: dict[str, Any],
        inputs: Mapping[str, Input],
    ) -> None:
        """A program of steps/ in a toolchain; without a toolchain, one of the host's own steps."""
        ingredients = {
            "code": self._code(program.file) if toolchain else program.file,
            "arguments": sha256_value(args),
            "toolchain": sha256_value([toolchain.name, toolchain.lock_hash]) if toolchain else HOST,
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
        )

    def _code(self, program: str) -> str:
        """The hash of a program with the modules that it imports. Programs share most of them: each is read once."""
        if program not in self._codes:
            self._codes[program] = self._modules.hash_of(program)
        return self._codes[program]

    def variant(self, name: str, attempts: list[Attempt]) -> None:
        self._variants[name] = tuple(attempts)

    def plan(self, bundled: tuple[str, ...] = ()) -> Plan:
        return Plan(model=self.model, steps=tuple(self._steps.values()), variants=self._variants, bundled=bundled)


class StepModules:
    """The modules of steps/: which imports which, and their hashes. Each is read once."""

    def __init__(self, steps: Path) -> None:
        self._steps = steps
        self._read: dict[str, tuple[str, list[str]]] = {}

    def files(self, program: str) -> list[str]:
        """A program and the modules beside it that it imports, directly or not: what its result depends on."""
        found: dict[str, None] = {}
        waiting = [program]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += self._look(name)[1]
        return list(found)

    def hash_of(self, program: str) -> str:
        """As sha256_paths gives it of these files."""
        return sha256_value([[name, self._look(name)[0]] for name in sorted(self.files(program))])

    def _look(self, name: str) -> tuple[str, list[str]]:
        """A module's hash, and the modules beside it that it imports itself."""
        if name not in self._read:
            data = (self._steps / name).read_bytes()
            imported = (f"{each}.py" for each in IMPORTED.findall(data.decode()))
            self._read[name] = (sha256_bytes(data), [each for each in imported if (self._steps / each).is_file()])
        return self._read[name]


def program_files(steps: Path, program: str) -> list[Path]:
    """The files of a step program: it, and the modules beside it that it imports, directly or not."""
    return [steps / name for name in StepModules(steps).files(program)]
