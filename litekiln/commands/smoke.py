"""`inv smoke`: proves toolchains by running their smoke programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litekiln.commands.prepare import steps_as_data
from litekiln.engines.names import AUTO
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import SMOKE
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import Toolchain, select_toolchains


@dataclass(frozen=True)
class SmokeRequest:
    """The toolchains to prove."""

    toolchains: Sequence[str] = ()
    engine: str = AUTO
    force: bool = False


def smoke(reporter: Reporter, project: Project, request: SmokeRequest) -> dict[str, Any]:
    """The steps as data: each toolchain's smoke program, run through plan, store and engine like any step."""
    runs = {}
    with open_executor(project, request.engine, reporter) as (executor, _):
        for toolchain in select_toolchains(project, request.toolchains):
            reporter.note(f"toolchain {toolchain.name}: TensorFlow {toolchain.spec.tensorflow}, Python {toolchain.spec.python}")
            runs[toolchain.name] = steps_as_data(executor.run(plan_smoke(project, toolchain), force=request.force).complete())
    return {"toolchains": runs}


def plan_smoke(project: Project, toolchain: Toolchain) -> Plan:
    """The plan with one step: the toolchain's smoke program."""
    builder = PlanBuilder(project, "smoke")
    spec = toolchain.spec
    args = {"python": spec.python, "tensorflow": spec.tensorflow, "imports": spec.imports}
    builder.add("smoke", SMOKE, toolchain, args=args, inputs={})
    return builder.plan()
