"""The commands as a user meets them: output, exit codes, JSON. Run as real processes, in a project of their own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from litekiln.paths import Project, find_project

ROOT = Path(__file__).resolve().parents[2]


def run_inv(project: Project, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **variables}
    return subprocess.run(argv, cwd=project.work, env=environment, capture_output=True, text=True, check=False)


def test_a_dry_run_prints_the_plan_and_makes_nothing(project: Project) -> None:
    run = run_inv(project, "build", "--model", "demo", "--dry-run")
    assert run.returncode == 0, run.stderr
    assert [line.split("  ")[0] for line in run.stdout.splitlines()[1:4]] == ["export", "convert float32", "annotate float32"]
    assert "9 steps, 9 to do; nothing was run" in run.stdout
    assert not project.state.exists()


def test_json_has_stdout_to_itself(project: Project) -> None:
    run = run_inv(project, "build", "--model", "demo", "--dry-run", "--json")
    assert [step["id"] for step in json.loads(run.stdout)["plan"]][:2] == ["export", "convert float32"]
    assert "9 steps" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "--model", "dmeo"], 2, "unknown model 'dmeo', did you mean 'demo'?"),
        (["build", "--model", "demo", "--variant", "int4"], 2, "models/demo/model.toml has no variant 'int4'"),
        (["build", "--model", "demo", "--engine", "podman"], 2, "unknown engine 'podman'"),
        (["build", "--model", "demo", "--jobs", "-1"], 2, "--jobs -1: expected 1 or more"),
        (["build", "--model", "demo", "--calib", "nowhere"], 2, "unknown picture set 'nowhere', there is: none"),
        (["build", "--model", "demo", "--engine", "venv"], 4, "toolchains/tiny/requirements.lock is out of date"),
        (["build", "--model", "demo", "--engine", "here"], 5, "engine 'here' works only inside a toolchain image"),
        (["smoke", "--toolchain", "tf9"], 2, "unknown toolchain 'tf9', known: tiny"),
        (["images", "--base", "alpine"], 2, "unknown base 'alpine'"),
    ],
)
def test_mistakes_have_a_message_and_an_exit_code(project: Project, arguments: list[str], code: int, message: str) -> None:
    run = run_inv(project, *arguments)
    assert (run.returncode, "Traceback" in run.stderr + run.stdout) == (code, False), run.stdout + run.stderr
    assert message in run.stderr + run.stdout
    assert "What to do:" in run.stderr + run.stdout


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (
            ["build", "--modell", "demo"],
            "inv build has no option '--modell', did you mean '--model'?",
            "`inv --help build` explains",
        ),
        (["build", "--modell=demo"], "inv build has no option '--modell', did you mean '--model'?", "`inv --help build` explains"),
        (["build", "-q"], "inv build has no option '-q', there is: --all, --allow-flex,", "`inv --help build` explains"),
        (["build", "--model", "demo", "--jobs", "abc"], "--jobs 'abc': expected a whole number", "--jobs 2, for example"),
        (["build", "--model", "demo", "--jobs=1.5"], "--jobs '1.5': expected a whole number", "--jobs 2, for example"),
        (["clean", "--older-than", "soon"], "--older-than 'soon': expected a number", "--older-than 2, for example"),
        (["build", "shapes"], "inv build takes no argument 'shapes', did you mean --model shapes?", "inv build --model shapes"),
        (
            ["lint", "a b.tflite"],
            "inv lint takes no argument 'a b.tflite', did you mean --file 'a b.tflite'?",
            "inv lint --file 'a b",
        ),
        (
            ["build", "--model", "demo", "verfy"],
            "inv build takes no argument 'verfy', did you mean the command 'verify'?",
            "inv --help",
        ),
        (["build", "--model", "demo", "another"], "inv build takes no argument 'another'", "inv --help build"),
        (["build", "--force=yes"], "--force=yes: this option takes no value", "inv build --force"),
        (["build", "--model"], "--model is given without a value", "--model VALUE; `inv --help build` explains each option"),
        (["new"], "inv new needs --name and --source", "`inv --help new` explains each option"),
        (["compare", "a"], "inv compare needs B", "`inv --help compare` explains each option"),
        (["biuld"], "unknown command 'biuld', did you mean 'build'?", "`inv --list` lists the commands"),
        (["--help", "biuld"], "unknown command 'biuld', did you mean 'build'?", "`inv --list` lists the commands"),
        (["--nope"], "unknown option '--nope' before a command", "`inv --list` lists the commands"),
    ],
)
def test_what_was_typed_wrong_is_told_in_litekilns_words(project: Project, arguments: list[str], what: str, remedy: str) -> None:
    run = run_inv(project, *arguments)
    assert (run.returncode, run.stderr) == (2, "")
    assert run.stdout.startswith(f"✗ error:  {what}")
    assert f"\n  What to do:   {remedy}" in run.stdout
    error = json.loads(run_inv(project, *arguments[:1], "--json", *arguments[1:]).stdout) if arguments[0] == "build" else None
    assert error is None or (error["error"], error["exit_code"]) == ("UsageError", 2)


def test_an_error_in_json(project: Project) -> None:
    run = run_inv(project, "build", "--model", "dmeo", "--json")
    assert run.returncode == 2
    error = json.loads(run.stdout)
    assert (error["error"], error["remedy"]) == ("UsageError", "inv models")


def test_a_mistake_of_litekilns_own_is_said_as_one(project: Project) -> None:
    (project.steps / "convert_float.py").unlink()
    run = run_inv(project, "build", "--model", "demo", "--dry-run")
    assert run.returncode == 1
    assert "unexpected error:  FileNotFoundError" in run.stdout
    assert "run it again with --debug and report what it prints" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
    told = run_inv(project, "build", "--model", "demo", "--dry-run", "--json")
    error = json.loads(told.stdout)
    assert (told.returncode, error["exit_code"], error["cause"]) == (1, 1, "a mistake in litekiln")
    assert error["what"].startswith("FileNotFoundError: ")


def test_debug_shows_a_traceback(project: Project) -> None:
    assert "Traceback" in run_inv(project, "build", "--model", "dmeo", "--debug").stderr


def test_models_lists_what_is_there(project: Project) -> None:
    run = run_inv(project, "models", "--json")
    assert json.loads(run.stdout)["models"] == [
        {
            "name": "demo",
            "kind": "tf2-detection",
            "input": "256x320",
            "published_map": None,
            "license": "Apache-2.0",
            "variants": ["float32", "float16"],
            "built": [],
        }
    ]


def test_the_project_is_found_from_inside_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_project(project.models / "demo") == project


def test_a_folder_that_cannot_be_written_is_said(project: Project) -> None:
    (project.work / ".litekiln").write_text("a file where a folder belongs")
    run = run_inv(project, "build", "--model", "demo")
    assert run.returncode == 7, run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_every_make_target_is_explained(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    run = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True)
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    for target in set(phony) - {"host", "host-dev"}:
        assert f"make {target} " in run.stdout


@pytest.mark.parametrize(("variables", "kept"), [({}, True), ({"PYTHONDONTWRITEBYTECODE": "1"}, False)])
def test_the_package_is_compiled_once_unless_the_user_wants_no_bytecode(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], kept: bool
) -> None:
    """invoke switches bytecode off: each command would compile all that it loads."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    prefix = tmp_path / "bytecode"
    assert run_inv(project, "build", "--model", "demo", "--dry-run", PYTHONPYCACHEPREFIX=str(prefix), **variables).returncode == 0
    assert any(prefix.rglob("build_plan.*.pyc")) is kept


@pytest.mark.parametrize("colours", [{}, {"FORCE_COLOR": "1"}])
@pytest.mark.parametrize(
    "arguments",
    [
        ["models"],
        ["models", "--json"],
        ["build", "--model", "demo", "--dry-run"],
        ["build", "--model", "dmeo"],
        ["build", "--model", "dmeo", "--json"],
    ],
    ids=" ".join,
)
def test_when_nobody_reads_the_output_it_ends_quietly(project: Project, arguments: list[str], colours: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does after its lines
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]
    environment = {**os.environ, **colours}
    run = subprocess.run(argv, cwd=project.work, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert run.returncode == 141, run.stderr
    assert not re.search("Traceback|Exception|error", run.stderr), run.stderr
