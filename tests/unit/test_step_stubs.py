"""steps/protocol.py and steps/smoke.py have their types in stub files, which must say what the modules are."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from litekiln.plan.step_modules import program_files

STEPS = Path(__file__).resolve().parents[2] / "steps"


def _stubtest(folder: Path, module: str, working: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "MYPYPATH": str(folder)}
    argv = [sys.executable, "-m", "mypy.stubtest", module]
    return subprocess.run(argv, cwd=working, env=environment, capture_output=True, text=True, check=False)


def test_the_stub_of_protocol_is_that_of_the_module(tmp_path: Path) -> None:
    run = _stubtest(STEPS, "protocol", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_stub_of_protocol_that_drifted_is_found(tmp_path: Path) -> None:
    for suffix in (".py", ".pyi"):
        shutil.copy2(STEPS / f"protocol{suffix}", tmp_path)
    with (tmp_path / "protocol.py").open("a", encoding="utf-8") as stream:
        stream.write("\n\ndef another(path):\n    return path\n")
    run = _stubtest(tmp_path, "protocol", tmp_path)
    assert run.returncode == 1
    assert "protocol.another" in run.stdout


def _public(path: Path) -> dict[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return {node.name: [each.arg for each in node.args.args] for node in functions}


def test_the_stub_of_smoke_is_that_of_the_module() -> None:
    """Without importing it: TensorFlow is not installed here."""
    assert _public(STEPS / "smoke.py") == _public(STEPS / "smoke.pyi")


@pytest.mark.parametrize("program", ["smoke.py", "annotate.py"])
def test_stubs_are_no_part_of_a_step(program: str) -> None:
    files = program_files(STEPS, program)
    assert STEPS / "protocol.py" in files
    assert not [path for path in files if path.suffix != ".py"]
