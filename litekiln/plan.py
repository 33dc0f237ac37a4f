"""The plan: a list of steps with keys. A value: it can be printed, counted, compared and sent elsewhere.

A step's key is the hash of its ingredients: its program, its arguments, its toolchain's lock and its inputs. An input that
another step makes counts with that step's key, so all keys are known before anything runs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from litekiln.hashing import canonical_json, sha256_paths, sha256_tree, sha256_value
from litekiln.paths import Project
from litekiln.toolchains import Toolchain

FORMAT = 1
PROTOCOL = "protocol.py"


@dataclass(frozen=True)
class Input:
    """A file or folder of the project (`path`, below the work folder), or what another step made (`step`, and `path` within it)."""

    path: str
    sha256: str
    step: str = ""


@dataclass(frozen=True)
class Step:
    """One program run in one toolchain. `id` is its name for people, unique in the plan; `key` its name in the store."""

    id: str
    program: str
    toolchain: str
    args: dict[str, Any]
    inputs: dict[str, Input]
    ingredients: dict[str, str]
    timeout: int
    key: str = ""


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can run, and which step makes which variant."""

    model: str
    steps: tuple[Step, ...]
    variants: dict[str, str] = field(default_factory=dict)

    def step(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def to_json(self) -> str:
        return canonical_json({"format": FORMAT, **asdict(self)})

    @staticmethod
    def from_json(text: str) -> "Plan":
        data = json.loads(text)
        steps = tuple(
            Step(**{**step, "inputs": {name: Input(**value) for name, value in step["inputs"].items()}}) for step in data["steps"]
        )
        return Plan(model=data["model"], steps=steps, variants=data["variants"])


class PlanBuilder:
    """Adds steps in order, keying each by what went before."""

    def __init__(self, project: Project, model: str) -> None:
        self.project = project
        self.model = model
        self._steps: dict[str, Step] = {}
        self._variants: dict[str, str] = {}

    def file(self, path: Path) -> Input:
        """An input that lies in the project."""
        return Input(path=path.relative_to(self.project.work).as_posix(), sha256=sha256_tree(path))

    def output(self, step_id: str, path: str = "") -> Input:
        """An input that an earlier step makes."""
        return Input(path=path, sha256=self._steps[step_id].key, step=step_id)

    def add(
        self,
        step_id: str,
        program: str,
        toolchain: Toolchain,
        *,
        args: dict[str, Any],
        inputs: Mapping[str, Input],
        timeout: int = 3600,
    ) -> None:
        steps = self.project.steps
        ingredients = {
            "code": sha256_paths([steps / program, steps / PROTOCOL], root=steps),
            "arguments": sha256_value(args),
            "toolchain": sha256_value([toolchain.name, toolchain.lock_hash]),
            **{f"input {name}": sha256_value([value.sha256, value.path if value.step else ""]) for name, value in inputs.items()},
        }
        self._steps[step_id] = Step(
            id=step_id,
            program=program,
            toolchain=toolchain.name,
            args=args,
            inputs=dict(inputs),
            ingredients=ingredients,
            timeout=timeout,
            key=sha256_value([FORMAT, program, ingredients]),
        )

    def variant(self, name: str, step_id: str) -> None:
        self._variants[name] = step_id

    def plan(self) -> Plan:
        return Plan(model=self.model, steps=tuple(self._steps.values()), variants=self._variants)
