"""The verify step refuses what is wrong, each mistake for its own reason, and takes what is right."""

import json
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from litekiln.recipes.limits import limits
from litekiln.variants import BY_NAME
from tests.conftest import ROOT
from tests.e2e.conftest import Built, inv_in, stored
from tests.e2e.step_cases import LABELS, Cases
from tests.e2e.test_shapes import toolchain_python

pytestmark = pytest.mark.toolchain("tf2.13")
# Each mistake, and what is said of it: in the contract, beside the source, on the evaluation set.
REFUSED = {
    "swapped_outputs": ("float32 gives boxes, scores, classes, count, expected boxes, classes, scores, count",),
    "swapped_names": (
        "the outputs that are called boxes, classes, scores, count are boxes, scores, classes, count by the operator's ports",
    ),
    "hollow": ("output boxes has no size: the converter is too old for this export",),
    "what TF 2.3 made": ("output Identity has no size: the converter is too old for this export",),
    "open_shape": ("1 tensors have shapes that are left open, the first: image",),
    "unsigned": ("the signature calls the outputs output_3, output_2, output_1, output_0, they are boxes, classes, scores, count",),
    "two_postprocess": ("the graph has 2 PostProcess operators, expected one",),
    "without_postprocess": ("the graph has 0 PostProcess operators, expected 1",),
    "flex": ("operators that only full TensorFlow can run: FlexErf",),
    "byte_input": ("float32 has input uint8 [1, 160, 160, 3], expected float32 [1, 160, 160, 3]",),
    "one label less": ("the label map has 2 classes, the model 3",),
    "metadata of [0, 1]": ("the metadata says of a pixel: mean 0, std 255; the model takes mean 127.5, std 127.5",),
    "another label map packed": ("the label file in the metadata is not the label map",),
    "blue_first": (
        "differs from the source's by up to",
        "Likely: with red and blue exchanged it has a share of equal detections of 1.000 instead of",
    ),
    "random_weights": (
        "differs from the source's by up to",
        "It gives the same for every picture (3 different ones were tried); the first operator that gives the same whatever",
    ),
    "shuffled_weights": (
        "differs from the source's by up to",
        "none is much better. So the mistake is likely not in normalisation, channels, box order or labels, but in the weights",
    ),
    "shifted labels": (
        "float32 has mAP 0.000, and 90.",
        "points more when it is fed or read in another way; the limit is 0.5",
        "Likely: with other names for its classes (triangle: circle, circle: square, square: triangle) it has mAP 0.9",
    ),
    "labels in another order": (
        "float32 has mAP 0.287, and 62.",
        "points more when it is fed or read in another way; the limit is 0.5",
        "Likely: with other names for its classes (square: circle, circle: square) it has mAP 0.9",
    ),
    "labels of something else": ("no class of the evaluation set (circle, square, triangle) is in the label map (cat, dog, bird)",),
    "int8 of pixels 0 to 1": (
        "int8 has input scale 0.003922, pixels from -1 to 1 need 0.007843: it was calibrated with another pixel range",
    ),
    "int8 of noise": ("points of mAP against float32, the limit is 1.5",),
}
TAKEN = ("float32", "int8")


@pytest.fixture(scope="module")
def tried(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What annotate and verify say of each case, as an engine runs them."""
    folder = tmp_path_factory.mktemp("verify")
    converted = folder / "converted"
    argv = [toolchain_python("tf2.13"), str(ROOT / "tests" / "e2e" / "bad_models.py"), str(ROOT / "steps")]
    subprocess.run([*argv, str(stored(built, "convert float32")), str(converted)], check=True, capture_output=True)
    return _Cases(built, folder, converted).run()


class _Cases(Cases):
    """What is wrong in its file, its words or its ranges."""

    def __init__(self, built: Built, folder: Path, converted: Path) -> None:
        super().__init__(built, folder)
        self._converted = converted

    def run(self) -> dict[str, Any]:
        exported, zero_to_one = stored(self.built, "export"), self._contract_of_0_to_1()
        for name in TAKEN:
            self.verify(name, stored(self.built, f"annotate {name}"), name)
        for path in sorted(self._converted.iterdir()):
            passes = path.name in ("blue_first", "random_weights", "shuffled_weights")  # the contract says nothing of them
            self.verify(path.name, self.annotate(path.name, path) if passes else self._in_a_bundle(path), "float32")
        good = stored(self.built, "convert float32")
        self.verify("shifted labels", self.annotate("shifted", good, labels=[LABELS[2], *LABELS[:2]]), "float32")
        self.verify("labels in another order", self.annotate("ordered", good, labels=[LABELS[1], LABELS[0], LABELS[2]]), "float32")
        self.verify("labels of something else", self.annotate("others", good, labels=["cat", "dog", "bird"]), "float32")
        self.verify("one label less", self._without_a_label(), "float32")
        self.verify("metadata of [0, 1]", self.annotate("normalised", good, exported=zero_to_one), "float32")
        self.verify("another label map packed", self._another_label_map(), "float32")
        self.verify("what TF 2.3 made", self._in_a_bundle(Path(__file__).parent / "data"), "float32")
        self._verify_where_nothing_is_seen()
        return self._calibrated_badly(exported, zero_to_one)

    def exported_badly(self) -> dict[str, Any]:
        """The whole way from a checkpoint, with programs that make the mistake."""
        programs = self.folder / "steps"
        shutil.copytree(ROOT / "steps", programs, ignore=shutil.ignore_patterns("__pycache__", ".ruff_cache"))
        shutil.copyfile(Path(__file__).parent / "bad_exports.py", programs / "bad_exports.py")
        source = self.built[0] / "models" / "shapes" / "source"
        inputs = {"config": source / "pipeline.config", "checkpoint": source / "checkpoint"}
        for mistake in ("no restore", "no statistics"):
            args = {"prefix": "ckpt-0", "max_detections": 10, "nms": "fast", "mistake": mistake}
            exported = self.step(f"export {mistake}", "bad_exports.py", args, **inputs)
            options = {**BY_NAME["float32"].as_arguments(), "max_detections": 10}
            made = self.step(f"convert {mistake}", "convert_float.py", options, exported=exported)
            self.verify(mistake, self.annotate(mistake, made), "float32")
        return self.ran(programs)

    def _calibrated_badly(self, exported: Path, zero_to_one: Path) -> dict[str, Any]:
        noise = self.step("calibrate noise", "calibrate.py", {"seed": 0, "random": 100}, exported=exported)
        wrong = self._calibrate("0 to 1", zero_to_one)
        for name, calibrated in (
            ("int8 of noise", noise),
            ("int8 of pixels 0 to 1", wrong),
        ):
            options = {**BY_NAME["int8"].as_arguments(), "max_detections": 10}
            made = self.step(f"convert {name}", "convert_integer.py", options, calibrated=calibrated)
            self.verify(name, self.annotate(name, made, "int8"), "int8")
        return self.ran()

    def _verify_where_nothing_is_seen(self) -> None:
        source = self.built[0] / "models" / "shapes" / "source"
        pictures = self.folder / "empty"
        pictures.mkdir()
        names = [f"{place}.png" for place in range(5)]
        for place, name in enumerate(names):  # noise: in an even picture it sees a large circle
            grain = Image.frombytes("RGB", (160, 160), Random(place).randbytes(160 * 160 * 3))
            grain.point(lambda value: 60 + value * 140 // 256).save(pictures / name)
        (pictures / "index.json").write_text(json.dumps({"pictures": names}))
        given = {"pictures": pictures, "config": source / "pipeline.config", "checkpoint": source / "checkpoint"}
        options = {"prefix": "ckpt-0", "max_detections": 10, "nms": "fast"}
        observed = self.step("source on empty pictures", "run_detection.py", options, **given)
        for variant in TAKEN:
            inputs = {"bundle": stored(self.built, f"annotate {variant}"), "exported": stored(self.built, "export")}
            args = {**BY_NAME[variant].as_arguments(), "limits": limits(BY_NAME[variant], None, None, None)}
            self.step(f"{variant} on empty pictures", "verify.py", args, pictures=pictures, observed=observed, **inputs)

    def _calibrate(self, name: str, exported: Path) -> Path:
        pictures = stored(self.built, "draw shapes")
        return self.step(f"calibrate {name}", "calibrate.py", {"seed": 0}, exported=exported, pictures=pictures)

    def _contract_of_0_to_1(self) -> Path:
        """The export with the mistake that is copied most: pixels from 0 to 1."""
        folder = self.folder / "zero_to_one"
        shutil.copytree(stored(self.built, "export"), folder)
        path = folder / "contract.json"
        contract = json.loads(path.read_text())
        path.write_text(json.dumps({**contract, "mean": [0.0] * 3, "std": [255.0] * 3, "range": [0.0, 1.0]}))
        return folder

    def _without_a_label(self) -> Path:
        folder = self.folder / "one_label_less"
        shutil.copytree(stored(self.built, "annotate float32"), folder)
        (folder / "labelmap.txt").write_text("circle\nsquare\n")
        return folder

    def _in_a_bundle(self, made: Path) -> Path:
        """A file that annotate would refuse, in the place of a good one."""
        folder = self.folder / "bundles" / made.name
        shutil.copytree(stored(self.built, "annotate float32"), folder)
        shutil.copyfile(next(made.glob("*.tflite")), folder / "detect.tflite")
        return folder

    def _another_label_map(self) -> Path:
        folder = self.folder / "another_label_map"
        shutil.copytree(stored(self.built, "annotate float32"), folder)
        (folder / "labelmap.txt").write_text("circle\ntriangle\nsquare\n")
        return folder


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_right_is_taken(tried: dict[str, Any], name: str) -> None:
    assert tried[name]["code"] == 0, tried[name]["tail"]
    result = tried[name]["result"]
    assert all(check["ok"] for check in result["checks"])
    assert result["parity"]["detections"]["ok"]
    assert result["warnings"] == []
    assert result["suspicion"] == {}


def test_pictures_in_which_nothing_is_seen_prove_little(tried: dict[str, Any]) -> None:
    assert tried["source on empty pictures"]["code"] == 0, tried["source on empty pictures"]["tail"]
    for variant in TAKEN:
        told = tried[f"{variant} on empty pictures"]
        assert told["code"] == 0, told["tail"]
        found = told["result"]["parity"]
        assert (found["detections"]["source"], found["detections"]["extra"], found["raw_pictures"]) == (0, 0, 3)
        limit = {"float32": "limit", "int8": "mean_limit"}[variant]
        assert all(limit in each and each["ok"] for each in found["raw"]), "nothing holds it"
    assert tried["float32 on empty pictures"]["result"]["warnings"] == [], "its outputs are held to the last bits"
    warned = "the source detects nothing in the 5 pictures: it proves little that the file detects nothing either"
    assert tried["int8 on empty pictures"]["result"]["warnings"] == [warned]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_for_its_own_reason(tried: dict[str, Any], name: str) -> None:
    assert tried[name]["code"] == 1, tried[name]["tail"]
    for words in REFUSED[name]:
        assert words in tried[name]["refused"]


@pytest.mark.long
def test_what_the_exporter_never_notices_is_refused(built: Built, tmp_path: Path) -> None:
    """A checkpoint that wasn't loaded, and batch normalisation without its statistics, exported for real."""
    tried = _Cases(built, tmp_path, tmp_path / "none").exported_badly()
    for mistake in ("no restore", "no statistics"):
        assert tried[f"convert {mistake}"]["code"] == 0, tried[f"convert {mistake}"]["tail"]
        assert tried[mistake]["code"] == 1, tried[mistake]["tail"]
        assert "differs from the source's by up to" in tried[mistake]["refused"]
        assert "but in the weights, the batch normalisation's statistics or the calibration pictures" in tried[mistake]["refused"]


@pytest.mark.long
def test_a_variant_over_its_limit_never_reaches_out(built: Built, work: Path) -> None:
    """The whole way: nothing in out/, exit code 6, the other variants are there."""
    (work / ".litekiln" / "store").symlink_to(built[0] / ".litekiln" / "store")
    recipe = work / "models" / "shapes" / "model.toml"
    text = recipe.read_text().replace('toolchains = ["tf2.13", "tf2.21"]', 'toolchains = ["tf2.13"]')
    recipe.write_text(text.replace("max_map_drop = 1.5", "max_map_drop = 0.1\nwarn_map_drop = 0"))
    run = inv_in(work, "build", "--model", "shapes", "--engine", "venv", "--variant", "int8", "--variant", "dynamic", "--json")
    error = json.loads(run.stdout)
    assert run.returncode == 6
    assert error["error"] == "StepRefused"
    assert "int8 loses 0." in error["what"]
    assert "points of mAP against float32, the limit is 0.1" in error["what"]
    assert not (work / "out" / "shapes" / "int8").exists()


def test_float32_is_the_sources_to_the_last_bits(built: Built) -> None:
    report = json.loads((built[0] / "out/shapes/float32/report.json").read_text())
    assert [each["name"] for each in report["parity"]["raw"]] == ["box_encodings", "class_predictions"]
    assert max(each["relative"] for each in report["parity"]["raw"]) < 1e-4
    detections = report["parity"]["detections"]
    assert detections["source"] >= 16, "the pictures show too little to say something"
    assert (detections["share"], detections["iou"], detections["limit"]) == (1.0, 0.99, 0.99)


def test_where_the_error_of_integers_comes_from(built: Built) -> None:
    for variant in ("int8", "int8-io", "int8-raw"):
        errors = json.loads((built[0] / "out/shapes" / variant / "report.json").read_text())["errors"]
        assert len(errors["tensors"]) == 10
        assert errors["tensors"] == sorted(errors["tensors"], key=lambda each: each["snr_db"])
        assert 10 < errors["tensors"][0]["snr_db"] < errors["median_snr_db"] < 60
        as_it_is, kept, wide = errors["trials"]
        assert kept["snr_db"] > as_it_is["snr_db"], "operators in float are no clearer"
        assert len(kept["keep_float"]) == 10
        assert wide["what"] == "int16x8"
    wide = json.loads((built[0] / "out/shapes/int16x8/report.json").read_text())["errors"]
    assert wide["median_snr_db"] > errors["median_snr_db"]


@pytest.mark.long
def test_keeping_operators_in_float(built: Built, work: Path) -> None:
    """The names that a report gives can be given back."""
    (work / ".litekiln" / "store").symlink_to(built[0] / ".litekiln" / "store")
    errors = json.loads((built[0] / "out/shapes/int8/report.json").read_text())["errors"]
    names = [part for name in errors["trials"][1]["keep_float"][:2] for part in ("--keep-float", name)]

    def build(*more: str) -> "subprocess.CompletedProcess[str]":
        return inv_in(work, "build", "--model", "shapes", "--engine", "venv", "--variant", "int8", *more)

    recipe = work / "models" / "shapes" / "model.toml"
    recipe.write_text(recipe.read_text().replace('toolchains = ["tf2.13", "tf2.21"]', 'toolchains = ["tf2.13"]'))
    run = build(*names)
    assert run.returncode == 0, run.stdout + run.stderr
    kept = json.loads((work / "out/shapes/int8/report.json").read_text())
    plain = json.loads((built[0] / "out/shapes/int8/report.json").read_text())
    assert kept["file"]["operators"]["DEQUANTIZE"] > plain["file"]["operators"]["DEQUANTIZE"]
    assert kept["file"]["size"] > plain["file"]["size"]
    assert names[1] in kept["reproduce"]
    ours = {names[1], names[3]}
    assert ours.isdisjoint(each["name"] for each in kept["errors"]["tensors"]), "what is in float has no integer error"
    as_it_is, further, _ = kept["errors"]["trials"]
    assert as_it_is["snr_db"] >= plain["errors"]["trials"][0]["snr_db"]
    assert further["what"] == "the 10 further operators that add most noise kept in float"
    assert set(further["keep_float"][:2]) == ours
    assert len(further["keep_float"]) == 12
    run = build("--keep-float", "no/such/tensor")
    assert run.returncode == 6
    assert "convert.keep_float: no operator gives a tensor 'no/such/tensor'" in run.stdout + run.stderr


def test_the_command_shows_every_figure_with_its_limit(built: Built) -> None:
    run = inv_in(built[0], "verify", "--model", "shapes", "--engine", "venv", "--variant", "int8")
    assert run.returncode == 0, run.stdout + run.stderr
    for words in (
        "exactly one PostProcess operator",
        "share of the source's detections",
        "at least 60 % at IoU 0.5",
        "mAP on 200 pictures",
        "warns above 0.6, refuses above 1.5",
        "operators that XNNPACK runs",
        "Edge TPU",
    ):
        assert words in run.stdout, words


def test_speed_is_measured_alone_and_coverage_is_told(built: Built) -> None:
    report = json.loads((built[0] / "out/shapes/int8/report.json").read_text())
    assert report["speed"]["threads"][0]["threads"] == 1
    assert all(0 < each["fastest_ms"] <= each["median_ms"] for each in report["speed"]["threads"])
    coverage = report["xnnpack"]
    assert (
        coverage["delegated"] + sum(coverage["left"].values()) == coverage["operators"] == sum(report["file"]["operators"].values())
    )
    assert coverage["left"]["TFLite_Detection_PostProcess"] == 1
    assert report["edge_tpu"]["ready"]
    dynamic = json.loads((built[0] / "out/shapes/dynamic/report.json").read_text())
    assert dynamic["xnnpack"]["share"] < coverage["share"]
    assert not dynamic["edge_tpu"]["ready"]
