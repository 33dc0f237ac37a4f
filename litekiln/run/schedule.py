"""Which step runs next: as many at once as jobs and memory allow, the next way if one fails, a stop on Ctrl-C."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue

from litekiln.engines.base import Stop
from litekiln.errors import CalibrationError, LitekilnError, NetworkError, SourceError, StepFailed
from litekiln.plan.plan import Plan, Step
from litekiln.run.step_errors import summary
from litekiln.run.store import Entry
from litekiln.terminal import Reporter

# These end a step and the steps that depend on it. All other errors (no engine, no disk) end the run.
STEP_FAILURES = (StepFailed, NetworkError, SourceError, CalibrationError)
MOST_JOBS = 4
AWAKE = 0.5  # seconds between two looks whether a signal has come
Way = tuple[str, ...]  # its last steps
SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class Finished:
    """A finished step with its store entry. `reason` is '' if the step was up to date."""

    step: Step
    entry: Entry
    reason: str
    seconds: float
    engine: str


@dataclass(frozen=True)
class Run:
    """The outcome of a plan: finished steps and errors by step id, and the error to raise if a goal was missed."""

    finished: dict[str, Finished]
    failed: dict[str, LitekilnError]
    error: LitekilnError | None

    def complete(self) -> dict[str, Finished]:
        """The finished steps. Raises the run's error if a goal was missed."""
        if self.error:
            raise self.error
        return self.finished


def run_result(plan: Plan, finished: dict[str, Finished], failed: dict[str, LitekilnError]) -> Run:
    """The outcome of a plan. Failed steps count as the run's error only if a goal was missed in every way."""
    blamed = list(dict.fromkeys(step for steps in blamed_for(plan, finished, failed).values() for step in steps))
    return Run(finished, failed, summary([failed[step] for step in blamed], blamed))


def blamed_for(plan: Plan, finished: dict[str, Finished], failed: dict[str, LitekilnError]) -> dict[str, list[str]]:
    """For each missed goal, the failed steps that blocked it, in the last way that was tried."""

    def blocking(way: Way) -> list[str]:
        return [step.id for step in plan.leading_to(*way) if step.id in failed]

    missed = {goal: ways for goal, ways in plan.goals().items() if not any(finished.keys() >= set(way) for way in ways)}
    return {goal: next(filter(None, map(blocking, reversed(ways))), []) for goal, ways in missed.items()}


def nothing_more(_run: Run, _open: set[str]) -> None:
    """The default for `after`: do nothing when a step ends."""


def nothing_at_hand(_step: Step) -> Finished | None:
    """The default for `at_hand`: every step is work."""
    return None


class Schedule:
    """One run of a plan. `perform` makes one step, in a thread; `at_hand` returns a step that needs no work. `stop` ends the
    running steps.

    `closing` are errors that end a step and the steps that depend on it, like STEP_FAILURES, but do not trigger the next toolchain:
    a toolchain that can't be made is no reason to use another one. `after` gets the outcome so far and the open goals whenever
    steps end.
    """

    def __init__(
        self,
        plan: Plan,
        perform: Callable[[Step, dict[str, Finished]], Finished],
        reporter: Reporter,
        stop: Stop,
        *,
        jobs: int,
        at_hand: Callable[[Step], Finished | None] = nothing_at_hand,
        closing: tuple[type[LitekilnError], ...] = (),
        after: Callable[[Run, set[str]], None] = nothing_more,
    ) -> None:
        self._plan = plan
        self._goals = plan.goals()
        self._leading = {way: [step.id for step in plan.leading_to(*way)] for ways in self._goals.values() for way in ways}
        self._closing = closing
        self._closed: set[str] = set()
        self._after = after
        self._perform = perform
        self._at_hand = at_hand
        self._reporter = reporter
        self._stop = stop
        self._jobs = jobs
        self._finished: dict[str, Finished] = {}
        self._failed: dict[str, LitekilnError] = {}
        self._running: dict[Future[Finished], Step] = {}
        self._ended: SimpleQueue[Future[Finished]] = SimpleQueue()

    def run(self) -> Run:
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while True:
                    self._start(pool)
                    self._after(Run(self._finished, self._failed, None), self._open())
                    if not self._running:
                        break
                    future = self._next_ended()
                    self._settle(self._running.pop(future), future)
            except BaseException:
                self._stop.set()
                raise
        return run_result(self._plan, self._finished, self._failed)

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Start what is ready and fits. One step always fits: better slow than never."""
        self._take_what_is_at_hand()
        wanted = self._not_begun()
        ready = [step for step in self._plan.steps if step.id in wanted and self._is_ready(step)]
        for step in sorted(ready, key=lambda step: step.alone):  # steps that must run alone come last
            if not self._fits(step):
                continue
            future = pool.submit(self._perform, step, dict(self._finished))
            self._running[future] = step
            future.add_done_callback(self._ended.put)

    def _next_ended(self) -> "Future[Finished]":
        """The next step that ends. A signal that comes just before a wait begins does not end it, so it is made of short ones."""
        while True:
            try:
                return self._ended.get(timeout=AWAKE)
            except Empty:
                continue

    def _take_what_is_at_hand(self) -> None:
        """What needs no work needs no thread. Steps stand in an order in which they can run, so one pass finds all."""
        wanted = self._not_begun()
        for step in self._plan.steps:
            if step.id in wanted and self._is_ready(step) and (found := self._at_hand(step)):
                self._finished[step.id] = found

    def _not_begun(self) -> set[str]:
        """The wanted steps that have neither ended nor started."""
        return self._wanted() - {*self._finished, *self._failed, *(running.id for running in self._running.values())}

    @cached_property
    def _memory(self) -> float:
        return available_memory() * SHARE_OF_MEMORY

    def _fits(self, step: Step) -> bool:
        running = self._running.values()
        if not running:
            return True
        if len(running) >= self._jobs or step.alone or any(each.alone for each in running):
            return False
        return sum(each.memory for each in running) + step.memory <= self._memory

    def _wanted(self) -> set[str]:
        """The steps of the current way to each goal."""
        return {step for goal in self._goals for step in self._leading.get(self._way(goal), ())}

    def _way(self, goal: str) -> Way:
        """The current way to a goal: the first that no failed step blocks. () if there is none left."""
        current = next((way for way in self._goals[goal] if not self._blocked(way)), ())
        return () if goal in self._closed else current

    def _open(self) -> set[str]:
        """The goals that are not reached yet and still can be."""
        return {goal for goal in self._goals if (way := self._way(goal)) and not self._finished.keys() >= set(way)}

    def _blocked(self, way: Way) -> list[str]:
        """The failed steps that block a way."""
        return [step for step in self._leading[way] if step in self._failed]

    def _is_ready(self, step: Step) -> bool:
        return all(value.step in self._finished for value in step.inputs.values() if value.step)

    def _settle(self, step: Step, future: "Future[Finished]") -> None:
        ways = {goal: self._way(goal) for goal in self._goals}
        try:
            self._finished[step.id] = future.result()
        except LitekilnError as error:
            if not isinstance(error, (*STEP_FAILURES, *self._closing)):
                raise
            self._failed[step.id] = error
            concerned = [goal for goal, way in ways.items() if step.id in self._leading.get(way, ())]
            if isinstance(error, self._closing):
                self._closed |= set(concerned)
            self._reporter.failed(step.id, error.what.partition("\n")[0].removeprefix(f"{step.id}: "))
            for goal in concerned:
                self._say_what_follows(step, goal)

    def _say_what_follows(self, failed: Step, goal: str) -> None:
        """For a goal that this failure blocks: say which way is tried next, or that there is none."""
        if other := self._way(goal):
            self._reporter.note(f"{goal}: trying the next toolchain, to {other[0]}")
        elif goal != failed.id:
            self._reporter.failed(goal, f"not made, because {failed.id} failed")


def jobs_to_run(asked: int) -> int:
    """How many steps run at once. 0 means: as the machine allows."""
    return asked or min(os.cpu_count() or 1, MOST_JOBS)


def available_memory() -> float:
    """The memory that programs can still use, in MB."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(found) / 1000
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
