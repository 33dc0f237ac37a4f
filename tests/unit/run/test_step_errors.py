"""Why a step failed, in words: above all that a crash of the interpreter is a crash of the interpreter."""

import re
from pathlib import Path

import pytest

from litekiln.engines.base import Outcome
from litekiln.errors import StepCrashed, StepFailed, StepKilled, StepTimeout
from litekiln.plan import programs
from litekiln.plan.plan import Step
from litekiln.plan.step_modules import program_files
from litekiln.run.step_errors import step_error
from litekiln.sources.kinds import KINDS
from tests.unit.conftest import ROOT


def _step(program: str) -> Step:
    known = {row.file: row for row in vars(programs).values() if isinstance(row, programs.Program)}
    runs_model = program in known and known[program].runs_model
    return Step("verify int8", program, "tf2.13", {}, {}, {}, timeout=1800, memory=700, runs_model=runs_model)


def test_whatever_runs_a_model_is_known_to() -> None:
    """A crash in one of these is the file's, and nobody blames TensorFlow: what calls the interpreter is found by its code."""
    running = set()
    for path in sorted((ROOT / "steps").glob("*.py")):
        texts = [each.read_text(encoding="utf-8") for each in program_files(ROOT / "steps", path.name)]
        if "protocol.main(" in texts[0] and any(re.search(r"\.invoke\(\)|Calibrator\(|Interpreter\(", text) for text in texts):
            running.add(path.name)
    rows = [row for row in vars(programs).values() if isinstance(row, programs.Program)]
    told = {row.file for row in rows if row.runs_model} | {
        name for kind in KINDS if kind.finished for name in (kind.export, kind.run)
    }
    assert running - {"smoke.py"} == told  # smoke's model is its own


@pytest.mark.parametrize(("number", "name"), [(4, "SIGILL"), (6, "SIGABRT"), (7, "SIGBUS"), (8, "SIGFPE"), (11, "SIGSEGV")])
def test_a_crash_of_the_interpreter_is_told_as_one(number: int, name: str) -> None:
    error = step_error(_step("verify.py"), Outcome(-number, ("@progress 3/16 pictures",), signal=number), Path("verify.log"))
    assert type(error) is StepCrashed
    assert error.exit_code == 6
    assert error.what == f"verify int8: the interpreter crashed ({name}) in toolchain tf2.13\n  | @progress 3/16 pictures"
    assert error.remedy == "the whole log: verify.log"
    wanted = (
        "this processor lacks an instruction"
        if name == "SIGILL"
        else "makes TensorFlow's interpreter read or write outside its memory"
    )
    assert wanted in error.cause


def test_a_crash_elsewhere_blames_no_model() -> None:
    error = step_error(_step("export_detection.py"), Outcome(-11, (), signal=11), Path("export.log"))
    assert error.what == "verify int8: a native library crashed (SIGSEGV) in toolchain tf2.13"
    assert error.cause == "a mistake in TensorFlow or in a library of this system"


def test_a_model_that_hangs_is_stopped_and_said_to_be() -> None:
    error = step_error(_step("verify.py"), Outcome(-9, (), signal=9, timed_out=True), Path("verify.log"))
    assert type(error) is StepTimeout
    assert error.what == "verify int8 ran longer than its 1800 s and was stopped"
    assert "the program hangs" in error.cause


def test_what_the_system_killed_is_no_crash() -> None:
    assert type(step_error(_step("verify.py"), Outcome(-9, (), signal=9), Path("verify.log"))) is StepKilled
    assert type(step_error(_step("verify.py"), Outcome(1, ("Traceback",)), Path("verify.log"))) is StepFailed
