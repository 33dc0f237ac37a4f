"""Mistakes that people make, one by one, in a network that is good: each is told with its own cause, and none is silent.

The drawn boxes, a finished file, the pictures: only a part of what is wrong in them is known before anything is converted, so
these go to the step that judges a file.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from litekiln.variants import BY_NAME, VARIANTS
from tests.conftest import ROOT
from tests.e2e.conftest import Built, stored
from tests.e2e.step_cases import Cases
from tests.e2e.test_shapes import toolchain_python

pytestmark = [pytest.mark.toolchain("tf2.13"), pytest.mark.long]
Notes = dict[str, Any]  # annotations.json
PICTURES = 60  # of the 200: enough to tell, in a third of the time
FITS = "Likely: with the drawn boxes %s it has mAP 0.9"


def _boxes(change: Callable[[list[float], float, float], list[float]]) -> Callable[[Notes], None]:
    """All boxes changed: by the box, and the width and height of its picture."""

    def changed(notes: Notes) -> None:
        sizes = {each["id"]: (each["width"], each["height"]) for each in notes["images"]}
        for each in notes["annotations"]:
            each["bbox"] = change(each["bbox"], *sizes[each["image_id"]])

    return changed


def _other_classes(notes: Notes) -> None:
    for each in Random(1).sample(notes["annotations"], len(notes["annotations"]) // 5):
        each["category_id"] = (each["category_id"] + 1) % 3


def _names_by_chance(notes: Notes) -> None:
    draw = Random(1)
    for each in notes["annotations"]:
        each["category_id"] = draw.randrange(3)


def _swapped_files(notes: Notes) -> None:
    swapped = Random(1).sample(notes["images"], len(notes["images"]) // 4)
    whose = {each["id"]: other["id"] for each, other in zip(swapped, [*swapped[1:], swapped[0]], strict=True)}
    for each in notes["annotations"]:
        each["image_id"] = whose.get(each["image_id"], each["image_id"])


def _no_class(notes: Notes) -> None:
    notes["annotations"][5]["category_id"] = 9


def _half_missing(notes: Notes) -> None:
    notes["annotations"] = notes["annotations"][::2]


def _twice(notes: Notes) -> None:
    further = [{**each, "id": each["id"] + 100_000} for each in notes["annotations"]]
    notes["annotations"] += further


def _two_names(notes: Notes) -> None:
    further = [{**each, "id": each["id"] + 100_000, "category_id": (each["category_id"] + 1) % 3} for each in notes["annotations"]]
    notes["annotations"] += further


def _only(count: int) -> Callable[[Notes], None]:
    def cut(notes: Notes) -> None:
        notes["images"] = notes["images"][:count]
        kept = {each["id"] for each in notes["images"]}
        notes["annotations"] = [each for each in notes["annotations"] if each["image_id"] in kept]

    return cut


# What is done to the annotations, and what is said: refused, or warned of.
REFUSED: dict[str, tuple[Callable[[Notes], None], str]] = {
    "centres": (
        _boxes(lambda b, *_: [b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]]),
        FITS % "as [centre x, centre y, width, height]",
    ),
    "y before x": (_boxes(lambda b, *_: [b[1], b[0], b[3], b[2]]), FITS % "as [y, x, height, width]"),
    "sides exchanged": (_boxes(lambda b, *_: [b[0], b[1], b[3], b[2]]), FITS % "as [x, y, height, width]"),
    "half the size": (_boxes(lambda b, *_: [each / 2 for each in b]), FITS % "twice as large, as of pictures of half the size"),
    "mirrored": (_boxes(lambda b, w, _: [w - b[0] - b[2], *b[1:]]), FITS % "mirrored, left to right"),
    "upside down": (_boxes(lambda b, w, h: [w - b[0] - b[2], h - b[1] - b[3], *b[2:]]), FITS % "turned upside down"),
    "of no class": (_no_class, "annotations.json has boxes of the category 9, which is not among its categories (0 circle, "),
}
WARNED: dict[str, tuple[Callable[[Notes], None], str]] = {
    "whole pictures": (_boxes(lambda _, w, h: [0, 0, w, h]), "drawn boxes that are whole pictures: that says what is in"),
    "a fifth of the classes": (_other_classes, "is very sure of another name than the drawn one for "),
    "names by chance": (_names_by_chance, "finds things but calls them wrongly: mAP is 0."),
    "swapped files": (_swapped_files, "that are drawn nowhere"),
    "half of the boxes": (_half_missing, "that are drawn nowhere"),
    "every box twice": (_twice, "things were likely drawn twice, or with two names"),
    "two names": (_two_names, "things were likely drawn twice, or with two names"),
    "three pictures": (_only(3), "was measured on 3 pictures, too few to be exact: chance moves it by up to 0."),
}
# Of a finished file: each is its own source, so nothing but the drawn boxes can tell.
FILES = {
    "zeroed_layer": "are 0: nothing of the picture passes there",
    "not_numbers": "are no numbers: what they compute is none either",
    "permuted_box_head": "and its boxes for one thing differ: the best of them overlap the drawn ones by 0.6",
    "larger_anchors": "Likely: with other anchors or another box coder (its boxes are 1.3",
    "smaller_anchors": "its boxes are 0.8",
    "exchanged_anchors": "times as high as the drawn ones (medians of ",
    "softmax_scores": "things where 119 are drawn: likely its scores are converted in another way than it was trained with",
    "relu": "Likely: with RELU_6 instead of RELU as its activations it has mAP 0.9",
    "loose_suppression": "again where it is surer of the same: overlapping boxes are not suppressed (iou_threshold in",
    "high_threshold": "leaves out what it finds with a score under 0.5 (score_threshold): mAP counts that as not found",
    "coder_scales": "Likely: with the box coder's scales 10, 10, 5, 5 (y, x, height, width) it has mAP 0.9",
    "shifted_anchors": "of their width further right",
}
STATED = {"high_threshold": {"postprocess": {"score_threshold": 0.5}}}  # what the file's own options say, in the contract
# What a finished file says of its pixels, and what is said.
TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "pixels from 0 to 1": (
        {"mean": [0.0] * 3, "std": [255.0] * 3, "range": [0.0, 1.0]},
        "Likely: with pixels from -1 to 1 it has mAP 0.9",
    ),
    "ImageNet": (
        {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "range": [-2.1179, 2.64]},
        "Likely: with pixels from -1 to 1 it has mAP 0.9",
    ),
}
# A pipeline.config that isn't the training's: the source makes the same mistake.
ANCHORS = "anchor_scale: 3.0", "anchor_scale: 4.0"


@pytest.fixture(scope="module")
def tried(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("mistakes")
    cases, good = Cases(built, folder), stored(built, "annotate float32")
    for name, (change, _) in {**REFUSED, **WARNED}.items():
        cases.verify(name, good, "float32", pictures=_set(built, folder / name.replace(" ", "_"), change))
    pictures = _set(built, folder / "set", lambda _: None)
    for path in _files(built, folder / "files"):
        _finished(cases, path.name, path, STATED.get(path.name, {}), pictures)
    for name, (pixels, _) in TOLD.items():
        _finished(cases, name, stored(built, "convert float32"), pixels, pictures)
    noisy = _set(built, folder / "noisy", _other_classes)
    first = cases.verify("first", good, "float32", pictures=noisy)
    cases.verify("then", stored(built, "annotate int8"), "int8", pictures=noisy, reference=first)
    return cases.ran()


def _set(built: Built, folder: Path, change: Callable[[Notes], None]) -> Path:
    """The evaluation set with other annotations."""
    before = stored(built, "draw shapes/eval")
    folder.mkdir()
    (folder / "images").symlink_to(before / "images")
    notes = json.loads((before / "annotations.json").read_text())
    _only(PICTURES)(notes)
    change(notes)
    (folder / "annotations.json").write_text(json.dumps(notes))
    return folder


def _files(built: Built, folder: Path) -> Iterator[Path]:
    argv = [toolchain_python("tf2.13"), str(ROOT / "tests" / "e2e" / "wrong_files.py"), str(ROOT / "steps")]
    subprocess.run([*argv, str(stored(built, "convert float32")), str(folder)], check=True, capture_output=True)
    return iter(sorted(folder.iterdir()))


def _finished(cases: Cases, name: str, made: Path, pixels: dict[str, Any], pictures: Path) -> None:
    """A finished file is its own source, and says itself what a pixel becomes."""
    exported = cases.folder / f"contract_{name}"
    exported.mkdir()
    contract = json.loads((stored(cases.built, "export") / "contract.json").read_text())
    order = {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
    told = {**contract, "pixels": "told", "published_order": order, **pixels}
    (exported / "contract.json").write_text(json.dumps(told))
    bundle = cases.annotate(name, made, exported=exported)
    inputs = {"exported": exported, "pictures": pictures, "model": bundle / "detect.tflite"}
    observed = cases.step(f"source {name}", "run_tflite.py", {"evaluation": True}, **inputs)
    cases.verify(name, bundle, "float32", exported=exported, observed=observed, pictures=pictures)


@pytest.mark.parametrize("name", REFUSED)
def test_drawn_boxes_that_are_read_wrongly(tried: dict[str, Any], name: str) -> None:
    assert tried[name]["code"] == 1, tried[name]["tail"]
    assert REFUSED[name][1] in tried[name]["refused"]


@pytest.mark.parametrize("name", WARNED)
def test_what_is_doubtful_about_the_set_is_told(tried: dict[str, Any], name: str) -> None:
    assert tried[name]["code"] == 0, tried[name]["tail"]
    assert any(WARNED[name][1] in each for each in tried[name]["result"]["warnings"]), tried[name]["result"]["warnings"]


@pytest.mark.parametrize("name", [*FILES, *TOLD])
def test_a_finished_file_that_is_wrong(tried: dict[str, Any], name: str) -> None:
    told = tried[name]
    said = [told["refused"]] if told["code"] else told["result"]["warnings"]
    wanted = FILES[name] if name in FILES else TOLD[name][1]
    assert any(wanted in each for each in said), (said, told["tail"])


def test_a_variant_says_what_is_doubtful_of_float32_and_is_not_blamed(tried: dict[str, Any]) -> None:
    assert tried["then"]["code"] == 0, tried["then"]["tail"]
    said = "as float32: is very sure of another name"
    [warning] = [each for each in tried["then"]["result"]["warnings"] if each.startswith(said)]
    assert warning.removeprefix("as float32: ") in tried["first"]["result"]["warnings"]


def test_weights_that_the_model_lacks_are_refused_by_the_export(built: Built, tmp_path: Path) -> None:
    """`inv new` sees the towers too; this is for what nobody looked at before."""
    cases = Cases(built, tmp_path)
    source, config = built[0] / "models" / "shapes" / "source", tmp_path / "pipeline.config"
    text = (source / "pipeline.config").read_text()
    config.write_text(text.replace("num_layers_before_predictor: 3", "num_layers_before_predictor: 2"))
    given = {"config": config, "checkpoint": source / "checkpoint"}
    cases.step("export", "export_detection.py", {"prefix": "ckpt-0", "max_detections": 10, "nms": "fast"}, **given)
    told = cases.ran()["export"]
    assert told["code"] == 1, told["tail"]
    assert "of the checkpoint's" in told["refused"]
    assert "weights are not in the model, the first: model/_box_predictor/" in told["refused"]


def test_a_configuration_that_is_not_the_trainings(built: Built, tmp_path: Path) -> None:
    """The whole way from the checkpoint."""
    cases = Cases(built, tmp_path)
    source, config = built[0] / "models" / "shapes" / "source", tmp_path / "pipeline.config"
    pictures = _set(built, tmp_path / "set", lambda _: None)
    text = (source / "pipeline.config").read_text()
    assert ANCHORS[0] in text
    config.write_text(text.replace(*ANCHORS))
    given = {"config": config, "checkpoint": source / "checkpoint"}
    options = {"prefix": "ckpt-0", "max_detections": 10, "nms": "fast"}
    exported = cases.step("export", "export_detection.py", options, **given)
    observed = cases.step("source", "run_detection.py", {**options, "evaluation": True}, **given, pictures=pictures)
    made = cases.step("convert", "convert_float.py", {**BY_NAME["float32"].as_arguments(), "max_detections": 10}, exported=exported)
    annotated = cases.annotate("anchors", made, exported=exported)
    cases.verify("verify", annotated, "float32", exported=exported, observed=observed, pictures=pictures)
    told = cases.ran()
    assert [name for name, each in told.items() if each["code"]] == ["verify"], told
    assert "its boxes are 1.33 times as wide and 1.33 times as high as the drawn ones" in told["verify"]["refused"]


# What the ranges are measured on, and whether the evaluation pictures show more.
CALIBRATED = {"the set": False, "twelve pictures": False, "noise": True}  # the demo's pictures are all alike


@pytest.fixture(scope="module")
def traced(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cases = Cases(built, tmp_path_factory.mktemp("traced"))
    exported, pictures = stored(built, "export"), stored(built, "draw shapes")
    names = json.loads((pictures / "index.json").read_text())["pictures"]
    made = {
        "the set": stored(built, "calibrate"),
        "twelve pictures": cases.step(
            "calibrate twelve", "calibrate.py", {"seed": 0, "pictures": names[:12]}, exported=exported, pictures=pictures
        ),
        "noise": cases.step("calibrate noise", "calibrate.py", {"seed": 0, "random": 12}, exported=exported),
    }
    rows = [row for row in VARIANTS if row.calibrated and row.name == row.family]
    args = {"variants": ["int8"], "forms": [row.as_arguments() for row in rows], "evaluation": True}
    for name, calibrated in made.items():
        cases.step(name, "trace_errors.py", args, calibrated=calibrated, pictures=stored(built, "draw shapes/eval"))
    return cases.ran()


@pytest.mark.parametrize("name", CALIBRATED)
def test_calibration_pictures_that_show_less_than_those_that_are_judged(traced: dict[str, Any], name: str) -> None:
    assert traced[name]["code"] == 0, traced[name]["tail"]
    said = [each.startswith("the calibration pictures are unlike the evaluation pictures: in ") for each in _warned(traced[name])]
    assert said == [True] * CALIBRATED[name], _warned(traced[name])


def _warned(told: dict[str, Any]) -> list[str]:
    warnings: list[str] = told["result"].get("warnings", [])
    return warnings
