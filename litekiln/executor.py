"""Run what the store lacks: each step once, however many ask for it at the same time."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.engines.base import Box, Engine, Job, Outcome
from litekiln.errors import DiskFull, LitekilnError, StepFailed, StepKilled, StepTimeout, StoreCorrupt
from litekiln.hashing import canonical_json
from litekiln.lease import Lease
from litekiln.paths import Project
from litekiln.plan import Plan, Step
from litekiln.report import Reporter
from litekiln.store import FREE_SPACE, Entry, Store, saying_disk_full
from litekiln.toolchains import load_toolchain

REQUEST_FORMAT = 1
SIGKILL = 9


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
    """What a plan came to: the finished steps by id, and the error to end with when some failed."""

    finished: dict[str, Finished]
    error: LitekilnError | None

    def complete(self) -> dict[str, Finished]:
        """All steps, or the error."""
        if self.error:
            raise self.error
        return self.finished


class Executor:
    """Runs plans on one engine. Toolchains are opened when the first step needs them, and closed at the end."""

    def __init__(self, project: Project, choose: Callable[[], Engine], lease: Lease, reporter: Reporter) -> None:
        self._project = project
        self._choose = choose
        self._engine: Engine | None = None
        self._lease = lease
        self._reporter = reporter
        self._store = Store(project.state)
        self._boxes: dict[str, Box] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, plan: Plan, *, force: bool = False) -> Run:
        """Every step of the plan. A failed step stops only what depends on it."""
        finished: dict[str, Finished] = {}
        failures: list[tuple[Step, StepFailed]] = []
        for step in plan.steps:
            missing = [value.step for value in step.inputs.values() if value.step and value.step not in finished]
            if missing:
                self._reporter.failed(step.id, f"not run, because {missing[0]} failed")
                continue
            try:
                finished[step.id] = self._step(plan, step, finished, force=force)
            except StepFailed as error:
                self._reporter.failed(step.id, error.what.partition("\n")[0])
                failures.append((step, error))
        return Run(finished, _summary(failures))

    def _step(self, plan: Plan, step: Step, finished: dict[str, Finished], *, force: bool) -> Finished:
        entry = None if force else self._stored(step, repair=False)
        if entry is None:
            waiting = f"waiting for another litekiln that makes {step.id}"
            with self._store.lock(step.key, waiting=lambda: self._reporter.note(waiting)):
                entry = None if force else self._stored(step, repair=True)  # somebody else may have made it meanwhile
                if entry is None:
                    self._store.discard(step.key)
                    return self._make(plan, step, finished, "forced" if force else reason_to_run(self._project, plan, step))
        self._reporter.up_to_date(step.id)
        remember(self._project, plan, step)
        return Finished(step, entry, "", 0.0, str(entry.record()["engine"]))

    def _stored(self, step: Step, *, repair: bool) -> Entry | None:
        """The step's entry, if it is sound. Only who holds the key's lock may repair: the next one may be sound already."""
        try:
            return self._store.get(step.key)
        except StoreCorrupt as error:
            if repair:
                self._reporter.note(f"{error.what}; making it again")
                self._store.discard(step.key)
            return None

    def _make(self, plan: Plan, step: Step, finished: dict[str, Finished], why: str) -> Finished:
        box = self._box(step.toolchain)
        staged = self._lease.staging / step.key
        shutil.rmtree(staged, ignore_errors=True)
        with saying_disk_full(self._project.state):
            (staged / "files").mkdir(parents=True)
        job = self._job(plan, step, staged, finished)
        started = time.monotonic()
        with self._reporter.step(step.id, why):
            outcome = box.run(job, lambda line: self._reporter.line(step.id, line))
        seconds = time.monotonic() - started
        if not outcome.ok:
            raise step_error(step, outcome, self._keep_log(plan, step, staged))
        result = staged / "files" / "result.json"
        if not result.is_file():
            msg = f"{step.id} ended well but left no result.json"
            raise StepFailed(
                msg, cause=f"a mistake in steps/{step.program}", remedy=f"the log: {self._keep_log(plan, step, staged)}"
            )
        result.rename(staged / "result.json")
        entry = self._store.add(step.key, staged, {"step": _record(step), "engine": box.engine, "seconds": round(seconds, 2)})
        remember(self._project, plan, step)
        self._reporter.done(step.id, seconds, box.engine)
        return Finished(step, entry, why, seconds, box.engine)

    def _box(self, toolchain: str) -> Box:
        if self._engine is None:
            self._engine = self._choose()  # only now: an up-to-date plan asks no daemon
        if toolchain not in self._boxes:
            opened = self._engine.open(load_toolchain(self._project, toolchain), self._reporter.note)
            self._boxes[toolchain] = self._open.enter_context(opened)
        return self._boxes[toolchain]

    def _job(self, plan: Plan, step: Step, staged: Path, finished: dict[str, Finished]) -> Job:
        request = self._lease.staging / f"{step.key}.request.json"
        request.write_text(canonical_json({"format": REQUEST_FORMAT, "args": step.args}), encoding="utf-8")
        files = {"request.json": request, "steps": self._project.steps}
        for name, value in step.inputs.items():
            root = finished[value.step].entry.files if value.step else self._project.work
            files[f"in/{name}"] = root / value.path
        return Job(
            argv=("python", f"steps/{step.program}"),
            files=files,
            output=staged / "files",
            log=staged / "log.txt",
            timeout=step.timeout,
            label=f"{plan.model}: {step.id}",
        )

    def _keep_log(self, plan: Plan, step: Step, staged: Path) -> Path:
        """A failed step's log outlives its staging folder."""
        kept = self._project.state / "logs" / f"{plan.model}-{step.id.replace(' ', '-')}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(staged / "log.txt", kept)
        return kept


def step_error(step: Step, outcome: Outcome, log: Path) -> LitekilnError:
    """Why a step failed, in words."""
    refused = next((line.removeprefix("@refused ") for line in outcome.tail if line.startswith("@refused ")), "")
    if refused:
        return StepFailed(
            f"{step.id}: {refused}", cause=f"found by steps/{step.program} in toolchain {step.toolchain}", remedy=f"the log: {log}"
        )
    tail = "".join(f"\n  | {line}" for line in outcome.tail)
    if any("No space left on device" in line for line in outcome.tail):
        return DiskFull(f"{step.id} found no space left on the disk{tail}", remedy=FREE_SPACE)
    if outcome.timed_out:
        msg = f"{step.id} ran longer than its {step.timeout} s and was stopped{tail}"
        return StepTimeout(
            msg, cause="the machine is slow or busy, or the program hangs", remedy=f"try again on a quiet machine; the log: {log}"
        )
    if outcome.out_of_memory or outcome.signal == SIGKILL:
        msg = f"{step.id} was killed{tail}"
        cause = "the container's memory limit was reached" if outcome.out_of_memory else "most often the system ran out of memory"
        return StepKilled(
            msg, cause=cause, remedy=f"close other programs or add memory (or swap), then run the same command; the log: {log}"
        )
    how = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    return StepFailed(f"{step.id} failed with {how} in toolchain {step.toolchain}{tail}", remedy=f"the whole log: {log}")


def _summary(failures: list[tuple[Step, StepFailed]]) -> LitekilnError | None:
    if not failures:
        return None
    if len(failures) == 1:
        return failures[0][1]
    names = ", ".join(step.id for step, _ in failures)
    return StepFailed("\n".join([f"{len(failures)} steps failed: {names}", *(str(error) for _, error in failures)]))


def _record(step: Step) -> dict[str, Any]:
    return {"id": step.id, "program": step.program, "toolchain": step.toolchain, "args": step.args, "ingredients": step.ingredients}


def reason_to_run(project: Project, plan: Plan, step: Step) -> str:
    """What differs from the last time this step of this model was finished."""
    before = _last(project, plan).get(step.id)
    if before is None:
        return "new"
    changed = sorted(name for name in {*before, *step.ingredients} if before.get(name) != step.ingredients.get(name))
    return f"changed: {', '.join(changed)}" if changed else "its result is no longer in the store"


def remember(project: Project, plan: Plan, step: Step) -> None:
    """Note what a finished step was made of. Only for telling reasons: losing it costs nothing."""
    last = _last(project, plan)
    if last.get(step.id) != step.ingredients:
        path = _last_path(project, plan)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**last, step.id: step.ingredients}), encoding="utf-8")


def _last_path(project: Project, plan: Plan) -> Path:
    return project.state / "last" / f"{plan.model}.json"


def _last(project: Project, plan: Plan) -> dict[str, dict[str, str]]:
    try:
        value: dict[str, dict[str, str]] = json.loads(_last_path(project, plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value
