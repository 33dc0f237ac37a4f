"""Runs steps and puts their entries into the store: each once, however many processes ask for it at the same time."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litekiln.disk import raise_disk_error, saying_disk_full
from litekiln.engines.base import Box, Engine, Job, Stop
from litekiln.errors import (
    BaseUnreachable,
    ImageBuildFailed,
    InputChanged,
    LitekilnError,
    RefusedEverywhere,
    StepFailed,
    StepRefused,
    StoreCorrupt,
    ToolchainError,
    WrongToolchainHere,
)
from litekiln.hashing import canonical_json
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import HOST, Plan, Step
from litekiln.processor import kind
from litekiln.run.inputs import Inputs
from litekiln.run.reasons import reason_to_run, remember
from litekiln.run.schedule import Finished, Run, Schedule
from litekiln.run.step_errors import cause_told, refusal, step_error
from litekiln.run.store import Entry, Store
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_unchanged

if TYPE_CHECKING:
    from litekiln.run.merged_plans import Several

REQUEST_FORMAT = 1
OTHER_PROCESSOR = "its result depends on the processor, and was made on another kind"
# One toolchain fails and others may work: of several models, only those that need it fail.
TOOLCHAIN_FAILURES = (ToolchainError, WrongToolchainHere, ImageBuildFailed, BaseUnreachable)
# Another toolchain is no way out of these: the goals that need the step are given up.
NO_WAY_OUT = (InputChanged, RefusedEverywhere)
CLOSING = (*NO_WAY_OUT, *TOOLCHAIN_FAILURES)


@dataclass(frozen=True)
class _Task:
    """One step to make: its plan, the plan's finished steps, and the name that is shown."""

    plan: Plan
    step: Step
    finished: dict[str, Finished]
    shown: str


class Executor:
    """Runs plans on one engine. Toolchains are opened when the first step needs them, and closed at the end."""

    def __init__(self, project: Project, choose: Callable[[], Engine], lease: Lease, reporter: Reporter, jobs: int = 1) -> None:
        self._project = project
        self._choose = choose
        self._engine: Engine | None = None
        self._lease = lease
        self._reporter = reporter
        self._jobs = jobs
        self._store = Store(project.state)
        self._inputs = Inputs(project, lease.staging)
        self._boxes: dict[str, Box] = {}
        self._unopened: dict[str, LitekilnError] = {}
        self._open = ExitStack()
        self._opening = threading.Lock()
        self._stop = Stop()

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, plan: Plan, *, force: bool | Callable[[Step], bool] = False) -> Run:
        """The outcome of the plan. A failed step stops only the goals that depend on it and have no other way.

        `force` runs steps again even if the store has them: all steps, or those for which it returns True.
        """

        def again(step: Step) -> bool:
            return force(step) if callable(force) else force

        def perform(step: Step, finished: dict[str, Finished]) -> Finished:
            return self._perform(_Task(plan, step, finished, step.id), force=again(step))

        def at_hand(step: Step) -> Finished | None:
            return None if again(step) else self._up_to_date(plan, step, step.id)

        return Schedule(plan, perform, self._reporter, self._stop, jobs=self._jobs, at_hand=at_hand, closing=NO_WAY_OUT).run()

    def run_several(self, several: "Several", *, force: bool, done: Callable[[str, Run], None]) -> None:
        """Run the plans of several models side by side. `done` is called for each model once nothing more of it can be made."""

        def perform(step: Step, finished: dict[str, Finished]) -> Finished:
            plan, own = several.origin(step.id)
            return self._perform(_Task(plan, own, several.own(plan.model, finished), step.id), force=force)

        def after(run: Run, still_open: set[str]) -> None:
            for model in several.closed(still_open) - reported:
                reported.add(model)
                done(model, several.run_of(model, run))

        def at_hand(step: Step) -> Finished | None:
            plan, own = several.origin(step.id)
            return None if force else self._up_to_date(plan, own, step.id)

        reported: set[str] = set()
        Schedule(
            several.plan, perform, self._reporter, self._stop, jobs=self._jobs, at_hand=at_hand, closing=CLOSING, after=after
        ).run()

    def _perform(self, task: _Task, *, force: bool) -> Finished:
        step = task.step
        entry = None if force else self._stored(step, repair=False)
        if entry is None:
            text = f"waiting for another litekiln that makes {task.shown}"
            waiting = partial(self._reporter.note, text)
            with self._store.lock(step.key, waiting=waiting, stopped=lambda: self._stop.is_set):
                entry = None if force else self._stored(step, repair=True)  # another process may have made it meanwhile
                if entry is None:
                    elsewhere = step.key in self._store  # and yet not taken
                    reason = OTHER_PROCESSOR if elsewhere else reason_to_run(self._project, task.plan, step)
                    return self._make(task, "forced" if force else reason)
        refuse_if_kept(step, entry)
        return self._reported(task.plan, step, entry, task.shown)

    def _up_to_date(self, plan: Plan, step: Step, shown: str) -> Finished | None:
        """The step, if the store has a sound entry of it that is not a refusal."""
        entry = self._stored(step, repair=False)
        return None if entry is None or is_refusal(step, entry) else self._reported(plan, step, entry, shown)

    def _reported(self, plan: Plan, step: Step, entry: Entry, shown: str) -> Finished:
        """The up-to-date step, which is shown and remembered as such."""
        self._reporter.up_to_date(shown)
        remember(self._project, plan, step)
        return Finished(step, entry, "", 0.0, str(entry.record()["engine"]))

    def _stored(self, step: Step, *, repair: bool) -> Entry | None:
        """The step's entry, or None. Only the holder of the key's lock may repair: others may delete a new, sound entry."""
        try:
            entry = self._store.get(step.key)
            made_on = entry.record().get("processor") if entry else None
            return None if made_on and made_on != kind() else entry
        except StoreCorrupt as error:
            if repair:
                self._reporter.note(f"{error.what}; making it again")
                self._store.retire(step.key)
            return None

    def _make(self, task: _Task, why: str) -> Finished:
        step = task.step
        staged = self._lease.staging / step.key
        shutil.rmtree(staged, ignore_errors=True)
        with saying_disk_full(self._project.state):
            (staged / "files").mkdir(parents=True)
        box = None if step.toolchain == HOST else self._box(step)  # may take minutes: not part of the step's time
        started = time.monotonic()
        try:
            made_by = self._in_box(box, task, staged, why) if box else self._on_host(task, staged, why)
        except OSError as error:  # the log and the request are written to this disk too
            raise_disk_error(self._project.state, error)
            raise
        seconds = time.monotonic() - started
        made_by |= _processor(task, staged)
        entry = self._store.add(step.key, staged, {"step": _record(step), "seconds": round(seconds, 2), **made_by})
        refuse_if_kept(step, entry)
        remember(self._project, task.plan, step)
        self._reporter.done(task.shown, seconds, made_by["engine"])
        return Finished(step, entry, why, seconds, made_by["engine"])

    def _on_host(self, task: _Task, staged: Path, why: str) -> dict[str, str]:
        from litekiln.run.host_steps import PROGRAMS, Host

        def say(text: str) -> None:
            if self._stop.is_set:  # unlike a program, a thread can't be killed
                raise KeyboardInterrupt
            self._reporter.live(task.shown, text)

        step = task.step
        with self._reporter.step(task.shown, why), saying_disk_full(self._project.state):
            host = Host(self._project.downloads, say, self._reporter.note, lambda: self._stop.is_set)
            result = PROGRAMS[step.program]({**step.args, **step.aside}, staged / "files", host)
        (staged / "result.json").write_text(canonical_json(result), encoding="utf-8")
        (staged / "log.txt").write_text("", encoding="utf-8")
        return {"engine": "host", "image": ""}

    def _in_box(self, box: Box, task: _Task, staged: Path, why: str) -> dict[str, str]:
        step, job = task.step, self._job(task, staged)
        with self._reporter.step(task.shown, why):
            outcome = box.run(job, lambda line: self._reporter.line(task.shown, line), self._stop)
        result = staged / "files" / "result.json"
        if not outcome.ok:
            told = cause_told(staged / "files")
            error = step_error(step, outcome, self._keep_log(task, staged), told)
            if not (isinstance(error, StepRefused) and step.keep_refusal):
                raise error
            result.write_text(canonical_json({"refused": error.what, **told}), encoding="utf-8")
        if not result.is_file():
            msg = f"{step.id} ended well but left no result.json"
            raise StepFailed(msg, cause=f"a mistake in steps/{step.program}", remedy=f"the log: {self._keep_log(task, staged)}")
        result.rename(staged / "result.json")
        return {"engine": box.engine, "image": box.image}

    def _box(self, step: Step) -> Box:
        toolchain = step.toolchain
        with self._opening:
            if self._engine is None:
                self._engine = self._choose()  # only now: an up-to-date plan asks no daemon
            if toolchain in self._unopened:
                raise self._unopened[toolchain]  # a retry may take minutes and fails the same way
            if toolchain not in self._boxes:
                try:
                    planned = load_unchanged(self._project, toolchain, step.ingredients["toolchain"], step.id)
                    self._boxes[toolchain] = self._open.enter_context(self._engine.open(planned, self._reporter.note))
                except TOOLCHAIN_FAILURES as error:
                    self._unopened[toolchain] = error
                    raise
            return self._boxes[toolchain]

    def _job(self, task: _Task, staged: Path) -> Job:
        step = task.step
        request = self._lease.staging / f"{step.key}.request.json"
        request.write_text(canonical_json({"format": REQUEST_FORMAT, "args": step.args}), encoding="utf-8")
        files = {"request.json": request, "steps": self._inputs.programs(step)}
        for name, value in step.inputs.items():
            made = task.finished[value.step].entry.files / value.path if value.step else None
            files[f"in/{name}"] = made or self._inputs.copy_of(value)
        return Job(
            argv=("python", f"steps/{step.program}"),
            files=files,
            output=staged / "files",
            log=staged / "log.txt",
            timeout=step.timeout,
            label=f"{task.plan.model}: {step.id}",
            group=task.plan.model,
        )

    def _keep_log(self, task: _Task, staged: Path) -> Path:
        """The copy of a failed step's log, which stays when the staging folder goes."""
        kept = self._project.state / "logs" / f"{task.plan.model}-{task.step.id.replace(' ', '-').replace('/', '-')}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(staged / "log.txt", kept)
        return kept


def _record(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "program": step.program,
        "toolchain": step.toolchain,
        "args": step.shown_args,
        "ingredients": step.ingredients,
    }


def _processor(task: _Task, staged: Path) -> dict[str, str]:
    """The kind of this processor, for a result that has other bits on another kind: such results are never mixed."""
    inputs = [task.finished[value.step].entry.record() for value in task.step.inputs.values() if value.step]
    inexact = json.loads((staged / "result.json").read_text(encoding="utf-8")).get("inexact")
    return {"processor": kind()} if inexact or any("processor" in each for each in inputs) else {}


def is_refusal(step: Step, entry: Entry) -> bool:
    """Whether the store keeps a refusal of the step: the same inputs give the same answer."""
    return step.keep_refusal and bool(entry.result().get("refused"))


def refuse_if_kept(step: Step, entry: Entry) -> None:
    """Raise a refusal that the store keeps."""
    if is_refusal(step, entry):
        kept = {name: str(value) for name, value in entry.result().items()}
        raise refusal(kept["refused"], kept if "cause" in kept else {}, entry.log)
