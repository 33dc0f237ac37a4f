"""From a recipe to bundles, by the commands a user types."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.bundles.layout import MANIFEST, PAGE, REPORT
from litekiln.hashing import canonical_json, files_below, sha256_file
from litekiln.run.store import Store
from tests.conftest import inv_argv
from tests.e2e.conftest import Built
from tests.helpers.manifests import without_maker

pytestmark = pytest.mark.toolchain("tf2.13")
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
BUILD = ("build", "--model", "little", "--engine", "venv")
VARIANTS = ["float32", "float16", "dynamic"]
FILES = ["detect.tflite", "example.png", "examples", "graph.svg", "labelmap.txt", "manifest.json"]
FILES += ["report.html", "report.json", "selftest.json"]


def bundle_hashes(work: Path) -> dict[str, str]:
    """Every bundle's files but the page, which tells times; of a report and a manifest what is the same wherever it was made."""
    return {path.relative_to(work).as_posix(): _lasting(path) for path in files_below(work / "out") if path.name != PAGE}


def _lasting(path: Path) -> str:
    if path.name == MANIFEST:
        return without_maker(path.read_text())
    if path.name == REPORT:
        return canonical_json({**json.loads(path.read_text()), "speed": {}})
    return sha256_file(path)


def test_from_recipe_to_bundles_and_again(work: Path, inv: Inv) -> None:
    first = inv(*BUILD)
    assert first.returncode == 0, first.stdout + first.stderr
    for line in ("→ export  (new)", "→ convert dynamic  (new)"):
        assert line in first.stdout
    for variant in VARIANTS:
        assert sorted(path.name for path in (work / "out" / "little" / variant).iterdir()) == FILES
        assert f"out/little/{variant}" in first.stdout
    sizes = [(work / "out" / "little" / variant / "detect.tflite").stat().st_size for variant in VARIANTS]
    assert sizes[0] > 1.8 * sizes[1] > 2.5 * sizes[2]

    again = json.loads(inv(*BUILD, "--json").stdout)
    assert {step["reason"] for step in again["steps"]} == {""}


@pytest.mark.long
def test_kill_9_then_the_same_command_again(work: Path, inv: Inv) -> None:
    process = subprocess.Popen(inv_argv(*BUILD), cwd=work, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while "→ convert float32" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    store = Store(work / ".litekiln")
    finished = {str(store.get(key).record()["step"]["id"]) for key in store}
    assert "export" in finished
    assert not (work / "out").exists()
    again = json.loads(inv(*BUILD, "--json").stdout)
    reasons = {step["id"]: step["reason"] for step in again["steps"]}
    assert {name for name, reason in reasons.items() if not reason} == finished, "what was finished was done again"
    assert set(reasons.values()) == {"", "new"}
    assert list((work / ".litekiln" / "staging").iterdir()) == []
    assert [bool(store.get(key, thorough=True)) for key in store] == [True] * 15


@pytest.mark.long
def test_all_at_once_goes_on_after_a_recipe_that_cannot_be_read(work: Path, inv: Inv, built: Built) -> None:
    """The exported network and the converted file are those of the demo."""
    shutil.copytree(built[0] / ".litekiln" / "store", work / ".litekiln" / "store")
    broken = work / "models" / "broken"
    shutil.copytree(work / "models" / "little", broken)
    recipe = broken / "model.toml"
    recipe.write_text(recipe.read_text().replace("[convert]", "[convrt]"))
    everything = ("build", "--all", "--models", "little,broken", "--variant", "float32", "--engine", "venv")
    run = inv(*everything)
    assert run.returncode == 3, run.stdout + run.stderr
    assert "→ little: annotate float32  (new)" in run.stdout
    assert "1 of 2 models failed, wholly or in part: broken" in run.stdout
    together = bundle_hashes(work)
    assert {"out/little/float32/detect.tflite", "out/little/float32/manifest.json"} <= set(together)
    assert {Path(name).parts[1] for name in together} == {"little"}

    again = json.loads(inv(*everything, "--json").stdout)
    assert again["models"]["broken"]["failures"][0]["error"] == "RecipeError"
    assert {step["reason"] for step in again["models"]["little"]["steps"]} == {""}
    assert inv(*BUILD, "--variant", "float32").returncode == 0
    assert bundle_hashes(work) == together, "a build of one model gave other bytes"


def test_a_checkpoint_of_another_model_is_refused_before_anything_runs(work: Path, inv: Inv) -> None:
    config = work / "models" / "little" / "source" / "pipeline.config"
    config.write_text(config.read_text().replace("num_classes: 3", "num_classes: 90"))
    run = inv(*BUILD)
    assert run.returncode == 10
    assert "says num_classes 90, but the checkpoint" in run.stdout
    assert "was trained with 3" in run.stdout
    assert not (work / ".litekiln" / "store").exists()


@pytest.mark.long
def test_a_model_with_more_than_the_checkpoint_has_is_refused(work: Path, inv: Inv) -> None:
    """The head fits, so only comparing tensors shows it: the checkpoint has one tower for boxes and classes."""
    config = work / "models" / "little" / "source" / "pipeline.config"
    config.write_text(config.read_text().replace("share_prediction_tower: true", "share_prediction_tower: false"))
    run = inv(*BUILD)
    assert run.returncode == 6, run.stdout
    assert "variables are not in the checkpoint, the first: " in run.stdout
    assert "float32  not made, because " in run.stdout
    assert "Traceback" not in run.stdout
    assert not (work / "out").exists()


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


def test_doctor_finds_this_machine_able(inv: Inv) -> None:
    run = inv("doctor", "--json")
    assert run.returncode == 0, run.stdout
    checks = {check["name"]: check for check in json.loads(run.stdout)["checks"]}
    assert checks["engine"]["status"] == "ok"
    assert {"python", "uv", "disk", "ca", "docker client", "docker daemon", "docker buildx", "arm64 emulation"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if check["status"] != "ok")
