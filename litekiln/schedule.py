"""Which step is next: side by side as far as jobs and memory allow, another way where one is refused, an end on Ctrl-C."""

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from litekiln.engines.base import Stop
from litekiln.errors import CalibrationError, LitekilnError, NetworkError, SourceError, StepFailed
from litekiln.plan import Plan, Step
from litekiln.report import Reporter
from litekiln.step_errors import summary
from litekiln.store import Entry

# What ends a step and what depends on it. Everything else (no engine, no disk) ends the run.
STEP_FAILURES = (StepFailed, NetworkError, SourceError, CalibrationError)
MOST_JOBS = 4
SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class Finished:
    """A step with its store entry. `reason` is '' when there was nothing to do."""

    step: Step
    entry: Entry
    reason: str
    seconds: float
    engine: str


@dataclass(frozen=True)
class Run:
    """What a plan came to: the finished steps by id, why others failed, and the error to end with when a goal was missed."""

    finished: dict[str, Finished]
    failed: dict[str, LitekilnError]
    error: LitekilnError | None

    def complete(self) -> dict[str, Finished]:
        """All that was wanted, or the error."""
        if self.error:
            raise self.error
        return self.finished


class Schedule:
    """One run of a plan. `perform` makes one step, in a thread; `stop` ends what is running."""

    def __init__(
        self,
        plan: Plan,
        perform: Callable[[Step, dict[str, Finished]], Finished],
        reporter: Reporter,
        stop: Stop,
        *,
        jobs: int,
    ) -> None:
        self._plan = plan
        self._perform = perform
        self._reporter = reporter
        self._stop = stop
        self._jobs = jobs
        self._memory = available_memory() * SHARE_OF_MEMORY
        self._finished: dict[str, Finished] = {}
        self._failed: dict[str, LitekilnError] = {}
        self._running: dict[Future[Finished], Step] = {}

    def run(self) -> Run:
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while True:
                    self._start(pool)
                    if not self._running:
                        break
                    done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._settle(self._running.pop(future), future)
            except BaseException:
                self._stop.set()
                raise
        return Run(self._finished, self._failed, self._error())

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Start what is ready and fits. One step always fits: better slow than never."""
        wanted = self._wanted()
        ready = [step for step in self._plan.steps if step.id in wanted and self._is_ready(step)]
        for step in sorted(ready, key=lambda step: step.alone):  # what has to be alone comes when nothing else can be done
            if not self._fits(step):
                continue
            self._running[pool.submit(self._perform, step, dict(self._finished))] = step

    def _fits(self, step: Step) -> bool:
        running = self._running.values()
        if not running:
            return True
        if len(running) >= self._jobs or step.alone or any(each.alone for each in running):
            return False
        return sum(each.memory for each in running) + step.memory <= self._memory

    def _wanted(self) -> set[str]:
        """What leads to the first way of each goal that is still open."""
        wanted: set[str] = set()
        for ways in self._plan.goals().values():
            way = next((way for way in ways if not self._blocked(way)), None)
            wanted |= {step.id for step in self._plan.leading_to(*way)} if way else set()
        return wanted

    def _blocked(self, way: tuple[str, ...]) -> list[str]:
        """The failed steps that close a way."""
        return [step.id for step in self._plan.leading_to(*way) if step.id in self._failed]

    def _is_ready(self, step: Step) -> bool:
        started = {*self._finished, *self._failed, *(running.id for running in self._running.values())}
        return step.id not in started and all(value.step in self._finished for value in step.inputs.values() if value.step)

    def _settle(self, step: Step, future: "Future[Finished]") -> None:
        try:
            self._finished[step.id] = future.result()
        except STEP_FAILURES as error:
            self._failed[step.id] = error
            self._reporter.failed(step.id, error.what.partition("\n")[0].removeprefix(f"{step.id}: "))
            for goal, ways in self._plan.goals().items():
                self._say_what_follows(step, goal, ways)

    def _say_what_follows(self, failed: Step, goal: str, ways: tuple[tuple[str, ...], ...]) -> None:
        """For each goal whose way this failure closes: which way is tried instead, or that there is none."""
        taken = next((way for way in ways if not set(self._blocked(way)) - {failed.id}), None)
        if not taken or failed.id not in self._blocked(taken) or goal == failed.id:
            return
        other = next((way for way in ways if not self._blocked(way)), None)
        if other:
            self._reporter.note(f"{goal}: trying the next toolchain, to {other[0]}")
        else:
            self._reporter.failed(goal, f"not made, because {failed.id} failed")

    def _error(self) -> LitekilnError | None:
        """Only what kept a goal from being reached in every way counts, and the last way's reason stands for the goal."""
        reached = self._finished.keys()
        missed = [ways for ways in self._plan.goals().values() if not any(reached >= set(way) for way in ways)]
        blamed = dict.fromkeys(name for ways in missed for name in self._blocked(ways[-1]))
        return summary([self._failed[name] for name in blamed], list(blamed))


def jobs_to_run(asked: int) -> int:
    """How many steps side by side; 0 leaves it to the machine."""
    return asked or min(os.cpu_count() or 1, MOST_JOBS)


def available_memory() -> float:
    """What programs can still have, in MB."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(found) / 1000
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
