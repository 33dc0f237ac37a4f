"""What networks are that are no SSD, by evidence; and whether their quantization covers the pixels that they take."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from litekiln.formats.numbered_names import without_numbers
from litekiln.formats.ultralytics import read_ultralytics
from litekiln.lint.examine import examine, look_into
from litekiln.lint.findings import Finding, Severity
from litekiln.lint.subject import Subject
from tests.helpers import tflite_files as files
from tests.helpers.tflite_files import CONV, DEQUANTIZE, LOGISTIC, RESHAPE, SOFTMAX, Metadata, Model, Operator, Tensor

TOLD = {
    "description": "Ultralytics YOLO11n model trained on data.yaml",
    "stride": 32,
    "task": "detect",
    "imgsz": [640, 640],
    "names": {"0": "fire", "1": "smoke"},
}
IMAGENET = (2.640 + 2.118) / 255


def network(
    outputs: Sequence[Sequence[int]], size: Sequence[int] = (1, 640, 640, 3), last: int | str = CONV, dtype: str = "float32"
) -> Model:
    """A network without the outputs of a detector."""
    tensors = [Tensor("picture", dtype, size), Tensor("weights", dtype, (8, 3, 3, 3), data=bytes(8))]
    tensors += [Tensor(f"output {place}", dtype, shape) for place, shape in enumerate(outputs)]
    places = [2 + place for place in range(len(outputs))]
    operators = [Operator(last, [0, 1, -1], [place]) for place in places]
    return Model(tensors, operators, [0], places, metadata=Metadata(mean=(), std=(), label_file=""))


def quantized(model: Model, scale: float, zero_point: int) -> Model:
    for tensor in model.tensors:
        tensor.dtype = "int8"
    model.tensors[0].scales, model.tensors[0].zero_point = [scale], zero_point
    return model


def told(model: Model, value: object = TOLD, name: str = "metadata.json") -> Model:
    model.metadata = None
    model.packed = {name: json.dumps(value) if name == "metadata.json" else repr(value)}
    return model


def looked_into(model: Model, folder: Path, name: str = "net.tflite") -> tuple[Subject, list[Finding]]:
    subject = look_into(model.written(folder / name))
    return subject, examine(subject)


FAMILIES: list[tuple[str, int, Callable[[], Model]]] = [
    ("YOLO (as v8 or 11)", 80, lambda: network([(1, 84, 8400)])),
    ("YOLO (as v8 or 11)", 2, lambda: network([(1, 6, 2100)], size=(1, 320, 320, 3))),
    ("YOLO (as v8 or 11)", 80, lambda: network([(1, 84, 8400)], size=(1, 3, 640, 640))),
    ("YOLO (as v8 or 11)", 80, lambda: network([(1, 116, 8400), (1, 160, 160, 32)])),  # with masks
    ("YOLO (as v3, v5 or v7)", 80, lambda: network([(1, 25200, 85)])),
    ("YOLO (as v3, v5 or v7)", 80, lambda: network([(1, 2535, 85)], size=(1, 416, 416, 3))),  # YOLOv3-tiny
    ("YOLO (as v4)", 80, lambda: network([(1, 2535, 4), (1, 2535, 80)], size=(1, 416, 416, 3))),
    ("YOLO (as YOLO-NAS)", 80, lambda: network([(1, 8400, 80), (1, 8400, 4)])),
    ("YOLO (as YOLOX or v6)", 0, lambda: network([(1, 8400, 85)])),
    ("YOLO with finished detections (as v10 or 26)", 0, lambda: network([(1, 300, 6)])),
    ("YOLO11n", 2, lambda: told(network([(1, 6, 8400)]))),
    ("YOLO11n", 0, lambda: told(network([(1, 300, 6)]))),
    ("YOLO11n (pose)", 0, lambda: told(network([(1, 56, 8400)]), {**TOLD, "task": "pose"})),
    ("Ultralytics network", 2, lambda: told(network([(1, 6, 8400)]), {**TOLD, "description": ""})),
    ("MediaPipe detector (as BlazeFace)", 0, lambda: network([(1, 896, 16), (1, 896, 1)], size=(1, 128, 128, 3))),
    ("MediaPipe detector (as BlazePose)", 0, lambda: network([(1, 896, 1), (1, 896, 12)], size=(1, 128, 128, 3))),
    ("MediaPipe detector (as BlazePalm)", 0, lambda: network([(1, 2016, 18), (1, 2016, 1)], size=(1, 192, 192, 3))),
    ("MoveNet", 0, lambda: network([(1, 1, 17, 3)], size=(1, 192, 192, 3))),
    ("MoveNet", 0, lambda: network([(1, 6, 56)], size=(1, 256, 256, 3))),
    ("FOMO", 4, lambda: network([(1, 12, 12, 4)], size=(1, 96, 96, 3), last=SOFTMAX)),
    ("segmentation (as DeepLab)", 0, lambda: network([(1, 257, 257, 21)], size=(1, 257, 257, 3))),
    ("classifier", 9, lambda: network([(1, 9)], last=SOFTMAX)),
    ("classifier", 1, lambda: network([(1, 1)], last=LOGISTIC)),
    ("classifier", 7, lambda: network([(1, 7)], size=(1, 28, 28, 1), last=SOFTMAX)),
]


@pytest.mark.parametrize("place", range(len(FAMILIES)), ids=lambda place: FAMILIES[place][0])
def test_a_network_is_named_by_its_outputs_and_what_it_says(tmp_path: Path, place: int) -> None:
    name, classes, make = FAMILIES[place]
    subject, _ = looked_into(make(), tmp_path)
    assert subject.family is not None
    assert (subject.family.name, subject.family.classes) == (name, classes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: network([(1, 84, 8000)]),  # no grid of 640 x 640
        lambda: network([(1, 9)]),  # nine numbers by a convolution: may be anything
        lambda: network([(1, 9)], size=(1, 49, 40), last=SOFTMAX),  # a sound
        lambda: network([(1, 12, 12, 4)], size=(1, 96, 96, 3)),
        lambda: network([(1, 640, 640, 3)]),  # a picture of a picture
        lambda: network([(1, 300, 6), (1, 5)]),
        files.without_tensors,
        files.detector,
    ],
)
def test_others_have_no_name(tmp_path: Path, make: Callable[[], Model]) -> None:
    assert looked_into(make(), tmp_path)[0].family is None


def test_a_classifier_is_known_behind_a_dequantize_and_on_a_chip(tmp_path: Path) -> None:
    model = network([(1, 5)], last=SOFTMAX)
    model.tensors += [Tensor("bytes", "int8", (1, 5)), Tensor("shaped", "float32", (1, 5))]
    model.operators = [Operator(SOFTMAX, [0], [3]), Operator(DEQUANTIZE, [3], [4]), Operator(RESHAPE, [4], [2])]
    subject, _ = looked_into(model, tmp_path)
    assert subject.family is not None
    assert subject.family.name == "classifier"
    model = quantized(network([(1, 5)], last="edgetpu-custom-op"), 1 / 255, -128)
    model.tensors[2].scales = [1 / 256]
    subject, _ = looked_into(model, tmp_path)
    assert subject.family is not None
    assert (subject.family.name, subject.family.classes) == ("classifier", 5)
    model.tensors[2].scales = [0.7]  # no probabilities
    assert looked_into(model, tmp_path)[0].family is None


# What Ultralytics writes


@pytest.mark.parametrize("name", ["metadata.json", "temp_meta.txt", "meta.txt"])
def test_a_file_that_says_all_about_itself_lacks_no_metadata(tmp_path: Path, name: str) -> None:
    subject, findings = looked_into(told(network([(1, 6, 8400)]), {**TOLD, "names": {0: "fire", 1: "smoke"}}, name), tmp_path)
    assert findings == []
    assert subject.file.ultralytics is not None
    assert subject.file.ultralytics.size == (640, 640)
    assert [(each.lines, each.packed) for each in subject.labels] == [(["fire", "smoke"], True)]


def test_the_same_among_the_models_metadata(tmp_path: Path) -> None:
    model = network([(1, 6, 8400)])
    model.metadata, model.metadata_bytes = None, json.dumps(TOLD).encode()
    subject, findings = looked_into(model, tmp_path)
    assert (subject.family and subject.family.name, findings) == ("YOLO11n", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a text",
        "{",
        "{'names': __import__('os')}",
        '{"names": {"0": "cat"}}',  # of another tool
        json.dumps({**TOLD, "names": {"0": "fire", "2": "smoke"}}),
        json.dumps({**TOLD, "names": {}}),
        "{" + "[" * 100_000,
        "[1, 2]",
    ],
)
def test_texts_of_others_are_no_metadata_of_theirs(text: str) -> None:
    assert read_ultralytics(text) is None


def test_names_in_a_list_count_too() -> None:
    read = read_ultralytics(json.dumps({**TOLD, "names": ["a", "b"], "imgsz": 640}))
    assert read is not None
    assert (read.names, read.size, read.task, read.model) == (["a", "b"], None, "detect", "YOLO11n")


def test_what_ultralytics_calls_int8_is_no_lie(tmp_path: Path) -> None:
    model = told(network([(1, 6, 8400)]))
    model.tensors[1].dtype = "int8"
    _, [finding] = looked_into(model, tmp_path, "best_int8.tflite")
    assert (finding.id, finding.severity) == ("dynamic-range", Severity.NOTE)
    assert finding.evidence.endswith("Ultralytics calls such a file int8, and one that computes in integers full_integer_quant")
    model.tensors[1].dtype = "float32"
    assert [each.id for each in looked_into(model, tmp_path, "best_int8.tflite")[1]] == ["not-int8"]


# Pixels


def test_a_yolo_calibrated_with_imagenets_mean_and_std(tmp_path: Path) -> None:
    model = quantized(told(network([(1, 6, 8400)])), 0.01865844801068306, -14)
    _, [finding] = looked_into(model, tmp_path)
    assert (finding.id, finding.severity) == ("input-range", Severity.ERROR)
    assert finding.evidence == (
        "int8, scale 0.018658 at zero point -14: pixels from -2.13 to 2.63, as ImageNet's mean and std make them; "
        "YOLO11n is trained with 0 to 1, which uses 55 of 256 codes"
    )
    assert "calibrate with the pixels that the network takes, pixel / 255 for YOLO11n" in finding.remedy


@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 255, -128), (1.0, -128)], ids=["0 to 1", "0 to 255"])
def test_a_yolo_calibrated_rightly_is_clean(tmp_path: Path, scale: float, zero_point: int) -> None:
    assert looked_into(quantized(told(network([(1, 6, 8400)])), scale, zero_point), tmp_path)[1] == []


def test_a_yolo_known_by_its_shape_alone(tmp_path: Path) -> None:
    _, [finding] = looked_into(quantized(network([(1, 6, 8400)]), IMAGENET, -14), tmp_path)
    assert (finding.id, finding.severity) == ("input-range", Severity.ERROR)
    _, [finding] = looked_into(quantized(network([(1, 6, 8400)]), 2 / 255, -1), tmp_path)  # somebody may have trained it so
    assert (finding.id, finding.severity) == ("input-range-odd", Severity.WARNING)
    assert "pixels from -1 to 1; networks like this one take 0 to 1, 0 to 255" in finding.evidence


def test_a_yolo_that_says_so_calibrated_with_an_ssds_pixels(tmp_path: Path) -> None:
    _, [finding] = looked_into(quantized(told(network([(1, 6, 8400)])), 2 / 255, -1), tmp_path)
    assert (finding.id, finding.severity) == ("input-range", Severity.ERROR)
    assert finding.evidence.endswith("pixels from -1 to 1; YOLO11n is trained with 0 to 1, which uses 128 of 256 codes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: network([(1, 9)], last=SOFTMAX),  # classifiers are trained with all kinds of pixels
        lambda: network([(1, 8400, 85)]),
        lambda: network([(1, 257, 257, 21)], size=(1, 257, 257, 3)),
        lambda: network([(1, 9)]),
    ],
)
def test_pixels_of_networks_that_differ_are_not_judged(tmp_path: Path, make: Callable[[], Model]) -> None:
    for scale, zero_point in ((IMAGENET, -14), (1 / 255, -128), (2 / 255, -1), (0.0067, -1)):
        assert looked_into(quantized(make(), scale, zero_point), tmp_path)[1] == []


def test_an_odd_range_of_a_known_network(tmp_path: Path) -> None:
    _, [finding] = looked_into(quantized(network([(1, 1, 17, 3)]), 0.5, -128), tmp_path)
    assert (finding.id, finding.severity) == ("input-range-odd", Severity.WARNING)
    assert "pixels from 0 to 127.5; networks like this one take 0 to 255" in finding.evidence


def test_an_ssd_with_imagenets_pixels_is_odd_unless_its_boxes_are_efficientdets(tmp_path: Path) -> None:
    model = files.detector()
    model.tensors[1].scales, model.tensors[1].zero_point = [IMAGENET], -14
    model.metadata = Metadata(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    model.options.update(y_scale=1.0, x_scale=1.0)
    assert looked_into(model, tmp_path)[1] == []
    model.options.update(y_scale=10.0, x_scale=10.0)
    _, [finding] = looked_into(model, tmp_path)
    assert (finding.id, finding.severity) == ("input-range-odd", Severity.WARNING)
    assert finding.evidence.endswith("networks like this one take -1 to 1, -123.68 to 151.06, 0 to 255")


# Class names


def _beside(folder: Path, names: str) -> None:
    (folder / "labels.txt").write_text(names)


CLASSES = "".join(f"{number} thing {number}\n" for number in range(9))


def test_a_classifiers_outputs_and_names_are_counted(tmp_path: Path) -> None:
    model = network([(1, 9)], last=SOFTMAX)
    _beside(tmp_path, CLASSES)
    _, [finding] = looked_into(model, tmp_path)
    assert (finding.id, finding.severity) == ("labels-beside", Severity.NOTE)
    assert finding.evidence == f"{tmp_path}/labels.txt has 9; the file has none"
    _beside(tmp_path, "background\na\nb\nc\n")
    _, findings = looked_into(model, tmp_path)
    assert [(each.id, each.severity) for each in findings] == [
        ("labels-length", Severity.ERROR),
        ("labels-beside", Severity.NOTE),
    ]
    assert findings[0].evidence == f"{tmp_path}/labels.txt has 4 names for 9 classes"


def test_names_that_lie_beside_a_classifier_may_be_anothers(tmp_path: Path) -> None:
    model = network([(1, 3)], last=SOFTMAX)
    _beside(tmp_path, CLASSES)
    assert [(each.id, each.severity) for each in looked_into(model, tmp_path)[1]] == [
        ("labels-beside", Severity.NOTE),
        ("labels-length", Severity.NOTE),
    ]
    findings = examine(look_into(tmp_path / "net.tflite", tmp_path / "labels.txt"))
    assert [(each.id, each.severity) for each in findings] == [
        ("labels-length", Severity.WARNING),
        ("labels-beside", Severity.NOTE),
    ]


def test_a_background_that_a_classifier_has_is_a_class(tmp_path: Path) -> None:
    _beside(tmp_path, "background\na\nb\n")
    assert [each.id for each in looked_into(network([(1, 3)], last=SOFTMAX), tmp_path)[1]] == ["labels-beside"]
    findings = looked_into(network([(1, 2)], last=SOFTMAX), tmp_path)[1]
    assert [(each.id, each.severity) for each in findings] == [
        ("labels-offset", Severity.WARNING),
        ("labels-beside", Severity.NOTE),
    ]
    assert "--fix" not in findings[0].remedy


@pytest.mark.parametrize(("names", "fits"), [("a\n", True), ("a\nb\n", True), ("a\nb\nc\n", False)])
def test_a_single_probability_has_one_name_or_two(tmp_path: Path, names: str, fits: bool) -> None:
    _beside(tmp_path, names)
    findings = looked_into(network([(1, 1)], last=LOGISTIC), tmp_path)[1]
    assert ("labels-length" not in [each.id for each in findings]) is fits


@pytest.mark.parametrize(("names", "fits"), [("b\nx\ny\nz\n", True), ("x\ny\nz\n", True), ("x\ny\n", False)])
def test_fomos_background_needs_no_name(tmp_path: Path, names: str, fits: bool) -> None:
    _beside(tmp_path, names)
    findings = looked_into(network([(1, 12, 12, 4)], size=(1, 96, 96, 3), last=SOFTMAX), tmp_path)[1]
    assert ("labels-length" not in [each.id for each in findings]) is fits


def test_fomos_background_is_no_shift(tmp_path: Path) -> None:
    _beside(tmp_path, "background\nx\ny\nz\nanother\n")
    findings = looked_into(network([(1, 12, 12, 4)], size=(1, 96, 96, 3), last=SOFTMAX), tmp_path)[1]
    assert [(each.id, each.severity) for each in findings] == [("labels-beside", Severity.NOTE), ("labels-length", Severity.NOTE)]


def test_yolos_packed_names_are_counted(tmp_path: Path) -> None:
    _, [finding] = looked_into(told(network([(1, 84, 8400)])), tmp_path)
    assert (finding.id, finding.severity) == ("labels-length", Severity.ERROR)
    assert finding.evidence == "Ultralytics' metadata in the file has 2 names for 80 classes"


def test_given_names_are_never_silently_unused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a\nb\n")
    path = network([(1, 20)]).written(tmp_path / "net.tflite")
    [finding] = examine(look_into(path, tmp_path / "mine.txt"))
    assert (finding.id, finding.severity) == ("labels-unused", Severity.NOTE)
    assert finding.evidence == f"{tmp_path}/mine.txt has 2 names; nothing says which outputs they name (shapes: [1, 20])"
    _beside(tmp_path, "a\nb\n")
    assert examine(look_into(path)) == []


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["0 cardboard", "1 glass"], ["cardboard", "glass"]),
        (["0  person", "2  car"], ["person", "???", "car"]),
        (["0: a", "1: b c"], ["a", "b c"]),
        (["1 euro", "2 euro"], None),
        (["0 a", "glass"], None),
        (["0 a", "0 b"], None),
        (["0 a", "99999 b"], None),
        (["0", "1"], None),
        ([], None),
    ],
)
def test_numbers_before_names(lines: list[str], names: list[str] | None) -> None:
    assert without_numbers(lines) == names


# Remedies


def test_no_remedy_promises_a_repair_that_is_refused(tmp_path: Path) -> None:
    makers = [*(make for *_, make in FAMILIES), files.raw, files.plain, files.without_tensors]
    for make in makers:
        model = make()
        model.metadata, model.signatures = None, []
        subject, findings = looked_into(model, tmp_path)
        assert not subject.repairable
        assert [each.id for each in findings if "--fix OUT" in each.remedy or each.fix] == []
