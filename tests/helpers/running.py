"""Run plans of small programs for real: the test's own Python replaces a toolchain's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litekiln.engines.base import Box, Job, OnLine
from litekiln.engines.process import ProcessBox
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.run.executor import Executor
from litekiln.run.schedule import Finished, Run
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import Toolchain, load_toolchain

# Seconds. What must be stopped while it runs is given the next one until it got as far as its first line: a busy machine may need
# longer than the first only to start a Python.
LIMITS = (1, 4, 16, 64)


class TallyingBox(ProcessBox):
    """A box whose programs may also write into the project, where tests count what ran."""

    def _may_write(self, job: Job, tmp: Path) -> list[Path]:
        return [*super()._may_write(job, tmp), self._scratch.parents[2]]


class ThisPython:
    """An engine that uses the tests' Python for every toolchain."""

    name = "this"

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @contextmanager
    def open(self, toolchain: Toolchain, say: OnLine) -> Iterator[Box]:
        with TallyingBox("this", Path(sys.executable), self._lease.staging) as box:
            yield box


def write_program(project: Project, body: str, name: str = "work.py") -> None:
    """A step program whose `work(args)` is `body`."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    (project.steps / name).write_text(f"import protocol, os, sys, time\n\ndef work(args):\n{lines}\nprotocol.main(work)\n")


def one_step(project: Project, *, args: dict[str, Any] | None = None, timeout: int = 60) -> Plan:
    builder = PlanBuilder(project, "demo")
    source = builder.file(project.models / "demo" / "net.py")
    tiny = load_toolchain(project, "tiny")
    builder.add("work", Program("work.py", timeout=timeout), tiny, args=args or {}, inputs={"source": source})
    return builder.plan()


def run(project: Project, plan: Plan, *, force: bool = False) -> dict[str, Finished]:
    return run_to_end(project, plan, force=force).complete()


def run_to_end(project: Project, plan: Plan, *, force: bool = False, jobs: int = 1) -> Run:
    with Lease(project.state) as lease, Executor(project, lambda: ThisPython(lease), lease, Reporter(), jobs) as executor:
        return executor.run(plan, force=force)
