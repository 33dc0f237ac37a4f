"""The rules of the structure, held by tests: who may import what."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = sorted((ROOT / "litekiln").rglob("*.py"))
STEPS = sorted((ROOT / "steps").glob("*.py"))
RUNTIME = sorted((ROOT / "pi" / "litekiln_pi").rglob("*.py"))
SHARED = ("boxes", "detector", "pictures", "ports")  # of the steps, what the Pi's image holds too


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", HOST, ids=lambda path: path.stem)
def test_the_host_never_imports_tensorflow(path: Path) -> None:
    assert not {"tensorflow", "numpy", "keras"} & set(_imports(path))


@pytest.mark.parametrize("path", HOST, ids=lambda path: path.stem)
def test_only_the_engines_import_docker(path: Path) -> None:
    if path.parent.name != "engines":
        assert "docker" not in set(_imports(path))


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_imports_nothing_of_the_host_and_parses_on_3_7(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    assert "litekiln" not in set(_imports(path))


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.stem)
def test_the_pis_runtime_takes_of_the_steps_what_was_verified_and_nothing_else(path: Path) -> None:
    there = {each.stem for each in STEPS} & set(_imports(path))
    assert there <= set(SHARED)
    assert not {"litekiln", "tensorflow", "docker"} & set(_imports(path))


@pytest.mark.parametrize("path", [*RUNTIME, *(ROOT / "steps" / f"{name}.py" for name in SHARED)], ids=lambda path: path.stem)
def test_the_pis_runtime_uses_nothing_that_is_left_out_of_its_image(path: Path) -> None:
    assert not re.findall(r"numpy\.(?:random|testing|typing|f2py|distutils)|import sqlite3|ImageCms|ImageTk", path.read_text())


@pytest.mark.parametrize("name", SHARED)
def test_what_the_pi_shares_needs_nothing_of_tensorflow_or_the_other_steps(name: str) -> None:
    imported = set(_imports(ROOT / "steps" / f"{name}.py"))
    assert imported <= {*SHARED, "numpy", "PIL", "collections", "json", "os"}


@pytest.mark.parametrize(
    "path", [*HOST, *STEPS, *RUNTIME, ROOT / "pi" / "lay_out.py", ROOT / "tasks.py"], ids=lambda path: path.stem
)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "numpy"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
"""


def test_the_tool_runs_where_tensorflow_may_not_be_imported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    blocked = subprocess.run(
        [sys.executable, "-c", "import tensorflow"], env=environment, capture_output=True, text=True, check=False
    )
    assert "blocked: tensorflow" in blocked.stderr
    argv = [sys.executable, "-m", "invoke", "build", "--model", "shapes", "--dry-run"]
    run = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "steps, " in run.stdout
