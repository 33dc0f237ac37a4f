"""The executor and lease that every command opens to run steps, and closes even after an error."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from litekiln.disk import folders_in, saying_disk_full, sweep_new
from litekiln.engines.names import CHOICES
from litekiln.errors import UsageError
from litekiln.leases import Lease, others_work_since, sweep_staging
from litekiln.paths import Project
from litekiln.run.executor import Executor
from litekiln.run.store import Store
from litekiln.terminal import Reporter

if TYPE_CHECKING:
    from litekiln.engines.base import Engine


@contextmanager
def open_executor(project: Project, engine: str, reporter: Reporter, jobs: int = 1) -> Iterator[tuple[Executor, Lease]]:
    if engine not in CHOICES:
        msg = f"unknown engine {engine!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(CHOICES)}")
    with ExitStack() as stack:
        with saying_disk_full(project.state):
            sweep_staging(project.state)
            lease = stack.enter_context(Lease(project.state))
            stack.callback(_sweep, project, lease)
            _sweep(project, lease)
        executor = Executor(project, lambda: _engine(engine, project, lease, reporter), lease, reporter, jobs)
        yield stack.enter_context(executor), lease


def _sweep(project: Project, lease: Lease) -> None:
    """If no other run goes on: remove the entries that were replaced, and the unfinished files of killed runs."""
    if others_work_since(project.state, lease) is None:
        Store(project.state).sweep()
        state = project.state
        for folder in (state, state / "last", *folders_in(project.out), *folders_in(project.models)):
            sweep_new(folder)


def _engine(name: str, project: Project, lease: Lease, reporter: Reporter) -> "Engine":
    from litekiln.engines.choose import choose_engine

    return choose_engine(name, project, lease, reporter.note)
