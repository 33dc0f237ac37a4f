"""Exact arithmetic on TFLite's operators gives what TensorFlow's own interpreter gives, but for its rounding in 32 bits."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.engine.conftest import Runner

PROGRAM = Path(__file__).with_name("programs") / "exact_operators.py"


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_every_operator_computes_what_tensorflows_interpreter_computes(run: Runner, tmp_path: Path) -> None:
    outcome = run(PROGRAM.read_text(encoding="utf-8"), files={"steps": ROOT / "steps"}, timeout=300)
    assert outcome.ok, "\n".join(outcome.tail)
    found = json.loads((tmp_path / "output" / "found.json").read_text(encoding="utf-8"))
    assert not found["apart"], found["apart"]
    assert not found["untried"], f"no network here has the operators {found['untried']}"
