"""How little has to be touched to add an engine, a kind of source, or a variant: each is added to a copy of the package, and used.

docs/architecture.md lists the same files. Beside its own modules, an addition edits three files at most.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from litekiln.paths import Project
from tests.helpers.running import write_program
from tests.unit.conftest import ROOT

MOST = 3


@dataclass
class Copy:
    """The package in a folder of its own, and which of its files were edited."""

    package: Path
    edited: set[str] = field(default_factory=set)

    def write(self, name: str, text: str) -> None:
        """A module that is new."""
        path = self.package / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, before: str, after: str) -> None:
        """One place of a module that was there."""
        path = self.package / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name}: {before!r}"
        path.write_text(text.replace(before, after), encoding="utf-8")
        self.edited.add(name)

    def run(self, program: str, folder: Path) -> Any:
        """What a program prints as JSON, run with the copy as its litekiln."""
        environment = {**os.environ, "PYTHONPATH": str(self.package.parent)}
        argv = [sys.executable, "-c", program]
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    package = tmp_path_factory.mktemp("copy") / "litekiln"
    shutil.copytree(ROOT / "litekiln", package, ignore=shutil.ignore_patterns("__pycache__"))
    return Copy(package)


ENGINE = '''
"""Engine `desk`: each step in the Python that litekiln runs in."""

import sys
from contextlib import contextmanager
from pathlib import Path

from litekiln.engines.names import DESK
from litekiln.engines.process import ProcessBox


class DeskEngine:
    name = DESK

    def __init__(self, lease):
        self._lease = lease

    @contextmanager
    def open(self, toolchain, say):
        with ProcessBox(self.name, Path(sys.executable), self._lease.staging) as box:
            yield box
'''
RUN_BY_IT = """
import json
from litekiln.paths import find_project
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_toolchain
from litekiln.commands.runner import COMMON

project = find_project()
builder = PlanBuilder(project, "demo")
builder.add("work", Program("work.py"), load_toolchain(project, "tiny"), args={}, inputs={})
with open_executor(project, "desk", Reporter(json=True)) as (executor, _):
    finished = executor.run(builder.plan()).complete()["work"]
print(json.dumps([finished.engine, finished.entry.result(), COMMON["engine"]]))
"""


def test_an_engine(copy: Copy, project: Project) -> None:
    copy.write("engines/desk.py", ENGINE)
    copy.edit("engines/names.py", "\nENGINES = (DOCKER,", '\nDESK = "desk"\nENGINES = (DESK, DOCKER,')
    copy.edit("engines/choose.py", "import AUTO, DOCKER,", "import AUTO, DESK, DOCKER,")
    copy.edit("engines/choose.py", "        HERE: ", "        DESK: lambda: DeskEngine(lease),\n        HERE: ")
    copy.edit("engines/choose.py", "\n\n\nclass AutoEngine", "\nfrom litekiln.engines.desk import DeskEngine\n\n\nclass AutoEngine")
    write_program(project, 'return {"answer": 42}')
    engine, result, told = copy.run(RUN_BY_IT, project.work)
    assert (engine, result["answer"]) == ("desk", 42)
    assert "desk" in told
    assert copy.edited == {"engines/names.py", "engines/choose.py"}
    assert len(copy.edited) <= MOST


KIND = """
SCROLL = Kind(
    "scroll", "the scroll", "export_scroll.py", "run_model.py",
    asks_pixels=True, own_toolchain=True, arguments=CALLED, pattern="*.scroll",
)

KINDS = (SCROLL, """
READER = '''
"""Scrolls: a model as a text."""


def is_scroll(path):
    return path.read_bytes().startswith(b"scroll")
'''
RECOGNISED = """
def _scroll(path: Path, _: Named) -> Found:
    return Found(kind=SCROLL.name, what="a scroll", path=path, height=32, width=32, suffix=".scroll")


def _function("""
NEW_MODEL = """
import json, sys
from pathlib import Path
from litekiln.commands.new import new
from litekiln.new.request import NewRequest
from litekiln.paths import find_project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.terminal import Reporter

project = find_project()
told = new(Reporter(json=True), project, NewRequest("mine", "model.scroll", mean="0", std="255"))
plan = plan_build(project, load_recipe(project, "mine"))
print(json.dumps([told["found"], [step.program for step in plan.steps][:2]]))
"""


def test_a_kind_of_source(copy: Copy, project: Project) -> None:
    copy.write("sources/scroll.py", READER)
    copy.edit("sources/kinds.py", "\nKINDS = (", KIND)
    copy.edit("sources/recognise.py", "import FUNCTION,", "import SCROLL, FUNCTION,")
    copy.edit("sources/recognise.py", '"*.tflite")', '"*.tflite", "*.scroll")')
    copy.edit(
        "sources/recognise.py", '(is_tflite, (".tflite",)', '(is_scroll, (".scroll",), _scroll),\n        (is_tflite, (".tflite",)'
    )
    copy.edit("sources/recognise.py", "\ndef _function(", RECOGNISED)
    copy.edit("sources/recognise.py", "\nSERVER_GRAPH", "\nfrom litekiln.sources.scroll import is_scroll\nSERVER_GRAPH")
    write_program(project, "return {}", "export_scroll.py")
    (project.work / "model.scroll").write_bytes(b"scroll of a model")
    found, programs = copy.run(NEW_MODEL, project.work)
    assert (found, programs) == ("a scroll", ["export_scroll.py", "convert_float.py"])
    assert copy.edited == {"sources/kinds.py", "sources/recognise.py"}
    assert len(copy.edited) <= MOST


PLANNED = """
import json
from litekiln.paths import find_project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe

project = find_project()
plan = plan_build(project, load_recipe(project, "demo"))
step, verify = plan.step("convert float8"), plan.step("verify float8")
print(json.dumps([step.program, step.args["form"]["computes"], verify.args["limits"]["share"]]))
"""


def test_a_variant(copy: Copy, project: Project) -> None:
    row = '    Variant("float8", HALVED, (("float32", "float8", "float32"),)),\n    Variant("dynamic"'
    copy.edit("variants.py", '    Variant("dynamic"', row)
    recipe = project.models / "demo" / "model.toml"
    recipe.write_text(recipe.read_text().replace('"float16"', '"float8"'))
    program, computes, share = copy.run(PLANNED, project.work)
    assert (program, computes, share) == ("convert_float.py", [["float32", "float8", "float32"]], 0.95)
    assert copy.edited == {"variants.py"}
    assert len(copy.edited) <= MOST
