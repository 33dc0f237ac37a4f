"""CenterNet's two recipes, from an archive in the zoo's form with a checkpoint freshly saved at random weights."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.test_shapes import in_toolchain
from tests.e2e.test_zoo import draw_pictures, save_checkpoint
from tests.helpers.clean_files import not_clean

pytestmark = [pytest.mark.toolchain("tf2.13"), pytest.mark.long, pytest.mark.usefixtures("forgiving")]
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = "centernet_mobilenetv2fpn_512x512_coco17_od"
VARIANTS = ["float32", "float16", "dynamic", "int8", "int8-io"]  # not int16x8, which takes 10 s a picture
# The API's own module for TFLite and a plain conversion, as its publisher's: outputs back to front, and no signature.
PUBLISH = """
import os, sys
from pathlib import Path
import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2
from object_detection.models.keras_models import mobilenet_v2
from object_detection.utils import config_util
sys.path.insert(0, sys.argv[1])
from tflite_file import flat
folder, scratch = Path(sys.argv[2]), Path(sys.argv[3])
config = config_util.get_configs_from_pipeline_file(str(folder / "pipeline.config"))
settings = config["model"].center_net
settings.feature_extractor.use_separable_conv = True
settings.image_resizer.fixed_shape_resizer.height = settings.image_resizer.fixed_shape_resizer.width = 512
make = mobilenet_v2.mobilenet_v2
mobilenet_v2.mobilenet_v2 = lambda *args, **kwargs: make(*args, **dict(kwargs, weights=None))
pipeline = config_util.create_pipeline_proto_from_configs(config)
module = export_tflite_graph_lib_tf2.CenterNetModule(pipeline, 10, False)
function = module.inference_fn.get_concrete_function(tf.TensorSpec([1, 512, 512, 3], tf.float32, name="input"))
tf.train.Checkpoint(model=module.get_model()).restore(str(folder / "checkpoint" / "ckpt-0")).expect_partial()
tf.saved_model.save(module, str(scratch / "saved_model"), signatures=function)
converted = tf.lite.TFLiteConverter.from_saved_model(str(scratch / "saved_model")).convert()
model = flat.read(bytearray(converted))
model.signatureDefs = None
(folder / "model.tflite").write_bytes(flat.write(model))
print("published")
"""
DETECT = """
import json, sys
import numpy, tensorflow as tf
from PIL import Image
values = {}
pixels = numpy.asarray(Image.open(sys.argv[1]).convert("RGB").resize((512, 512)), numpy.float32)[numpy.newaxis]
for path in sys.argv[2:]:
    interpreter = tf.lite.Interpreter(path)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    interpreter.set_tensor(entry["index"], pixels.astype(entry["dtype"]))
    interpreter.invoke()
    values[path] = {each["name"]: interpreter.get_tensor(each["index"]).tolist() for each in interpreter.get_output_details()}
print(json.dumps(values))
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with the archive, and what it holds in unpacked/."""
    mirror = tmp_path_factory.mktemp("mirror")
    folder = save_checkpoint(mirror / "unpacked" / "centernet_mobilenetv2_fpn_od", "centernet_mobilenet_v2_fpn", 512)
    in_toolchain(PUBLISH, str(ROOT / "steps"), str(folder), str(mirror / "scratch"))
    with tarfile.open(mirror / f"{NAME}.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=folder.name)
    return mirror


@pytest.mark.zoo
def test_it_goes_from_the_checkpoint_through_its_variants(work: Path, inv: Inv, tmp_path: Path, mirror: Path) -> None:
    model, pictures = "centernet_mobilenet_v2_512", draw_pictures(tmp_path / "pictures")
    chosen = [word for variant in VARIANTS for word in ("--variant", variant)]
    arguments = ("build", "--model", model, *chosen, "--engine", "venv", "--calib", str(pictures), "--json")
    run = inv(*arguments, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    assert [bundle["variant"] for bundle in json.loads(run.stdout)["bundles"]] == VARIANTS
    for variant in VARIANTS:
        report = json.loads((work / "out" / model / variant / "report.json").read_text())
        outputs = report["file"]["outputs"]
        assert [each["name"] for each in outputs] == ["boxes", "classes", "scores", "count"]
        assert [each["shape"] for each in outputs] == [[1, 10, 4], [1, 10], [1, 10], [1]]
        assert {each["type"] for each in outputs} == {"float32"}
        assert report["conversion"]["toolchain"] == "tf2.13"
        assert report["source"]["weights"]["equal"] is True
        assert report["source"]["overrides"]["image_resizer"]["from"] == "keep_aspect_ratio_resizer"
        assert report["source"]["overrides"]["use_separable_conv"]["to"] is True
        contract = report["contract"]
        assert (contract["outputs"], contract["resize"], contract["height"]) == ("detections", "letterbox", 512)
        assert (contract["mean"], contract["std"], contract["range"]) == ([0.0] * 3, [1.0] * 3, [0.0, 255.0])
    assert not_clean(work / "out" / model) == {}
    bundles = {variant: str(work / "out" / model / variant / "detect.tflite") for variant in VARIANTS}
    found = json.loads(in_toolchain(DETECT, str(pictures / "00.png"), *bundles.values()))
    wanted = found[bundles["float32"]]
    for variant, path in bundles.items():  # at random weights the best ten change with the least rounding: not compared here
        assert found[path]["count"] == [10.0], f"{variant} finds nothing"
        scores, classes = found[path]["scores"][0], found[path]["classes"][0]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == pytest.approx(wanted["scores"][0][0], abs=0.05), variant
        assert all(kind in range(90) for kind in classes), variant
    _the_apis_own_export_is_the_same(found[bundles["float32"]], mirror, pictures)


def _the_apis_own_export_is_the_same(found: dict[str, list[object]], mirror: Path, pictures: Path) -> None:
    """Its outputs are numbered back to front: count, scores, classes, boxes."""
    path = str(mirror / "unpacked" / "centernet_mobilenetv2_fpn_od" / "model.tflite")
    theirs = json.loads(in_toolchain(DETECT, str(pictures / "00.png"), path))[path]
    numbered = {
        name: theirs[f"StatefulPartitionedCall:{place}"] for place, name in enumerate(("count", "scores", "classes", "boxes"))
    }
    assert numbered["classes"] == found["classes"]
    assert numbered["count"] == found["count"]
    for name in ("boxes", "scores"):
        for ours, published in zip(_flat(found[name]), _flat(numbered[name]), strict=True):
            assert ours == pytest.approx(published, abs=1e-4)


def _flat(values: object) -> list[float]:
    return [each for value in values for each in _flat(value)] if isinstance(values, list) else [float(str(values))]


def test_the_finished_file_of_the_same_archive(work: Path, inv: Inv, tmp_path: Path, mirror: Path) -> None:
    model, pictures = "centernet_mobilenet_v2_512_tflite", draw_pictures(tmp_path / "pictures")
    run = inv("build", "--model", model, "--engine", "venv", LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    bundle = work / "out" / model / "float32"
    report = json.loads((bundle / "report.json").read_text())
    assert report["contract"]["outputs"] == "detections"
    assert report["contract"]["resize"] == "letterbox"
    assert len((bundle / "labelmap.txt").read_text().splitlines()) == 90
    ours = str(bundle / "detect.tflite")
    _the_apis_own_export_is_the_same(json.loads(in_toolchain(DETECT, str(pictures / "00.png"), ours))[ours], mirror, pictures)


def test_a_checkpoint_of_the_other_network_is_refused(work: Path, inv: Inv, mirror: Path) -> None:
    """Without the override the API would build another network than the checkpoint's, and say nothing."""
    folder = mirror / "unpacked" / "centernet_mobilenetv2_fpn_od"
    model = work / "models" / "other"
    (model / "source").mkdir(parents=True)
    (model / "source" / "checkpoint").symlink_to(folder / "checkpoint")
    text = (folder / "pipeline.config").read_text(encoding="utf-8").replace("mobilenet_v2_fpn_sep_conv", "mobilenet_v2_fpn")
    (model / "source" / "pipeline.config").write_text(text, encoding="utf-8")
    recipe = (ROOT / "models" / "centernet_mobilenet_v2_512" / "model.toml").read_text(encoding="utf-8")
    kept = [line for line in recipe.splitlines() if not line.startswith(("url", "sha256"))]
    (model / "model.toml").write_text("\n".join(kept).replace("[source]", '[source]\nfolder = "source"'), encoding="utf-8")
    (model / "labels.pbtxt").write_bytes((ROOT / "models" / "centernet_mobilenet_v2_512" / "labels.pbtxt").read_bytes())
    run = inv("build", "--model", "other", "--variant", "float32", "--engine", "venv")
    assert run.returncode == 6, run.stdout + run.stderr
    assert "3 of the model's 301 variables are not in the checkpoint, the first: " in run.stdout
    assert "do checkpoint and pipeline.config belong to the same model?" in run.stdout
    assert not list((work / "out").rglob("*.*"))
