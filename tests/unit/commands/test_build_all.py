"""`inv build --all`, of programs that take no time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.build import build
from litekiln.commands.build_all import build_all
from litekiln.commands.prepare import BuildRequest
from litekiln.engines.base import Box
from litekiln.errors import (
    DiskFull,
    DownloadFailed,
    EngineError,
    InterpreterMissing,
    LitekilnError,
    NetworkError,
    NotFoundOnServer,
    RecipeError,
    StepFailed,
    StoreError,
    UsageError,
)
from litekiln.paths import Project
from litekiln.recipes.pins import Archive, Remote
from litekiln.run.store import Store
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import Toolchain
from tests.conftest import inv_argv
from tests.helpers.running import ThisPython, write_program
from tests.unit.recipes.test_picture_sets import write_set
from tests.unit.run.test_schedule import CHILD, add_toolchain
from tests.unit.run.test_write_report import write_detection_steps, write_recipe

ARCHIVE = 'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "first-use"'


@pytest.fixture
def kiln(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The models demo, second and third, which use one set of drawn pictures."""
    add_toolchain(project, "other")
    folder = write_set(project, 'generator = "draw.py"', "drawn")
    (folder / "draw.py").write_text("# draws\n")
    write_recipe(project, "float32", "int8", toolchains=["tiny", "other"], calibration="drawn")
    write_detection_steps(project)
    pictures = "index = os.path.join('out', 'index.json')\nopen(index, 'w').write('{\"pictures\": []}')\nreturn {}"
    write_program(project, pictures, "draw_pictures.py")
    for name in ("second", "third"):
        shutil.copytree(project.models / "demo", project.models / name)
        config = project.models / name / "source" / "pipeline.config"
        config.write_text(f"{config.read_text()}# {name}\n")  # other sources, so that not everything is shared
    monkeypatch.setattr("litekiln.run.session._engine", lambda name, project, lease, reporter: ThisPython(lease))
    monkeypatch.chdir(project.work)
    return project


def _all(project: Project, *models: str, **changed: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"variants": [], "engine": "auto", "calib": "", "jobs": 2, "force": False, "dry_run": False}
    return build_all(Reporter(), project, BuildRequest(everything=True, models=models, **(options | changed)))


def _fails(kind: type[LitekilnError], project: Project, *models: str, **changed: Any) -> LitekilnError:
    with pytest.raises(kind) as caught:
        _all(project, *models, **changed)
    assert type(caught.value) is kind
    return caught.value


def _made(project: Project) -> list[str]:
    return sorted(path.relative_to(project.out).as_posix() for path in project.out.glob("*/*") if path.is_dir())


def _break(project: Project, model: str, old: str, new: str) -> None:
    path = project.models / model / "model.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


EVERYTHING = [f"{model}/{variant}" for model in ("demo", "second", "third") for variant in ("float32", "int8")]
OTHERS = [name for name in EVERYTHING if not name.startswith("second")]


def test_every_recipe_is_built_and_what_they_share_is_made_once(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    value = _all(kiln)
    assert _made(kiln) == EVERYTHING
    assert sorted(value["models"]) == ["demo", "second", "third"]
    assert [bundle["variant"] for bundle in value["models"]["third"]["bundles"]] == ["float32", "int8"]
    assert value["models"]["third"]["failures"] == []
    out = capfd.readouterr().out
    assert out.count("draw drawn  (new)") == 1
    assert "→ third: convert float32  (new)" in out
    assert "· all 3 models are built" in out
    for model in ("demo", "second", "third"):
        page = (kiln.out / model / "report.html").read_text(encoding="utf-8")
        assert f"inv build --model {model} --variant int8" in page
    steps = {model: {step["id"]: step["key"] for step in value["models"][model]["steps"]} for model in value["models"]}
    assert steps["demo"]["draw drawn"] == steps["second"]["draw drawn"]
    assert steps["demo"]["export"] != steps["second"]["export"]


def test_it_makes_what_one_build_of_each_makes(kiln: Project) -> None:
    _all(kiln)
    together = {name: (kiln.out / name / "manifest.json").read_bytes() for name in EVERYTHING}
    shutil.rmtree(kiln.out)
    shutil.rmtree(kiln.state)
    for model in ("demo", "second", "third"):
        build(Reporter(), kiln, BuildRequest(model, jobs=1))
    assert {name: (kiln.out / name / "manifest.json").read_bytes() for name in EVERYTHING} == together


def test_a_second_run_has_nothing_to_do(kiln: Project) -> None:
    _all(kiln)
    again = _all(kiln)
    assert {step["reason"] for model in again["models"].values() for step in model["steps"]} == {""}


def test_models_and_variants_are_chosen(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    _break(kiln, "third", '"float32", "int8"', '"float32"')
    _all(kiln, "demo,third", variants=["int8"])
    assert _made(kiln) == ["demo/int8"]
    assert "· all 1 models are built" in capfd.readouterr().out, "third has no such variant"
    error = _fails(UsageError, kiln, "third", variants=["int8"])
    assert error.what == "no recipe lists the variant int8"
    assert _fails(UsageError, kiln, "thrid").what == "unknown model 'thrid', did you mean 'third'?"
    assert _fails(UsageError, kiln, calib="nowhere").what == "unknown picture set 'nowhere', there is: drawn"


def test_the_plans_of_all(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    value = _all(kiln, dry_run=True)
    assert next(step["id"] for step in value["models"]["second"]["plan"]) == "export"
    assert "· model second\n" in capfd.readouterr().out
    assert not kiln.out.exists()
    assert not (kiln.state / "store").exists()


# One model fails, the others are built


def test_an_unreadable_recipe_stops_nobody_else(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    _break(kiln, "second", "[convert]", "[convrt]")
    error = _fails(RecipeError, kiln)
    assert error.exit_code == 3
    assert error.what == "1 of 3 models failed, wholly or in part: second"
    assert _made(kiln) == OTHERS
    out = capfd.readouterr().out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("second ")] == [["second", "all", "-"]]
    assert "models/second/model.toml: convrt: unknown key, did you mean 'convert'?" in out


@pytest.fixture
def offline(kiln: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """second's archive is on a server that doesn't answer."""

    def fetch(remote: Remote, downloads: Path, **_: Callable[..., None]) -> Archive:
        msg = f"{remote.url}: the connection failed: no route to host"
        raise DownloadFailed(msg, cause="no network", remedy="check the network")

    monkeypatch.setattr("litekiln.fetch.fetch.fetch", fetch)
    monkeypatch.setattr("litekiln.run.host_steps.fetch", fetch)
    _break(kiln, "second", 'folder = "source"', ARCHIVE)
    return kiln


def test_an_archive_that_cannot_be_had_stops_nobody_else(offline: Project) -> None:
    error = _fails(DownloadFailed, offline)
    assert error.exit_code == 8
    assert _made(offline) == OTHERS
    models: Any = error.details["models"]
    (failure,) = models["second"]["failures"]
    assert (failure["what"], failure["variants"]) == (
        "https://litekiln.invalid/zoo.tar.gz: the connection failed: no route to host",
        [],
    )
    assert failure["remedy"] == "check the network"
    assert len(models["demo"]["bundles"]) == 2


def test_nor_does_one_whose_hash_is_known(offline: Project) -> None:
    _break(offline, "second", '"first-use"', f'"{"a" * 64}"')
    assert _fails(DownloadFailed, offline).exit_code == 8
    assert _made(offline) == OTHERS


def test_failures_of_one_kind_are_of_that_kind_others_are_a_steps(offline: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(offline, "third", "[convert]", "[convrt]")
    error = _fails(StepFailed, offline)
    assert (error.exit_code, error.what) == (6, "2 of 3 models failed, wholly or in part: second, third")
    assert _made(offline) == ["demo/float32", "demo/int8"]


def test_two_ways_of_not_being_downloaded_are_both_the_networks(offline: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(remote: Remote, downloads: Path, **_: Callable[..., None]) -> Archive:
        kind = NotFoundOnServer if "other" in remote.url else DownloadFailed
        raise kind(f"{remote.url}: no")

    monkeypatch.setattr("litekiln.fetch.fetch.fetch", fetch)
    _break(offline, "third", 'folder = "source"', ARCHIVE.replace("zoo", "other"))
    assert _fails(NetworkError, offline).exit_code == 8


def test_a_step_that_fails_costs_its_variants_and_shows_its_log(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    body = 'if args["variant"] == "int8" and "third" in open("in/calibrated/of").read():\n    os._exit(3)\n'
    leave = "open('out/of', 'w').write(open(os.path.join('in', 'exported', 'of')).read())\n"
    write_detection_steps(
        kiln,
        export_detection="open('out/of', 'w').write(open('in/config').read())\n" + _original("export_detection.py"),
        calibrate=leave + _original("calibrate.py"),
        convert_integer=body + _original("convert_float.py"),
    )
    error = _fails(StepFailed, kiln)
    assert _made(kiln) == [name for name in EVERYTHING if name != "third/int8"]
    models: Any = error.details["models"]
    (failure,) = models["third"]["failures"]
    assert (failure["variants"], failure["step"]) == (["int8"], "convert int8 (other)")
    log = Path(failure["log"])
    assert log.name == "third-convert-int8-(other).log"
    assert log.is_file()
    out = capfd.readouterr().out
    assert "· third: int8: trying the next toolchain, to third: measure int8 (other)\n" in out
    (row,) = [line for line in out.splitlines() if line.startswith("third ") and ".log" in line]
    assert row.split(maxsplit=3)[:3] == ["third", "int8", ".litekiln/logs/third-convert-int8-(other).log"]
    assert "convert int8 (other) failed with exit code 3 in toolchain other" in row


def _original(program: str) -> str:
    from tests.helpers.building import STEPS
    from tests.unit.run.test_write_report import CALIBRATE

    return {**STEPS, "calibrate.py": CALIBRATE}[program]


class Picky(ThisPython):
    """An engine that can't make the toolchain `other`."""

    asked = 0

    @contextmanager
    def open(self, toolchain: Toolchain, say: Any) -> Iterator[Box]:
        if toolchain.name == "other":
            Picky.asked += 1
            msg = "toolchain 'other' needs Python 3.7"
            raise InterpreterMissing(msg, remedy="install it")
        with super().open(toolchain, say) as box:
            yield box


def test_a_toolchain_that_cannot_be_made_ends_what_needs_it_and_sends_nobody_to_the_next(
    kiln: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("litekiln.run.session._engine", lambda name, project, lease, reporter: Picky(lease))
    Picky.asked = 0
    _break(kiln, "second", '["tiny", "other"]', '["other", "tiny"]')
    error = _fails(InterpreterMissing, kiln)
    assert error.exit_code == 4
    assert _made(kiln) == OTHERS
    assert Picky.asked == 1, "what can't be made is not tried for each step"
    assert "trying the next toolchain" not in capfd.readouterr().out
    models: Any = error.details["models"]
    assert {failure["what"] for failure in models["second"]["failures"]} == {"toolchain 'other' needs Python 3.7"}


# What ends everything


def test_without_an_engine_nothing_can_be_built(kiln: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        msg = "no engine"
        raise EngineError(msg)

    monkeypatch.setattr("litekiln.run.session._engine", none)
    assert _fails(EngineError, kiln).what == "no engine"
    assert _made(kiln) == []


def test_a_full_disk_ends_all_and_what_was_made_stays(
    kiln: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    original = Store.add

    def add(self: Store, key: str, staged: Path, record: dict[str, Any]) -> Any:
        if list(kiln.out.glob("demo/*")):  # once the first model is finished
            msg = "no space left"
            raise DiskFull(msg)
        return original(self, key, staged, record)

    monkeypatch.setattr(Store, "add", add)
    error = _fails(DiskFull, kiln, jobs=1)
    assert _made(kiln) == ["demo/float32", "demo/int8"]
    models: Any = error.details["models"]
    assert list(models) == ["demo"]
    assert "out/demo/int8" in capfd.readouterr().out


def test_ctrl_c_ends_it_and_the_next_run_goes_on(kiln: Project, root: Path) -> None:
    mark = kiln.work / "second.pid"
    wait = f'open({str(mark)!r}, "w").write("%d." % os.getpid())\n    time.sleep(60)\n'
    slow = f'if "second" in open("in/config", encoding="utf-8").read() and not os.path.exists({str(mark)!r}):\n    {wait}'
    write_program(kiln, slow + _original("export_detection.py"), "export_detection.py")
    child = CHILD.replace('"--model", "demo", "--jobs", "2"', '"--all", "--jobs", "1"')
    assert child != CHILD
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", child, str(root)], cwd=kiln.work, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (mark.exists() and mark.read_text().endswith(".")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert "✗ stopped  nothing is lost" in out
    assert not Path(f"/proc/{mark.read_text().rstrip('.')}").exists()
    assert list((kiln.state / "staging").iterdir()) == []
    mine = _all(kiln)["models"]
    assert _made(kiln) == EVERYTHING
    kept = ("draw drawn", "export", "convert float32", "annotate float32")
    assert {step["reason"] for step in mine["demo"]["steps"] if step["id"] in kept} == {""}


# What is asked


@pytest.mark.parametrize(
    ("asked", "message", "remedy"),
    [
        ({}, "which model? neither --model nor --all was given", "inv build --model NAME builds one"),
        ({"model": "demo", "everything": True}, "--model demo and --all: give one of them", "--all --models demo,…"),
        ({"models": ["demo", "third"]}, "--models goes with --all", "inv build --all --models demo,third"),
    ],
)
def test_one_model_or_all_has_to_be_said(kiln: Project, asked: dict[str, Any], message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(Reporter(), kiln, BuildRequest(**asked))
    assert caught.value.what == message
    assert remedy in caught.value.remedy


def test_as_a_command_it_gives_one_value(kiln: Project) -> None:
    run = subprocess.run(
        inv_argv("build", "--all", "--models", "demo", "--models", "second", "--dry-run", "--json"),
        cwd=kiln.work, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert sorted(json.loads(run.stdout)["models"]) == ["demo", "second"]


def test_bundles_that_cannot_be_written_are_an_error_of_their_own(kiln: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("litekiln.run.write_bundle.move", refuse)
    error = _fails(StoreError, kiln, "demo")
    assert error.what == f"can't write below {kiln.out}: Read-only file system"
    assert error.details["models"]["demo"]["bundles"] == []  # type: ignore[index]


def test_the_old_bundle_of_a_variant_that_was_refused_is_named(kiln: Project, capsys: pytest.CaptureFixture[str]) -> None:
    _all(kiln, "demo")
    config = kiln.models / "demo" / "source" / "pipeline.config"
    config.write_text(f"{config.read_text()}# changed\n")
    write_program(kiln, "assert False", "convert_integer.py")
    _fails(StepFailed, kiln, "demo")
    told = capsys.readouterr().out
    assert "! out/demo/int8 still holds an older bundle, which is out of date. To remove it: rm -r out/demo/int8" in told
    assert "out/demo/float32 still holds" not in told
