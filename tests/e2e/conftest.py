"""The demo, built once for all tests that look at what comes out of a build."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import inv_argv, lay_out_work

BUILD = ("build", "--model", "shapes", "--engine", "venv")
SHUFFLED = ("float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8", "uint8-qat", "uint8-qat-raw")
Built = tuple[Path, dict[str, Any]]


def inv_in(work: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(inv_argv(*arguments), cwd=work, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def built(shared_folder: Path, pytestconfig: pytest.Config) -> Built:
    """A work folder in which the demo was built once for the whole run, and what the command said. To be read, not changed."""
    work, told = Path(pytestconfig.getoption("--built") or shared_folder / "built").absolute(), shared_folder / "built.json"
    with (shared_folder / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            lay_out_work(work)
            run = inv_in(work, *BUILD, "--json")
            assert run.returncode == 0, run.stdout + run.stderr
            told.write_text(run.stdout)
    return work, json.loads(told.read_text())


@pytest.fixture
def built_again(built: Built, tmp_path: Path) -> Built:
    """A copy of it for a test that changes what is there."""
    work = tmp_path / "built"
    shutil.copytree(built[0], work, symlinks=True)
    return work, built[1]


@pytest.fixture(scope="session")
def examples_store(shared_folder: Path) -> Path:
    """What builds of the example models leave, for all tests that build them: each step is made once, whichever comes first."""
    return shared_folder / "examples"


def share_store(work: Path, shared: Path) -> None:
    """A work folder uses a shared store, with the locks that let two use it at a time."""
    for name in ("store", "locks"):
        (shared / name).mkdir(parents=True, exist_ok=True)
        (work / ".litekiln" / name).symlink_to(shared / name)


def stored(built: Built, step: str) -> Path:
    """What a step of that build left."""
    key = next(each["key"] for each in built[1]["steps"] if each["id"] == step)
    return built[0] / ".litekiln" / "store" / str(key) / "files"


def file_but_its_name(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says of a file; its metadata names the model, so hash and size differ between models."""
    return {name: each for name, each in report["file"].items() if name not in ("sha256", "size")}


@pytest.fixture
def forgiving(work: Path) -> None:
    forgive(work / "models")


def forgive(models: Path) -> None:
    """Random weights see random things, by scores that lie together: rounding shuffles them, and that says nothing of it."""
    tables = [f"[verify.variants.{name}]\nshare = 0\nagreement = 0\nraw = 9\n" for name in SHUFFLED]
    tables += [f"[verify.variants.{name}]\nshare = 0\n" for name in ("float32", "float32-tf1")]  # their raw outputs are held
    for recipe in models.rglob("model.toml"):
        with recipe.open("a", encoding="utf-8") as stream:
            stream.write("\n" + "".join(tables))
