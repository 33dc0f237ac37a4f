"""The same files on every processor: the steps that decide about bytes run on this one and on emulated ones, and are compared.

Emulation is slow, so only those steps run: export, calibration on few pictures, conversion, and what is packed into the file.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from litekiln.commands.choices import calibration_set
from litekiln.engines.names import VENV
from litekiln.hashing import sha256_file
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan
from litekiln.recipes.recipe import load_recipe
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from tests.conftest import ROOT, lay_out_work
from tests.e2e.conftest import Built, stored
from tests.helpers.emulation import PROCESSORS, emulated

PICTURES = 10  # the fewest that calibration accepts
FEW = "few"
WHOLE = ("float32", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8")


@pytest.fixture
def here(tmp_path: Path, built: Built) -> Path:
    """A work folder with few pictures, whose steps run on this processor."""
    return _work(tmp_path / "here", built)


@pytest.fixture
def elsewhere(tmp_path: Path, built: Built) -> Path:
    """The same, for steps on an emulated processor."""
    return _work(tmp_path / "elsewhere", built)


def _work(folder: Path, built: Built) -> Path:
    lay_out_work(folder)
    (folder / FEW).mkdir()
    for picture in sorted((stored(built, "draw shapes") / "images").iterdir())[:PICTURES]:
        shutil.copy(picture, folder / FEW)
    return folder


def made(work: Path, model: str, variants: Sequence[str], processor: str = "") -> dict[str, str]:
    """The sha256 of each variant's file."""
    project = Project(code=ROOT, work=work)
    if processor:
        envs = work / ".litekiln" / "envs"
        envs.unlink()
        envs.mkdir()
        for environment in (ROOT / ".litekiln" / "envs").glob("*/ready.json"):
            emulated(environment.parent, envs / environment.parent.name, processor)
    recipe = load_recipe(project, model)
    plan = plan_build(project, recipe, Choices(variants=tuple(variants), calibration=calibration_set(project, str(work / FEW))))
    ends = {variant: plan.variants[variant][0].annotate for variant in variants}
    with open_executor(project, VENV, Reporter(), jobs=2) as (executor, _):
        finished = executor.run(Plan(model, tuple(plan.leading_to(*ends.values())))).complete()
    return {variant: sha256_file(finished[step].entry.files / "detect.tflite") for variant, step in ends.items()}


@pytest.mark.toolchain("tf2.13")
@pytest.mark.zoo
def test_the_demo_is_the_same_on_another_processor(here: Path, elsewhere: Path) -> None:
    wanted = made(here, "shapes", ["float32", "int8"])
    assert made(elsewhere, "shapes", ["float32", "int8"], PROCESSORS[0]) == wanted


@pytest.mark.toolchain("tf2.13")
@pytest.mark.zoo
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("model", ["shapes", "heatmap_keras", "heatmap_saved_model", "heatmap_function"])
def test_all_variants_of_a_model_are_the_same_on_another_processor(here: Path, elsewhere: Path, model: str, processor: str) -> None:
    assert made(elsewhere, model, WHOLE, processor) == made(here, model, WHOLE)
