"""Translates how a step's program ended into an error that says why it failed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from litekiln.disk import FREE_SPACE
from litekiln.engines.base import Outcome
from litekiln.errors import (
    DiskFull,
    LitekilnError,
    RefusedEverywhere,
    StepCrashed,
    StepFailed,
    StepKilled,
    StepRefused,
    StepTimeout,
)
from litekiln.plan.plan import Step
from litekiln.wording import visible

SIGKILL = 9
REFUSAL, LARGEST = "refusal.json", 10_000  # steps/refusals.py writes it
NOTHING: Mapping[str, str] = MappingProxyType({})
NO_SPACE = re.compile("No space left on device|Disk quota exceeded")
# Python's error, TensorFlow's, and what libraries write: steps/machine_faults.py looks for the same words.
NO_MEMORY = re.compile(r"\bMemoryError\b|\bResourceExhaustedError\b|std::bad_alloc|Cannot allocate memory")
MORE_MEMORY = "close other programs, add memory (or swap), or try --jobs 1; then run the same command"
# What the system may say to a step beside these, in its last line: the cause, and what to do.
SYSTEMS = {
    "Too many open files": ("the system's limit of open files", "raise it (`ulimit -n 4096`), or try --jobs 1"),
    "Input/output error": ("the disk or the network drive fails", "check it; `dmesg` may name it"),
    "Permission denied": ("a file of the model or of its pictures is not readable for this user", "`chmod -R u+rX` its folder"),
    "No such file or directory": ("a file was moved or removed while the step ran", "put it back"),
}
CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}


def step_error(step: Step, outcome: Outcome, log: Path, told: Mapping[str, str] = NOTHING) -> LitekilnError:
    """Translate a step's outcome into an error. The remedy and the details name its log. `told` is what `cause_told` found."""
    refused = next((line.removeprefix("@refused ") for line in outcome.tail if line.startswith("@refused ")), "")
    if refused:
        return refusal(f"{step.id}: {refused}", told, log)
    error = _error(step, outcome, log)
    error.details = {"log": str(log)}
    return error


def cause_told(output: Path) -> dict[str, str]:
    """The cause and the remedy that a program left with a refusal that holds in every toolchain; empty if it left none.

    The file is taken away: it is no part of a result. A program may run other people's code, so it is read with care.
    """
    path = output / REFUSAL
    if path.is_symlink() or not path.is_file():
        return {}
    with path.open("rb") as stream:
        data = stream.read(LARGEST)
    path.unlink()
    try:
        value = json.loads(data)
        return {name: visible(value[name]) for name in ("cause", "remedy")}
    except (ValueError, KeyError, TypeError):
        return {}


def refusal(what: str, told: Mapping[str, str], log: Path) -> StepRefused:
    """The error of a step that refused. One that tells its cause holds in every toolchain; which program found it is no cause."""
    details: dict[str, object] = {"log": str(log)}
    if told:
        return RefusedEverywhere(what, cause=told["cause"], remedy=told["remedy"], details=details)
    return StepRefused(what, remedy=f"the log: {log}", details=details)


def _error(step: Step, outcome: Outcome, log: Path) -> LitekilnError:
    tail = "".join(f"\n  | {line}" for line in outcome.tail)
    if any(map(NO_SPACE.search, outcome.tail)):
        return DiskFull(f"{step.id} found no space left on the disk{tail}", remedy=FREE_SPACE)
    if outcome.timed_out:
        msg = f"{step.id} ran longer than its {step.timeout} s and was stopped{tail}"
        return StepTimeout(
            msg, cause="the machine is slow or busy, or the program hangs", remedy=f"try again on a quiet machine; the log: {log}"
        )
    if outcome.out_of_memory or outcome.signal == SIGKILL:
        msg = f"{step.id} was killed{tail}"
        cause = "the container's memory limit was reached" if outcome.out_of_memory else "most often the system ran out of memory"
        return StepKilled(msg, cause=cause, remedy=f"{MORE_MEMORY}; the log: {log}")
    if any(map(NO_MEMORY.search, outcome.tail)):
        return StepKilled(f"{step.id} ran out of memory{tail}", cause="", remedy=f"{MORE_MEMORY}; the log: {log}")
    if outcome.signal in CRASHES:
        return _crash(step, outcome, log, tail)
    how = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    what = f"{step.id} failed with {how} in toolchain {step.toolchain}{tail}"
    last = outcome.tail[-1] if outcome.tail else ""
    for words, (cause, remedy) in SYSTEMS.items():
        if words in last:
            return StepFailed(what, cause=cause, remedy=f"{remedy}; then run the same command; the whole log: {log}")
    return StepFailed(what, remedy=f"the whole log: {log}")


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
