"""The same files on every processor: the steps that decide about bytes run on this one and on emulated ones, and are compared.

Emulation is slow, so only those steps run: export, calibration on few pictures, conversion, and what is packed into the file.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
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
from tests.e2e.test_tf1 import FLOAT, QUANTIZED, REWRITER, SMALL, save
from tests.e2e.test_zoo import draw_pictures, save_checkpoint
from tests.helpers.emulation import PROCESSORS, emulated

pytestmark = [pytest.mark.toolchain("tf2.13"), pytest.mark.long]
HOURS = 3600  # seconds
PICTURES = 10  # the fewest that calibration accepts
FEW = "few"
WHOLE = ("float32", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8")
LARGE = ("float32", "int8")  # at 512x512 each further variant takes many minutes, and is made from what these are made from
# The zoo's recipes: the configuration that tests write for each, its resizer's size, and its variants.
ZOO = {
    "ssd_mobilenet_v2_fpnlite_320": ("ssd_mobilenet_v2_fpnlite", 320, WHOLE),
    "ssd_mobilenet_v2_320": ("ssd_mobilenet_v2", 300, WHOLE),
    "centernet_mobilenet_v2_512": ("centernet_mobilenet_v2_fpn", 512, LARGE),
    "efficientdet_d0": ("efficientdet_d0", 512, LARGE),
}
TF1 = {FLOAT: ("", ("float32-tf1", *WHOLE)), QUANTIZED: (REWRITER, ("uint8-qat", *WHOLE))}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A work folder with few pictures, whose steps run on this processor."""
    return _work(tmp_path / "here")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The same, for steps on an emulated processor."""
    return _work(tmp_path / "elsewhere")


def _work(folder: Path) -> Path:
    lay_out_work(folder)
    draw_pictures(folder / FEW, PICTURES)
    return folder


def put_source(work: Path, model: str, source: Path) -> None:
    """Have a recipe of the zoo take its source from a folder."""
    shutil.copytree(source, work / "models" / model / "source")
    recipe = work / "models" / model / "model.toml"
    kept = re.sub(r"^(url|sha\d+|size)\b.*\n", "", recipe.read_text(encoding="utf-8"), flags=re.MULTILINE)
    recipe.write_text(kept.replace("[source]\n", '[source]\nfolder = "source"\n'), encoding="utf-8")


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
    steps = tuple(replace(step, timeout=5 * HOURS) for step in plan.leading_to(*ends.values()))
    with open_executor(project, VENV, Reporter(), jobs=2) as (executor, _):
        finished = executor.run(Plan(model, steps)).complete()
    return {variant: sha256_file(finished[step].entry.files / "detect.tflite") for variant, step in ends.items()}


def test_the_demo_is_the_same_on_another_processor(here: Path, elsewhere: Path) -> None:
    wanted = made(here, "shapes", ["float32", "int8"])
    assert made(elsewhere, "shapes", ["float32", "int8"], PROCESSORS[0]) == wanted


@pytest.mark.zoo
@pytest.mark.timeout(5 * HOURS)
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("model", ["shapes", "heatmap_keras", "heatmap_saved_model", "heatmap_function"])
def test_all_variants_of_a_model_are_the_same_on_another_processor(here: Path, elsewhere: Path, model: str, processor: str) -> None:
    assert made(elsewhere, model, WHOLE, processor) == made(here, model, WHOLE)


@pytest.mark.zoo
@pytest.mark.timeout(5 * HOURS)
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("model", ZOO)
def test_a_network_of_the_zoo_is_the_same_on_another_processor(
    here: Path, elsewhere: Path, tmp_path: Path, model: str, processor: str
) -> None:
    config, size, variants = ZOO[model]
    _compare(here, elsewhere, model, save_checkpoint(tmp_path / "saved" / model, config, size), variants, processor)


@pytest.mark.zoo
@pytest.mark.toolchain("tf1.15")
@pytest.mark.timeout(5 * HOURS)
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("model", TF1)
def test_a_network_of_tf1_is_the_same_on_another_processor(
    here: Path, elsewhere: Path, tmp_path: Path, model: str, processor: str
) -> None:
    rewriter, variants = TF1[model]
    _compare(here, elsewhere, model, save(tmp_path / "saved" / model, rewriter, SMALL), variants, processor)


def _compare(here: Path, elsewhere: Path, model: str, source: Path, variants: Sequence[str], processor: str) -> None:
    for work in (here, elsewhere):
        put_source(work, model, source)
    wanted = made(here, model, variants)
    assert made(elsewhere, model, variants, processor) == wanted
