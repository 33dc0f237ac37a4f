"""The workflow that builds what a change touches: its shape, its commands, and its shell run for real in a small repository."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.collection import Collection
from invoke.loader import FilesystemLoader
from invoke.parser import Parser

from litekiln.commands.matrix import MatrixRequest, matrix
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.unit.commands.test_matrix import _append, commit, git, repo
from tests.unit.test_structure import ROOT

pytestmark = pytest.mark.long  # git and other processes, many times over

__all__ = ["repo"]  # the fixture
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "models.yml").read_text(encoding="utf-8"))
JOBS = WORKFLOW["jobs"]
INV = ".litekiln/host/bin/inv"


def _steps() -> Iterator[dict[str, Any]]:
    for job in JOBS.values():
        yield from job["steps"]


def _script(job: str, name: str) -> dict[str, Any]:
    return next(step for step in JOBS[job]["steps"] if step.get("name") == name)


# Its shape


def test_it_starts_on_changes_and_by_hand() -> None:
    assert set(WORKFLOW[True]) == {"push", "pull_request", "workflow_dispatch"}  # YAML reads `on` as a truth
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_a_failure_of_one_model_lets_the_others_go_on_and_nothing_to_build_is_no_error() -> None:
    build = JOBS["build"]
    assert build["strategy"]["fail-fast"] is False
    assert build["strategy"]["matrix"] == "${{ fromJSON(needs.matrix.outputs.matrix) }}"
    assert build["needs"] == "matrix"
    assert build["if"] == "needs.matrix.outputs.matrix != '{\"include\":[]}'"
    listed = _script("matrix", "list what the change touches")
    assert JOBS["matrix"]["outputs"]["matrix"] == f"${{{{ steps.{listed['id']}.outputs.matrix }}}}"


def test_what_it_asks_of_a_leg_is_in_a_leg(repo: Project) -> None:
    leg = matrix(Reporter(), repo, MatrixRequest(per="model"))["include"][0]
    asked = set(re.findall(r"matrix\.(\w+)", json.dumps([JOBS["build"]["steps"], JOBS["build"]["name"]])))
    assert asked == {"model", "variants", "key", "downloads"}
    assert asked <= set(leg)


def test_it_keeps_bundles_logs_and_caches() -> None:
    used = [step["uses"].split("@")[0] for step in JOBS["build"]["steps"] if "uses" in step]
    assert [name for name in used if "cache" in name] == ["actions/cache", "actions/cache/restore", "actions/cache/save"]
    kept = {step["with"]["path"] for step in JOBS["build"]["steps"] if step.get("uses", "").startswith("actions/upload-artifact")}
    assert kept == {"out/${{ matrix.model }}", ".litekiln/logs"}
    restored, saved = (
        next(step["with"] for step in JOBS["build"]["steps"] if step.get("uses", "").startswith(f"actions/cache/{what}"))
        for what in ("restore", "save")
    )
    assert (restored["key"], restored["path"]) == (saved["key"], saved["path"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_have_a_version_and_jobs_an_end(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    for job in jobs.values():
        assert job["timeout-minutes"] > 0
        assert job["runs-on"] == "ubuntu-24.04"
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w/-]+@(v\d+|[0-9a-f]{40})", step.get("uses", "actions/checkout@v4"))


# Its commands


def _commands() -> list[list[str]]:
    """Every call of inv or make in a shell part, word by word; what the shell puts in counts as one word."""
    found = []
    for step in _steps():
        for line in step.get("run", "").splitlines():
            for call in re.findall(rf"(?:^|[\s(;&])((?:{re.escape(INV)}|make) [^|;)]*)", line):
                words = shlex.split(call.partition(" 2>")[0])
                found.append([word for word in words if not word.startswith("${asked")])
    return found


def test_every_command_is_one_that_litekiln_has() -> None:
    module, _ = FilesystemLoader(start=str(ROOT)).load("tasks")
    parser = Parser(contexts=Collection.from_module(module).to_contexts())
    commands = _commands()
    for words in commands:
        if words[0] == "make":
            done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        else:
            assert parser.parse_argv(words[1:])[0].name == words[1]
    assert sorted(" ".join(words[:2]) for words in commands) == [f"{INV} build", f"{INV} matrix", "make host", "make host"]


# Its shell, run as GitHub runs it


def _run(step: dict[str, Any], work: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A shell part in a clone, with files where GitHub reads outputs and summaries."""
    values = dict.fromkeys(step.get("env", {}), "")
    places = {"RUNNER_TEMP": work.parent, "GITHUB_OUTPUT": work.parent / "output", "GITHUB_STEP_SUMMARY": work.parent / "summary"}
    for name in ("output", "summary"):
        (work.parent / name).unlink(missing_ok=True)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=work, env={**os.environ, **values, **{name: str(place) for name, place in places.items()}, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def clone(repo: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What actions/checkout leaves, with an inv in its place."""
    folder = tmp_path_factory.mktemp("runner") / "work"
    git(repo.work, "clone", "--quiet", f"file://{repo.work}", str(folder))
    inv = folder / INV
    inv.parent.mkdir(parents=True)
    inv.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m invoke --search-root {shlex.quote(str(ROOT))} "$@"\n')
    inv.chmod(0o755)
    return folder


LIST = _script("matrix", "list what the change touches")


def _listed(clone: Path) -> list[str]:
    (line,) = (clone.parent / "output").read_text().splitlines()
    name, _, value = line.partition("=")
    assert name == "matrix"
    return [f"{leg['model']}: {leg['variants']}" for leg in json.loads(value)["include"]]


def test_a_push_builds_what_changed_since_the_commit_before(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    _append("steps/calibrate.py")(Project(clone, clone))
    commit(clone)
    done = _run(LIST, clone, EVENT="push", BEFORE=before)
    assert done.returncode == 0, done.stderr
    assert _listed(clone) == ["demo: int8", "twin: int8"]
    summary = (clone.parent / "summary").read_text()
    assert summary.startswith("### To build\n```\nmodel")
    assert "calibrate: code" in summary
    assert _run(LIST, clone, EVENT="push", BEFORE=git(clone, "rev-parse", "HEAD")).returncode == 0
    assert (clone.parent / "output").read_text() == 'matrix={"include":[]}\n'


@pytest.mark.parametrize("before", ["0" * 40, "f" * 40])
def test_a_first_push_and_a_commit_that_is_gone_build_everything(clone: Path, before: str) -> None:
    done = _run(LIST, clone, EVENT="push", BEFORE=before)
    assert done.returncode == 0, done.stderr
    assert _listed(clone) == ["demo: float32 float16 int8", "twin: float32 float16 int8"]


def test_a_pull_request_builds_what_it_changes_and_not_what_the_base_did(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--create", "theirs")
    _append("README.md")(Project(clone, clone))
    commit(clone)
    git(clone, "switch", "--quiet", "main")
    _append("steps/export_detection.py")(Project(clone, clone))
    commit(clone)
    git(clone, "merge", "--quiet", "--no-edit", "theirs")  # what GitHub checks out
    assert _run(LIST, clone, EVENT="pull_request").returncode == 0
    assert _listed(clone) == []


def test_by_hand_everything_or_the_models_that_are_named(clone: Path) -> None:
    assert _run(LIST, clone, EVENT="workflow_dispatch", MODELS="twin").returncode == 0
    assert _listed(clone) == ["twin: float32 float16 int8"]
    assert _run(LIST, clone, EVENT="workflow_dispatch", MODELS="").returncode == 0
    assert len(_listed(clone)) == 2
    mischief = _run(LIST, clone, EVENT="workflow_dispatch", MODELS='twin"; echo "matrix=x" >> "$GITHUB_OUTPUT"; "')
    assert mischief.returncode == 1
    assert not (clone.parent / "output").exists()


def test_an_error_ends_the_job_and_is_shown(clone: Path) -> None:
    done = _run(LIST, clone, EVENT="workflow_dispatch", MODELS="tiwn")
    assert done.returncode == 1
    assert "did you mean 'twin'?" in done.stderr
    assert not (clone.parent / "output").exists()


def test_the_build_is_of_the_legs_variants_and_a_failure_is_one(clone: Path) -> None:
    step = _script("build", "build")
    (clone / INV).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    done = _run(step, clone, MODEL="demo", VARIANTS="float32 int8-io")
    wanted = ["build", "--model", "demo", "--engine", "venv", "--variant", "float32", "--variant", "int8-io"]
    assert (done.returncode, done.stdout.split()) == (0, wanted)
    assert (clone.parent / "build.txt").read_text() == done.stdout
    (clone / INV).write_text("#!/bin/sh\nexit 6\n")
    assert _run(step, clone, MODEL="demo", VARIANTS="int8").returncode == 6


def test_the_summary_tells_of_a_download_that_was_recorded(clone: Path) -> None:
    step = _script("build", "summary")
    (clone.parent / "build.txt").write_text("variant  size\nfloat32  1 MB\n")
    assert _run(step, clone, MODEL="demo").returncode == 0
    assert (clone.parent / "summary").read_text() == "### demo\n```\nvariant  size\nfloat32  1 MB\n```\n"
    (clone / "models" / "demo" / "source.lock").write_text('sha256 = "abc"\n')
    assert _run(step, clone, MODEL="demo").returncode == 0
    assert 'commit this:\n```\nsha256 = "abc"\n```\n' in (clone.parent / "summary").read_text()


@pytest.mark.parametrize(
    ("listed", "built", "code"),
    [("success", "success", 0), ("success", "skipped", 0), ("success", "failure", 1), ("failure", "skipped", 1)],
)
def test_the_one_check_to_require(clone: Path, listed: str, built: str, code: int) -> None:
    (step,) = JOBS["models"]["steps"]
    assert _run(step, clone, MATRIX=listed, BUILD=built).returncode == code


def test_the_shell_has_no_known_mistakes(tmp_path: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("not run: shellcheck is not on this machine")
    for number, step in enumerate(step for step in _steps() if "run" in step):
        script = tmp_path / f"{number}.sh"
        script.write_text("#!/bin/bash\n" + step["run"])
        done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
