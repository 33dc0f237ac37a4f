"""From a recipe to bundles, by the commands a user types."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.hashing import files_below, sha256_file
from litekiln.store import Store
from tests.conftest import inv_argv

pytestmark = pytest.mark.toolchain("tf2.13")
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
BUILD = ("build", "--model", "minimal", "--engine", "venv")
VARIANTS = ["float32", "float16", "dynamic"]


def _hashes(work: Path) -> dict[str, str]:
    return {path.relative_to(work).as_posix(): sha256_file(path) for path in files_below(work / "out")}


def test_from_recipe_to_bundles_and_again(work: Path, inv: Inv) -> None:
    first = inv(*BUILD)
    assert first.returncode == 0, first.stdout + first.stderr
    for line in ("→ export  (new)", "→ convert dynamic  (new)"):
        assert line in first.stdout
    for variant in VARIANTS:
        assert sorted(path.name for path in (work / "out" / "minimal" / variant).iterdir()) == ["detect.tflite", "manifest.json"]
        assert f"out/minimal/{variant}" in first.stdout
    sizes = [(work / "out" / "minimal" / variant / "detect.tflite").stat().st_size for variant in VARIANTS]
    assert sizes[0] > 1.8 * sizes[1] > 3 * sizes[2]

    again = json.loads(inv(*BUILD, "--json").stdout)
    assert {step["reason"] for step in again["steps"]} == {""}
    errors = {step["result"]["variant"]: step["result"]["error"] for step in again["steps"][1:]}
    assert errors["float32"] < 1e-5 < errors["float16"] < errors["dynamic"] < 0.05

    before = _hashes(work)
    shutil.rmtree(work / "out")
    shutil.rmtree(work / ".litekiln" / "store")
    assert inv(*BUILD).returncode == 0
    assert _hashes(work) == before, "the same build gave other bytes"


def test_kill_9_then_the_same_command_again(work: Path, inv: Inv) -> None:
    process = subprocess.Popen(inv_argv(*BUILD), cwd=work, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while "→ convert float32" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    store = Store(work / ".litekiln")
    assert len(list(store)) == 1
    assert not (work / "out").exists()
    again = json.loads(inv(*BUILD, "--json").stdout)
    assert [step["reason"] for step in again["steps"]] == ["", "new", "new", "new"]
    assert list((work / ".litekiln" / "staging").iterdir()) == []
    assert [bool(store.get(key, thorough=True)) for key in store] == [True] * 4


def test_a_source_that_is_no_module_is_said_plainly(work: Path, inv: Inv) -> None:
    (work / "models" / "minimal" / "blobs.py").write_text("Blobs = 42\n")
    run = inv(*BUILD)
    assert run.returncode == 6
    assert "export: Blobs is not a tf.Module class in the source file" in run.stdout
    assert "convert float32  not run, because export failed" in run.stdout
    assert "Traceback" not in run.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: mounting a small disk takes root")
def test_a_full_disk_is_said_and_survived(work: Path, inv: Inv, tmp_path: Path) -> None:
    small = tmp_path / "small disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], check=True)
    try:
        (small / "envs").symlink_to((work / ".litekiln" / "envs").resolve())
        run = inv(*BUILD, LITEKILN_HOME=str(small))
        assert run.returncode == 7, run.stdout + run.stderr
        assert "no space left on the disk" in run.stdout
        assert "inv clean" in run.stdout
        assert list(Store(small)) == []
        assert not (small / "staging").exists() or list((small / "staging").iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.docker
def test_docker_and_venv_give_the_same_bundles(work: Path, inv: Inv) -> None:
    assert inv(*BUILD).returncode == 0
    before = _hashes(work)
    shutil.rmtree(work / "out")
    shutil.rmtree(work / ".litekiln" / "store")
    run = inv("build", "--model", "minimal", "--json")
    assert {step["engine"] for step in json.loads(run.stdout)["steps"]} == {"docker"}, "auto did not take docker"
    assert "engine docker for tf2.13, because a daemon answers and the image is there" in run.stderr
    assert _hashes(work) == before


def test_doctor_finds_this_machine_able(inv: Inv) -> None:
    run = inv("doctor", "--json")
    assert run.returncode == 0, run.stdout
    checks = {check["name"]: check for check in json.loads(run.stdout)["checks"]}
    assert checks["engine"]["status"] == "ok"
    assert {"python", "uv", "disk", "ca", "docker client", "docker daemon", "docker buildx", "arm64 emulation"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if check["status"] != "ok")
