"""Makes a plan: adds steps in order, and gives each its key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from litekiln.hashing import sha256_value
from litekiln.paths import Project
from litekiln.plan.plan import HOST, Attempt, Input, Plan, Step
from litekiln.plan.programs import Program
from litekiln.plan.read_once import ReadOnce
from litekiln.toolchains.toolchain import Toolchain

FORMAT = 4  # of keys


class PlanBuilder:
    """Adds steps in order and gives each its key."""

    def __init__(self, project: Project, model: str, once: ReadOnce | None = None) -> None:
        """`once` is what the plans of a command share; who gives it saves it."""
        self.model = model
        self.once = once or ReadOnce(project)
        self._alone = once is None
        self._steps: dict[str, Step] = {}
        self._outputs: dict[tuple[str, str], Input] = {}  # by key, and path within
        self._variants: dict[str, tuple[Attempt, ...]] = {}

    def __contains__(self, step_id: str) -> bool:
        return step_id in self._steps

    def file(self, path: Path, names: Sequence[str] | None = None) -> Input:
        """A file or folder of this machine as an input; of a folder all files, or those that are named."""
        return self.once.input(path, names)

    def output(self, step_id: str, path: str = "") -> Input:
        """The output of an earlier step as an input."""
        key = self._steps[step_id].key
        found = self._outputs.get((key, path))
        if not found or found.step != step_id:
            found = self._outputs[key, path] = Input(path=path, sha256=key, step=step_id)
        return found

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
            "code": self.once.modules.hash_of(program.file) if toolchain else program.file,
            "arguments": sha256_value(args),
            "toolchain": toolchain.identity if toolchain else HOST,
            **{f"input {name}": value.ingredient for name, value in inputs.items()},
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
        if self._alone:
            self.once.save()
        return Plan(model=self.model, steps=tuple(self._steps.values()), variants=self._variants, bundled=bundled)
