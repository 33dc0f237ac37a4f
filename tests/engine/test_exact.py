"""Exact arithmetic on TFLite's operators gives what TensorFlow's own interpreter gives, but for its rounding in 32 bits."""

from pathlib import Path

import pytest

from tests.engine.conftest import Runner, found_by


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_every_operator_computes_what_tensorflows_interpreter_computes(run: Runner, tmp_path: Path) -> None:
    found = found_by(run, "exact_operators.py", tmp_path / "output")
    assert not found["apart"], found["apart"]
    assert not found["untried"], f"no network here has the operators {found['untried']}"
