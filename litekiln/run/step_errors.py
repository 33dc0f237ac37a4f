"""Translates how a step's program ended into an error that says why it failed."""

from pathlib import Path

from litekiln.disk import FREE_SPACE
from litekiln.engines.base import Outcome
from litekiln.errors import DiskFull, LitekilnError, StepCrashed, StepFailed, StepKilled, StepRefused, StepTimeout
from litekiln.plan.plan import Step

SIGKILL = 9
CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}


def step_error(step: Step, outcome: Outcome, log: Path) -> LitekilnError:
    """Translate a step's outcome into an error. The remedy and the details name its log."""
    error = _error(step, outcome, log)
    error.details = {"log": str(log)}
    return error


def _error(step: Step, outcome: Outcome, log: Path) -> LitekilnError:
    refused = next((line.removeprefix("@refused ") for line in outcome.tail if line.startswith("@refused ")), "")
    if refused:
        return StepRefused(
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
        remedy = f"close other programs, add memory (or swap), or try --jobs 1; then run the same command; the log: {log}"
        return StepKilled(msg, cause=cause, remedy=remedy)
    if outcome.signal in CRASHES:
        return _crash(step, outcome, log, tail)
    how = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    return StepFailed(f"{step.id} failed with {how} in toolchain {step.toolchain}{tail}", remedy=f"the whole log: {log}")


def _crash(step: Step, outcome: Outcome, log: Path, tail: str) -> LitekilnError:
    """The error for a crash in a native library. Each step is a process of its own, so nothing else crashes with it."""
    name = CRASHES[outcome.signal or 0]
    what = "the interpreter crashed" if step.runs_model else "a native library crashed"
    cause = "the model's file makes TensorFlow's interpreter read or write outside its memory: don't run it on a Pi either"
    if not step.runs_model:
        cause = "a mistake in TensorFlow or in a library of this system"
    if name == "SIGILL":
        cause = "this processor lacks an instruction that TensorFlow was built with"
    return StepCrashed(
        f"{step.id}: {what} ({name}) in toolchain {step.toolchain}{tail}", cause=cause, remedy=f"the whole log: {log}"
    )


def summary(failures: list[LitekilnError], names: list[str]) -> LitekilnError | None:
    """The one error that a run ends with, of the kind that all failures share."""
    if len(failures) < 2:
        return failures[0] if failures else None
    lines = [f"{len(failures)} steps failed: {', '.join(names)}", *map(str, failures)]
    return common_kind(failures)("\n".join(lines))


def common_kind(failures: list[LitekilnError]) -> type[LitekilnError]:
    """The most specific kind that all failures share (two failed downloads: NetworkError), or StepFailed."""
    kinds = type(failures[0]).__mro__
    kind = next(kind for kind in kinds if all(isinstance(error, kind) for error in failures))
    return kind if issubclass(kind, LitekilnError) and kind is not LitekilnError else StepFailed
