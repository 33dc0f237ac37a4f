"""Finished .tflite files as sources: which output is what, what a pixel becomes, and every refusal of steps/read_tflite.py."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.test_shapes import in_toolchain

pytestmark = pytest.mark.toolchain("tf2.13")
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
PIXELS = "[input]\nmean = 127.5\nstd = 127.5\n"
RECIPE = """
[source]
kind = "tflite"
file = "model.tflite"
license = "Apache-2.0"
{source}
[convert]
toolchains = ["tf2.13"]
variants = ["{variant}"]
"""
LABELS = '[labels]\nfile = "labels.txt"\n'
OUTPUTS = 'outputs = ["scores", "boxes", "count", "classes"]'
DETECT = """
import json, sys
import numpy, tensorflow as tf
from PIL import Image
interpreter = tf.lite.Interpreter(sys.argv[2])
interpreter.allocate_tensors()
entry = interpreter.get_input_details()[0]
height, width = (int(each) for each in entry["shape"][1:3])
pixels = numpy.asarray(Image.open(sys.argv[1]).convert("RGB").resize((width, height)), numpy.float32)[numpy.newaxis]
pixels = pixels if entry["dtype"] == numpy.uint8 else (pixels - 127.5) / 127.5
interpreter.set_tensor(entry["index"], pixels.astype(entry["dtype"]))
interpreter.invoke()
print(json.dumps([interpreter.get_tensor(each["index"]).tolist() for each in interpreter.get_output_details()]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small detectors, good and bad ones: tests/zoo/finished_files.py."""
    folder = tmp_path_factory.mktemp("files")
    program = (ROOT / "tests" / "zoo" / "finished_files.py").read_text(encoding="utf-8")
    assert in_toolchain(program, str(ROOT / "steps"), str(folder)) == "written"
    return folder


def _model(work: Path, file: Path, *, source: str = "", variant: str = "float32", rest: str = PIXELS + LABELS) -> None:
    folder = work / "models" / "finished"
    folder.mkdir()
    shutil.copyfile(file, folder / "model.tflite")
    (folder / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    (folder / "model.toml").write_text(RECIPE.format(source=source, variant=variant) + rest)


def _build(inv: Inv) -> "subprocess.CompletedProcess[str]":
    return inv("build", "--model", "finished", "--engine", "venv")


READ = """
import json, os, sys; sys.path.insert(0, sys.argv[1])
import protocol, read_tflite
told = {}
os.makedirs("in"), os.makedirs("out")
for path in sys.argv[2:]:
    if os.path.lexists("in/model"):
        os.remove("in/model")
    os.symlink(path, "in/model")
    name = os.path.basename(path)
    outputs = ["scores", "boxes", "count", "classes"] if name == "unnamed.tflite" else []
    told[name] = read_tflite.read({"outputs": outputs, "mean": [127.5] * 3, "std": [127.5] * 3})["outputs_found_by"]
print(json.dumps(told))
"""


def test_by_what_outputs_are_known(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["signed", "named", "numbered", "numbered_from_boxes", "unnamed"]
    monkeypatch.chdir(tmp_path)
    told = json.loads(in_toolchain(READ, str(ROOT / "steps"), *(str(files / f"{name}.tflite") for name in names)))
    assert told == {
        "signed.tflite": "the file's signature",
        "named.tflite": "the names of its tensors",
        "numbered.tflite": "the numbers in the names of its tensors",
        "numbered_from_boxes.tflite": "the numbers in the names of its tensors",
        "unnamed.tflite": "the recipe's source.outputs",
    }


OTHER_NAMES = """
import json, sys; sys.path.insert(0, sys.argv[1])
import annotate
print(json.dumps([annotate._other_names(packed, ["cat", "dog"]) for packed in (["cat", "dog"], ["dog", "cat"], [])]))
"""


def test_names_in_the_file_that_are_not_those_of_the_label_map_are_told() -> None:
    same, swapped, none = json.loads(in_toolchain(OTHER_NAMES, str(ROOT / "steps")))
    assert (same, none) == ([], [])
    [told] = swapped
    assert told.startswith("the file itself names 2 of its 2 classes otherwise than the label map: class 0 is 'dog' there, 'cat'")


@pytest.mark.long
@pytest.mark.parametrize(("name", "source"), [("numbered", ""), ("unnamed", OUTPUTS)])
def test_the_bundle_detects_what_the_file_did(work: Path, inv: Inv, files: Path, name: str, source: str) -> None:
    """In the file its outputs come as scores, boxes, count, classes."""
    _model(work, files / f"{name}.tflite", source=source)
    run = _build(inv)
    assert run.returncode == 0, run.stdout + run.stderr
    bundle = work / "out" / "finished" / "float32"
    report = json.loads((bundle / "report.json").read_text())
    assert [each["name"] for each in report["file"]["outputs"]] == ["boxes", "classes", "scores", "count"]
    assert (report["contract"]["mean"], report["contract"]["range"]) == ([127.5] * 3, [-1.0, 1.0])
    assert report["contract"]["max_detections"] == 5
    assert (bundle / "labelmap.txt").read_text() == "ant\nbee\ncat\ndog\n"
    picture = work / "calib" / "picture.png"
    in_toolchain("import sys; from PIL import Image; Image.effect_noise((32, 32), 90).save(sys.argv[1]); print()", str(picture))
    scores, boxes, count, classes = json.loads(in_toolchain(DETECT, str(picture), str(files / f"{name}.tflite")))
    assert json.loads(in_toolchain(DETECT, str(picture), str(bundle / "detect.tflite"))) == [boxes, classes, scores, count]


REFUSED = {
    "flex": ("", PIXELS, "the .tflite has operators that only full TensorFlow can run: FlexAsString; the Pi's runtime can't"),
    "subgraphs": ("", PIXELS, "the .tflite has 2 subgraphs: it branches or loops, which can't be checked here"),
    "open": ("", PIXELS, "the input's shape is left open: [1, -1, -1, 3]. Convert the model again with a fixed size"),
    "batch": ("", PIXELS, "the input is [2, 32, 32, 3], expected one RGB picture: [1, height, width, 3]"),
    "integers": ("", PIXELS, "the input is of type int32, expected float32, uint8, int8"),
    "two_inputs": ("", PIXELS, "the .tflite takes 2 inputs, a detector takes one picture"),
    "three_outputs": ("", PIXELS, "the .tflite has 3 outputs; a finished detector has four: boxes, classes, scores, count"),
    "unnamed": ("", PIXELS, "nothing in the .tflite says which output is what (a [1, 5], b [1, 5, 4], c [1], d [1, 5])"),
    "numbered_wrongly": (
        "",
        PIXELS,
        "by the numbers in the names of its tensors the outputs are classes, boxes, count, scores, but",
    ),
    "numbered_and_silent": ("", PIXELS, "but it found nothing in noise, so nothing confirms that: name them in its model.toml"),
    "signed": ("", "", "neither metadata nor an input scale says what the pixels are: say in its model.toml what a pixel becomes"),
    "zero_to_one": (
        "",
        "",
        "its input scale 0.003922 stands for pixels from 0 to 1, which may be the training's or a calibration's",
    ),
    "named": (
        'outputs = ["boxes", "scores", "classes", "count"]',
        PIXELS,
        "by the recipe's source.outputs the outputs are boxes, scores, classes, count, but boxes have shape [1, 5]",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(work: Path, inv: Inv, files: Path, name: str) -> None:
    source, pixels, message = REFUSED[name]
    _model(work, files / f"{name}.tflite", source=source, rest=pixels + LABELS)
    _nothing_is_left(work, _build(inv), message)


@pytest.mark.long
@pytest.mark.parametrize("name", ["text", "truncated"])
def test_what_is_no_whole_file_is_refused_before_a_step_reads_it(work: Path, inv: Inv, files: Path, name: str) -> None:
    _model(work, files / f"{name}.tflite", rest=PIXELS + LABELS)
    _nothing_is_left(work, _build(inv), "is not a .tflite, or is damaged", code=10)


def _nothing_is_left(work: Path, run: "subprocess.CompletedProcess[str]", message: str, code: int = 6) -> None:
    assert run.returncode == code, run.stdout + run.stderr
    assert message in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not list((work / "out").rglob("*.*"))


@pytest.mark.long
def test_a_wrong_variant_is_refused_with_the_right_one(work: Path, inv: Inv, files: Path) -> None:
    _model(work, files / "signed.tflite", variant="float16")
    message = "float16 computes with float32/float32/float32, which its name does not say; "
    _nothing_is_left(work, _build(inv), message)


@pytest.mark.long
def test_a_detector_without_names_for_its_classes_is_refused(work: Path, inv: Inv, files: Path) -> None:
    _model(work, files / "signed.tflite", rest=PIXELS)
    _nothing_is_left(work, _build(inv), "there is no label map")


def _published() -> Path:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    return Path(os.environ["LITEKILN_FIXTURES"]) / "published"


def test_a_published_model_finds_the_cats_and_the_dog(work: Path, inv: Inv) -> None:
    """Names and pixels come from its metadata. The boxes are those that its publisher's own test expects."""
    published = _published()
    _model(work, published / "coco_ssd_mobilenet_v1_0.75_quant.tflite", variant="uint8-qat", rest="")
    run = _build(inv)
    assert run.returncode == 0, run.stdout + run.stderr
    bundle = work / "out" / "finished" / "uint8-qat"
    labels = (bundle / "labelmap.txt").read_text().splitlines()
    assert labels == (published / "coco_labelmap.txt").read_text().splitlines()[: len(labels)]
    picture = published / "cats_and_dogs.jpg"
    boxes, classes, scores, _ = json.loads(in_toolchain(DETECT, str(picture), str(bundle / "detect.tflite")))
    found = [labels[int(kind)] for kind in classes[0][:4]]
    assert found == ["cat", "cat", "cat", "dog"]
    assert scores[0][:4] == pytest.approx([0.645, 0.609, 0.563, 0.5], abs=0.06)  # its resize is another one
    wide, high = (int(each) for each in in_toolchain(MEASURE, str(picture)).split())
    expected = [(54, 396, 393, 196), (602, 157, 394, 447), (259, 394, 181, 209), (387, 197, 281, 409)]
    for (top, left, bottom, right), (x, y, width, height) in zip(boxes[0][:4], expected, strict=True):
        sides = [left * wide, top * high, right * wide, bottom * high]
        assert sides == pytest.approx([x, y, x + width, y + height], abs=40)


MEASURE = "import sys; from PIL import Image; print(*Image.open(sys.argv[1]).size)"


@pytest.mark.long
def test_a_recipe_that_speaks_against_the_metadata_is_refused(work: Path, inv: Inv) -> None:
    file = _published() / "coco_ssd_mobilenet_v1_0.75_quant.tflite"
    _model(work, file, variant="uint8-qat", rest="[input]\nmean = 0\nstd = 255\n")
    message = "the recipe's [input] has mean [0.0, 0.0, 0.0] and std [255.0, 255.0, 255.0], the file's metadata mean [127.5, "
    _nothing_is_left(work, _build(inv), message)


@pytest.mark.long
def test_a_published_model_by_another_name_is_refused(work: Path, inv: Inv) -> None:
    _model(work, _published() / "coco_ssd_mobilenet_v1_0.75_quant.tflite", variant="int8-io", rest="")
    message = "int8-io computes with uint8/uint8/uint8, which its name does not say; uint8-qat says it"
    _nothing_is_left(work, _build(inv), message)


@pytest.mark.long
def test_pixels_by_the_input_scale_alone_where_they_span_minus_one_to_one(work: Path, inv: Inv, tmp_path: Path) -> None:
    """The published file without its metadata: its scale says the same."""
    bare = tmp_path / "bare.tflite"
    in_toolchain(BARE, str(ROOT / "steps"), str(_published() / "coco_ssd_mobilenet_v1_0.75_quant.tflite"), str(bare))
    _model(work, bare, variant="uint8-qat", rest=LABELS)
    (work / "models" / "finished" / "labels.txt").write_text("".join(f"thing {number}\n" for number in range(90)))
    run = _build(inv)
    assert run.returncode == 0, run.stdout + run.stderr
    contract = json.loads((work / "out" / "finished" / "uint8-qat" / "report.json").read_text())["contract"]
    assert contract["mean"] == [128.0] * 3
    assert contract["std"] == [128.0] * 3


BARE = """
import sys; sys.path.insert(0, sys.argv[1])
from tflite_file import flat, packed_metadata
model = flat.read(bytearray(open(sys.argv[2], "rb").read()))
packed_metadata.drop(model)
open(sys.argv[3], "wb").write(flat.write(model))
print("bare")
"""
