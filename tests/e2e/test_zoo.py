"""The zoo's recipes as they are, from archives in the zoo's form with checkpoints freshly saved at random weights."""

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.test_shapes import in_toolchain
from tests.helpers.checkpoints import read_index
from tests.helpers.clean_files import not_clean

pytestmark = [pytest.mark.toolchain("tf2.13"), pytest.mark.long, pytest.mark.usefixtures("forgiving")]
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
# Recipe, archive, the configuration that tests write for it, and its resizer's size.
ZOO = {
    "ssd_mobilenet_v2_fpnlite_320": ("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "ssd_mobilenet_v2_fpnlite", 320),
    "ssd_mobilenet_v2_fpnlite_640": ("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "ssd_mobilenet_v2_fpnlite", 640),
    "ssd_mobilenet_v2_320": ("ssd_mobilenet_v2_320x320_coco17_tpu-8", "ssd_mobilenet_v2", 300),
}
FIRST = "ssd_mobilenet_v2_fpnlite_320"
EFFICIENTDET = "efficientdet_d0_coco17_tpu-32"
VARIANTS = ["float32", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8"]
LARGE = ["float32", "int8", "int8-io"]  # at 640x640 the rest takes many minutes and shows what 320x320 shows
DRAW = """
import sys; sys.path.insert(0, sys.argv[1])
import draw
for seed in range(int(sys.argv[3])):
    draw.draw(seed)[0].save(f"{sys.argv[2]}/{seed:02d}.png")
print("drawn")
"""


def _archive(mirror: Path, name: str, config: str, size: int) -> Path:
    """A checkpoint at random weights, packed as the zoo packs its own."""
    folder = save_checkpoint(mirror / "unpacked" / name, config, size)
    with tarfile.open(mirror / f"{name}.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=name)
    return folder / "checkpoint" / "ckpt-0"


def save_checkpoint(folder: Path, config: str, size: int) -> Path:
    """A checkpoint at random weights and its pipeline.config, as an archive of the zoo has them."""
    text = (ROOT / "tests" / "zoo" / f"{config}.config").read_text(encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = folder.with_name(f"{folder.name}.config")
    written.write_text(text.replace("SIZE", str(size)), encoding="utf-8")
    program = (ROOT / "tests" / "zoo" / "random_checkpoint.py").read_text(encoding="utf-8")
    in_toolchain(program + "\nprint('saved')", str(written), str(folder))
    return folder


def draw_pictures(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    in_toolchain(DRAW, str(ROOT / "calib" / "shapes"), str(folder), str(count))
    return folder


@pytest.mark.parametrize("model", [FIRST, *(pytest.param(model, marks=pytest.mark.zoo) for model in ZOO if model != FIRST)])
def test_a_zoo_recipe_goes_through_its_variants(work: Path, inv: Inv, tmp_path: Path, model: str) -> None:
    name, config, size = ZOO[model]
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    checkpoint = _archive(mirror, name, config, size)
    _compare_with_the_real_one(checkpoint, name)
    pictures = draw_pictures(tmp_path / "pictures")
    variants = LARGE if size == 640 else VARIANTS
    chosen = [word for variant in variants for word in ("--variant", variant)]
    arguments = ("build", "--model", model, *chosen, "--engine", "venv", "--calib", str(pictures), "--json")
    run = inv(*arguments, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "recorded sha256" in run.stderr
    assert [bundle["variant"] for bundle in json.loads(run.stdout)["bundles"]] == variants
    for variant in variants:
        report = json.loads((work / "out" / model / variant / "report.json").read_text())
        shapes = [each["shape"] for each in report["file"]["outputs"]]
        assert variant == "int8-raw" or shapes == [[1, 10, 4], [1, 10], [1, 10], [1]]
        assert report["file"]["inputs"][0]["shape"] == [1, size, size, 3]
        assert report["source"]["weights"]["equal"] is True
        assert len((work / "out" / model / variant / "labelmap.txt").read_text().splitlines()) == 90
    assert not_clean(work / "out") == {}
    listed = json.loads(inv("models", "--json").stdout)["models"]
    assert next(each["input"] for each in listed if each["name"] == model) == f"{size}x{size}"


@pytest.mark.zoo
def test_efficientdet_gets_a_fixed_size_and_goes_to_8_bits(work: Path, inv: Inv, tmp_path: Path) -> None:
    """Its resizer needs an override, and its sums of layers are products of matrices, which 2.13 would unfold without end."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    _compare_with_the_real_one(_archive(mirror, EFFICIENTDET, "efficientdet_d0", 512), EFFICIENTDET)
    pictures = draw_pictures(tmp_path / "pictures")
    arguments = ("build", "--model", "efficientdet_d0", "--variant", "int8", "--engine", "venv", "--calib", str(pictures))
    run = inv(*arguments, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((work / "out" / "efficientdet_d0" / "int8" / "report.json").read_text())
    assert report["conversion"]["attempts"] == [{"toolchain": "tf2.13", "outcome": "taken"}]
    assert report["file"]["operators"]["FULLY_CONNECTED"] == 24
    assert not_clean(work / "out") == {}
    assert report["source"]["overrides"]["image_resizer"]["from"] == "keep_aspect_ratio_resizer"
    assert (report["contract"]["resize"], report["contract"]["height"]) == ("letterbox", 512)


def _compare_with_the_real_one(checkpoint: Path, name: str) -> None:
    """What the tests save has the keys and shapes of the zoo's own checkpoint."""
    fixtures = Path(os.environ.get("LITEKILN_FIXTURES", "")) / "zoo" / name / "checkpoint" / "ckpt-0"
    if not fixtures.with_suffix(".index").exists():
        return  # tests/unit/formats/test_checkpoint.py says that the real ones are not here
    real, ours = ({key: each.shape for key, each in read_index(path).items()} for path in (fixtures, checkpoint))
    assert {key: shape for key, shape in ours.items() if "save_counter" not in key} == {
        key: shape for key, shape in real.items() if "save_counter" not in key
    }


def test_without_the_calibration_pictures_the_float_variants_are_built(work: Path, inv: Inv, tmp_path: Path) -> None:
    name, config, size = ZOO["ssd_mobilenet_v2_320"]
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    _archive(mirror, name, config, size)
    (work / "calib/coco128/set.toml").write_text(
        (work / "calib/coco128/set.toml").read_text().replace("https://github.com/", "http://127.0.0.1:9/")
    )
    arguments = ("--variant", "float32", "--variant", "int8", "--engine", "venv")
    run = inv("build", "--model", "ssd_mobilenet_v2_320", *arguments, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 11, run.stdout + run.stderr
    assert "the calibration pictures of coco128 could not be fetched" in run.stdout
    assert "--calib DIR" in run.stdout
    assert "not made: int8" in run.stdout
    assert sorted(path.name for path in (work / "out" / "ssd_mobilenet_v2_320").iterdir()) == ["float32", "report.html"]
