"""`inv detect` and `inv camera` without the Pi's packages: a stand-in for the runtime says how it was started."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from litekiln.bundles.read import read_bundle
from litekiln.commands.camera import CameraRequest, _check, camera
from litekiln.commands.clean import clean_environments
from litekiln.commands.command_line import spelled_out
from litekiln.commands.detect import DetectRequest, detect
from litekiln.disk import folders_in
from litekiln.errors import InterpreterMissing, ToolchainError, UsageError
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.pi import desk, packages
from litekiln.pi.desk import READY, desk_environment, make_environment, run_runtime
from litekiln.terminal import Reporter
from tests.unit.test_tasks import run_inv

RUNTIME = """
import json, os, sys
names = ("LITEKILN_BUNDLE", "LITEKILN_DESK", "PYTHONPATH")
print(json.dumps({"argv": sys.argv[1:], **{name: os.environ.get(name, "") for name in names}}), flush=True)
print("for people", file=sys.stderr)
sys.exit(int(os.environ.get("TEST_EXIT", "0")))
"""
WAITING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("ended", flush=True), sys.exit(7)))
print("waiting", flush=True)
time.sleep(60)
"""
UV = """#!/bin/sh
echo "$*" >> {folder}/asked
if [ "$1" = venv ]; then for last; do :; done; mkdir -p "$last/bin"; exit; fi
[ ! -f {folder}/fails ] || {{ cat {folder}/fails; exit 1; }}
"""
DETECT = DetectRequest("demo", "float32")
CAMERA = CameraRequest("demo", "float32", source="test")


@pytest.fixture
def environment(project: Project) -> Path:
    """The environment as if it had been made, and a stand-in for the runtime."""
    runtime = project.code / "pi" / "litekiln_pi"
    runtime.mkdir(parents=True)
    (runtime / "__main__.py").write_text(RUNTIME)
    for name in ("requirements.in", "requirements.lock"):
        (project.code / "pi" / name).write_text("numpy==1\n")
    folder = desk_environment(project)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / READY).touch()
    return folder


def test_detect_passes_on_lines_exit_code_and_names(
    project: Project, bundle: Path, environment: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = project.work / "-a b.jpg"
    picture.touch()
    monkeypatch.setenv("TEST_EXIT", "1")
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    request = replace(DETECT, pictures=[str(picture)], out="seen", threshold="0.9")
    assert detect(Reporter(json=True), project, request) == {"exit_code": 1}
    printed = capfd.readouterr()
    told = json.loads(printed.out)  # one line, and nothing else
    assert told["argv"] == ["detect", "--out=seen", "--threshold=0.9", "--", str(picture)]
    assert told["LITEKILN_BUNDLE"] == str(bundle)
    assert told["LITEKILN_DESK"] == "inv detect --model demo --variant float32"
    assert told["PYTHONPATH"] == os.pathsep.join((str(project.code / "pi"), str(project.code / "steps")))
    assert "for people" in printed.err


def test_detect_without_pictures_takes_the_examples_and_keeps_lines_for_json(
    project: Project, bundle: Path, environment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = detect(Reporter(json=True), project, replace(DETECT, keep=True))
    examples = [str(path) for path in sorted((bundle / "examples").iterdir())]
    assert examples
    assert [each["argv"] for each in result["pictures"]] == [["detect", "--", *examples]]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "these are the examples of demo/float32" in printed.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "dema"}, "unknown model 'dema', did you mean 'demo'?"),
        ({"variant": "int8"}, "no recipe lists the variant int8"),
        ({"pictures": ["nowhere.jpg"]}, "nowhere.jpg: there is no such file"),
        ({"out": "models/demo/model.toml"}, "--out models/demo/model.toml: that is not a folder"),
    ],
)
def test_what_detect_refuses_before_it_builds(
    project: Project, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(project.work)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        detect(Reporter(json=True), project, replace(DETECT, **change))
    assert caught.value.remedy
    assert not project.state.exists()


def test_camera_says_what_it_was_asked_and_is_for_this_computer_alone(
    project: Project, bundle: Path, environment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert camera(Reporter(json=True), project, replace(CAMERA, fps="5")) == {"exit_code": 0}
    printed = capfd.readouterr()
    told = json.loads(printed.out)
    assert told["argv"] == ["serve", "--source=test", "--host=127.0.0.1", "--port=8080", "--fps=5"]
    assert told["LITEKILN_DESK"] == "inv camera --model demo --variant float32"
    assert "Ctrl-C ends it" in printed.err
    assert "everybody" not in printed.err


def test_camera_warns_of_an_open_page(
    project: Project, bundle: Path, environment: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera(Reporter(json=True), project, replace(CAMERA, host="0.0.0.0"))
    assert "with --host 0.0.0.0 everybody in your network can watch; LITEKILN_TOKEN=WORD" in capfd.readouterr().err
    monkeypatch.setenv("LITEKILN_TOKEN", "word")
    camera(Reporter(json=True), project, replace(CAMERA, host="0.0.0.0"))
    assert "everybody" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "system", "message"),
    [
        ({"source": "nowhere.mjpeg"}, "linux", "--source nowhere.mjpeg: there is no such file or folder"),
        ({"source": "/dev/video0"}, "darwin", "--source /dev/video0: webcams are read only on Linux"),
        ({"port": 70000}, "linux", "--port 70000: expected a port from 1 to 65535"),
        ({"snapshots": "nowhere"}, "linux", "--snapshots nowhere: there is no such folder"),
    ],
)
def test_what_camera_refuses_before_it_builds(change: dict[str, str], system: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        _check(replace(CAMERA, **change), system)  # type: ignore[arg-type]
    assert caught.value.remedy


@pytest.mark.parametrize("source", ["/dev/video7", "rtsp://camera/stream", "-", "test"])
def test_sources_that_may_appear_later_are_left_to_the_runtime(source: str) -> None:
    _check(replace(CAMERA, source=source), "linux")


# --- its end --------------------------------------------------------------------------------------------------------------


@contextmanager
def _waiting(project: Project) -> Iterator["subprocess.Popen[str]"]:
    """`inv camera`, once its runtime waits."""
    (project.code / "pi" / "litekiln_pi" / "__main__.py").write_text(WAITING)
    argv = [sys.executable, "-m", "invoke", "--search-root", str(Path(desk.__file__).parents[2])]
    argv += ["camera", "--model", "demo", "--variant", "float32", "--source", "test"]
    with subprocess.Popen(argv, cwd=project.work, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while "waiting" not in (line := process.stdout.readline()):
            assert line
        yield process


def test_the_runtime_ends_with_the_command_that_started_it(project: Project, bundle: Path, environment: Path) -> None:
    """Only `inv` is sent the signal, as by `kill`."""
    with _waiting(project) as process:
        process.terminate()
        assert process.wait(60) == 143
        assert process.stdout
        assert process.stdout.read() == "ended\n"


def test_while_it_runs_nobody_removes_its_environment(project: Project, bundle: Path, environment: Path) -> None:
    with _waiting(project) as process:
        with Lease(project.state) as lease:
            assert list(clean_environments(project, lease, everything=True, dry_run=False)) == []
        process.terminate()


def test_a_runtime_that_was_killed_has_a_shells_exit_code(project: Project, bundle: Path, environment: Path) -> None:
    killed = "import os; os.kill(os.getpid(), 9)"
    (project.code / "pi" / "litekiln_pi" / "__main__.py").write_text(killed)
    assert run_runtime(project, environment, read_bundle(bundle), "inv detect", []).exit_code == 128 + signal.SIGKILL


# --- its environment ------------------------------------------------------------------------------------------------------


@pytest.fixture
def uv(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for uv that writes down what it is asked to do, and fails with what the file `fails` says."""
    (project.code / "pi").mkdir()
    (project.code / "pi" / "requirements.lock").write_text("numpy==1\n")
    program = tmp_path / "uv-stand-in"
    program.write_text(UV.format(folder=tmp_path))
    program.chmod(0o755)
    for module in (desk, packages):
        monkeypatch.setattr(module, "uv_binary", lambda: program)
    monkeypatch.setattr(desk, "require_python", lambda *_: Path(sys.executable))
    return tmp_path


def test_the_environment_is_made_once_from_the_lock(project: Project, uv: Path) -> None:
    said: list[str] = []
    folder = make_environment(project, said.append)
    assert make_environment(project, said.append) == folder == desk_environment(project)
    assert said == ["making the environment of the Pi's runtime from its lock, once: this downloads 40 MB"]
    asked = (uv / "asked").read_text().splitlines()
    assert [each.split()[0] for each in asked] == ["venv", "pip"]
    assert "--require-hashes" in asked[1]
    assert "--python-platform" not in asked[1]
    assert asked[1].endswith(str(project.code / "pi" / "requirements.lock"))
    (project.code / "pi" / "requirements.lock").write_text("numpy==2\n")
    assert make_environment(project, said.append) != folder


def test_an_environment_whose_maker_was_killed_is_made_again(project: Project, uv: Path) -> None:
    (desk_environment(project) / "bin").mkdir(parents=True)
    folder = make_environment(project, lambda _: None)
    assert (folder / READY).is_file()
    assert "--clear" in (uv / "asked").read_text()


def test_an_environment_that_could_not_be_made_leaves_nothing(project: Project, uv: Path) -> None:
    (uv / "fails").write_text("error: Hash mismatch for numpy\n")
    with pytest.raises(ToolchainError, match="a package for the Pi is not the one that"):
        make_environment(project, lambda _: None)
    assert not desk_environment(project).exists()


def test_an_environment_whose_lock_changed_meanwhile_is_not_kept(
    project: Project, uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = project.code / "pi" / "requirements.lock"
    monkeypatch.setattr(desk, "install", lambda *_: lock.write_text("numpy==2\n"))
    with pytest.raises(ToolchainError, match=r"pi/requirements\.lock changed"):
        make_environment(project, lambda _: None)
    assert folders_in(project.state / "envs") == []


def test_without_its_python_an_image_is_named(project: Project, uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(version: str, _say: object, otherwise: str) -> Path:
        raise InterpreterMissing(f"Python {version} is not on this machine", remedy=otherwise)

    monkeypatch.setattr(desk, "require_python", missing)
    with pytest.raises(InterpreterMissing, match="inv pi"):
        make_environment(project, lambda _: None)


def test_where_the_runtime_is_not_there_it_says_so(project: Project, bundle: Path) -> None:
    """As in a toolchain's image."""
    with pytest.raises(ToolchainError, match=r"pi/requirements\.lock is missing"):
        detect(Reporter(json=True), project, DETECT)


def test_clean_removes_environments_of_old_locks_and_keeps_the_current_one(project: Project, environment: Path) -> None:
    (environment.parent / "pi-0123456789ab").mkdir()
    with Lease(project.state) as lease:
        removed = list(clean_environments(project, lease, everything=False, dry_run=False))
        assert [each.what for each in removed] == ["environment pi-0123456789ab"]
        assert environment.is_dir()
        removed = list(clean_environments(project, lease, everything=True, dry_run=False))
    assert [each.what for each in removed] == [f"environment {environment.name}"]


# --- its command line -----------------------------------------------------------------------------------------------------


def test_pictures_need_no_option(project: Project) -> None:
    run = run_inv(project, "detect", "--model", "demo", "nowhere.jpg", "--variant=float32", "models")
    assert run.returncode == 2, run.stdout + run.stderr
    assert "nowhere.jpg: there is no such file" in run.stderr
    assert run.stdout == "", "it is for the lines"
    assert "a picture, or a folder of pictures" in run_inv(project, "--help", "detect").stdout
    assert "-h" not in re.findall(r"-\w\b", run_inv(project, "--help", "camera").stdout)


class _Flag:
    def __init__(self, takes_value: bool) -> None:
        self.takes_value = takes_value


class _Command:
    def __init__(self, name: str) -> None:
        self.name = name
        self.flags = {"--model": _Flag(True), "-m": _Flag(True), "--json": _Flag(False), "--picture": _Flag(True)}


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("detect a b", "detect --picture a --picture b"),
        ("detect a --model m b", "detect --picture a --model m --picture b"),
        ("detect -m m --json a", "detect -m m --json --picture a"),
        ("detect --model=m build", "detect --model=m --picture build"),
        ("detect --picture a", "detect --picture a"),
        ("build --model m a", "build --model m a"),
        ("build --model detect a", "build --model detect a"),
    ],
)
def test_bare_words_become_an_options_values(typed: str, spelled: str) -> None:
    commands = {name: _Command(name) for name in ("detect", "build")}
    assert spelled_out(typed.split(), commands) == spelled.split()  # type: ignore[arg-type]
