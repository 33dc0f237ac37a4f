"""Making environments: once, from hashes, and with a clear word when it can't be done. Needs the package index, as set-up does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from litekiln.engines.venv import VenvEngine
from litekiln.errors import NetworkError, ToolchainError, WheelMissing
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains.lock import INPUTS_LINE, compile_lock, toolchain_lock
from litekiln.toolchains.toolchain import Toolchain, load_toolchain, locked_inputs_hash
from tests.conftest import ROOT

SPEC = f"""
summary = "for tests"
python = "{sys.version_info[0]}.{sys.version_info[1]}"
tensorflow = "none"
base = "python:3@sha256:{"0" * 64}"
"""


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A project with one tiny toolchain, really locked."""
    folder = tmp_path / "toolchains" / "small"
    folder.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    shutil.copy(ROOT / "toolchains" / "install.py", tmp_path / "toolchains")
    (folder / "toolchain.toml").write_text(SPEC)
    (folder / "requirements.in").write_text("six==1.17.0\n")
    project = Project(code=tmp_path, work=tmp_path)
    lock = toolchain_lock(load_toolchain(project, "small", locked=False))
    lock.path.write_text(compile_lock(lock).text)
    return project


def _toolchain(project: Project) -> Toolchain:
    return load_toolchain(project, "small")


def _relock(project: Project, pins: str) -> None:
    """A lock as somebody else's machine may have made it."""
    toolchain = _toolchain(project)
    toolchain.lock.write_text(f"# Made by\n{INPUTS_LINE}{locked_inputs_hash(toolchain.folder)}\n{pins}")


def _ensure(project: Project) -> Path:
    with Lease(project.state) as lease:
        return VenvEngine(project, lease).ensure(_toolchain(project), print)


def test_an_environment_is_made_once_and_holds_what_the_lock_says(small: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _ensure(small)
    assert "making the small environment" in capsys.readouterr().out
    ask = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"
    run = subprocess.run([str(folder / "bin" / "python"), "-c", ask], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[('six', '1.17.0')]"
    assert _ensure(small) == folder
    assert capsys.readouterr().out == ""


CHILD = """
import sys
from pathlib import Path
from litekiln.engines.venv import VenvEngine
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains.toolchain import load_toolchain
folder = Path(sys.argv[1])
project = Project(code=folder, work=folder)
with Lease(project.state) as lease:
    VenvEngine(project, lease).ensure(load_toolchain(project, "small"), print)
"""


def test_four_processes_at_once_make_it_once(small: Project) -> None:
    argv = [sys.executable, "-c", CHILD, str(small.work)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = "".join(process.communicate(timeout=120)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * 4
    [folder] = [path for path in (small.state / "envs").iterdir() if path.is_dir()]
    assert (small.state / "envs" / f"{folder.name}.lock").exists()
    assert said.count("making the small environment") == 1


def test_one_that_was_killed_while_being_made_is_made_again(small: Project) -> None:
    folder = _ensure(small)
    (folder / "ready.json").unlink()
    shutil.rmtree(folder / "lib")
    assert _ensure(small) == folder
    assert list(folder.glob("lib/python3*/site-packages/six.py"))


def test_a_new_lock_makes_a_new_environment(small: Project) -> None:
    first = _ensure(small)
    (_toolchain(small).folder / "requirements.in").write_text("six==1.16.0\n")
    lock = toolchain_lock(_toolchain(small))
    result = compile_lock(lock)
    assert "-six==1.17.0" in result.diff
    assert "+six==1.16.0" in result.diff
    lock.path.write_text(result.text)
    assert compile_lock(lock).diff == ""
    assert _ensure(small) != first


def test_a_wrong_hash_is_refused_and_leaves_nothing(small: Project) -> None:
    _relock(small, "six==1.17.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(ToolchainError) as caught:
        _ensure(small)
    assert "Hash mismatch for `six==1.17.0`" in caught.value.what
    assert [path for path in (small.state / "envs").iterdir() if path.is_dir()] == []


def test_a_pin_without_a_hash_is_refused(small: Project) -> None:
    _relock(small, "six==1.17.0\n")
    with pytest.raises(ToolchainError, match="--require-hashes"):
        _ensure(small)


def test_no_wheel_for_this_machine(small: Project) -> None:
    """tensorflow-macos is published for Apple's processors only, and as wheels only."""
    _relock(small, "tensorflow-macos==2.13.1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(WheelMissing) as caught:
        _ensure(small)
    assert "could not make the small environment" in caught.value.what
    assert "--engine docker" in caught.value.remedy


def test_no_index_in_reach(small: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(NetworkError) as caught:
        _ensure(small)
    assert caught.value.cause == "the package index can't be reached"
