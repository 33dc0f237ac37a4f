"""A file needs its operators in versions that the runtimes have which must run it."""

from pathlib import Path
from runpy import run_path

import pytest

from litekiln.engines.choose import choose_engine
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains.toolchain import load_toolchain
from tests.conftest import ROOT
from tests.engine.conftest import Runner, found_by, runner_in

NEEDED = "FULLY_CONNECTED in version 12, but TensorFlow Lite 2.13 (in which litekiln verifies) has it up to version 10"
HELPER = ROOT / "tests" / "helpers" / "operator_versions.py"


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_the_table_is_what_the_verifying_toolchain_has(run: Runner, tmp_path: Path) -> None:
    table = run_path(str(ROOT / "steps" / "tflite_file" / "runtimes.py"))
    found = found_by(run, "operator_versions.py", tmp_path / "output", operator_versions=HELPER)
    assert {name: newest[0] for name, newest in table["NEWEST"].items() if newest[0]} == found["newest"]
    assert table["RUNTIMES"][0].startswith(f"TensorFlow Lite {_finisher()} ")
    assert found["good"] == ["2 of 2 operators", "2 of 2 operators", ""]
    assert found["newer"] == [
        "1 of 2 operators",
        "2 of 2 operators",
        f"the file needs {NEEDED}: the converter of another toolchain may write what they have",
    ]
    assert "OPERATOR_999 in version 1, but LiteRT 2.1.6 (on a Pi) doesn't have it" in found["unknown"][2]


def _finisher() -> str:
    """The version of the toolchain that verifies, without its last number."""
    toolchain = load_toolchain(Project(code=ROOT, work=ROOT), "tf2.13")
    assert "finish" in toolchain.spec.roles
    return toolchain.spec.tensorflow.rpartition(".")[0]


@pytest.mark.parametrize("engine", ["venv"])
@pytest.mark.parametrize("toolchain", [pytest.param(name, marks=pytest.mark.toolchain(name)) for name in ("tf2.21", "nightly")])
def test_dense_layers_of_a_newer_converter_run_on_a_pi(project: Project, engine: str, toolchain: str, tmp_path: Path) -> None:
    with (
        Lease(project.state) as lease,
        choose_engine(engine, project, lease, print).open(load_toolchain(project, toolchain), print) as box,
    ):
        found = found_by(runner_in(box, tmp_path), "dense_layers.py", tmp_path / "output")
    assert found["operators"].count("FULLY_CONNECTED") == 2
    assert found["weights"] == ["int8", "int8"]
    assert found["lacking"] == []
