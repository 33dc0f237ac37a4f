"""`inv bench` without the Pi's packages: a stand-in for the runtime says how it was started."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from litekiln.commands.bench import BenchRequest, bench
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.unit.commands.test_desk import environment as environment
from tests.unit.test_tasks import run_inv

BENCH = BenchRequest("demo", "float32")


@pytest.mark.parametrize(
    ("request_", "argv"),
    [
        (BENCH, ["bench"]),
        (replace(BENCH, seconds="2", json=True), ["bench", "--seconds=2", "--json"]),
    ],
)
def test_the_runtime_measures_and_prints(
    project: Project, bundle: Path, environment: Path, capfd: pytest.CaptureFixture[str], request_: BenchRequest, argv: list[str]
) -> None:
    assert bench(Reporter(json=True), project, request_) == {"exit_code": 0}
    told = json.loads(capfd.readouterr().out)  # one value, and nothing else
    assert told["argv"] == argv
    assert told["LITEKILN_BUNDLE"] == str(bundle)
    assert told["LITEKILN_DESK"] == "inv bench --model demo --variant float32"


def test_its_document_is_the_only_thing_on_stdout(project: Project, bundle: Path, environment: Path) -> None:
    run = run_inv(project, "bench", "--model", "demo", "--variant", "float32", "--json", TEST_EXIT="130")
    assert (json.loads(run.stdout)["argv"], run.returncode) == (["bench", "--json"], 130)


def test_an_error_is_still_a_json_value(project: Project) -> None:
    run = run_inv(project, "bench", "--model", "dema", "--variant", "float32", "--json")
    assert run.returncode == 2
    assert json.loads(run.stdout)["what"].startswith("unknown model 'dema'")


def test_what_it_refuses_before_it_builds(project: Project) -> None:
    with pytest.raises(UsageError, match="no recipe lists the variant int8"):
        bench(Reporter(json=True), project, replace(BENCH, variant="int8"))
    assert not project.state.exists()
