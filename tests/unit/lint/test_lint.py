"""What lint finds in .tflite files: for each finding a file that has it and nothing else, and files that have none."""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.lint.examine import examine, look_into
from litekiln.lint.findings import TITLES, Finding, Severity
from tests.helpers import tflite_files as files
from tests.helpers.tflite_files import MUL, OUTPUTS, POSTPROCESS, Metadata, Model, Operator, Tensor

Change = Callable[[Model], object]
GOOD: dict[str, Callable[[], Model]] = {
    "int8": files.detector,
    "float32": files.floating,
    "int16x8": lambda: files.of_types(files.detector(), "float32", "int16", "int8"),
    "made by ordinary operators": files.named,
    "no detector": files.plain,
}
NOTED: dict[str, tuple[Callable[[], Model], str]] = {
    "without a signature, as TF1's converter makes them": (lambda: _changed(_without("signatures", [])), "signature-missing"),
    "signed by TF2's exporter": (lambda: files.signed(files.detector(), ("a", "b", "c", "d")), "signature-names"),
    "of which the converter left the outputs' shapes out": (lambda: _changed(_without_shapes), "output-shape"),
    "bytes in, without metadata": (lambda: _changed(_int8_in_without_metadata), "metadata-missing"),
    "int8-io": (lambda: files.of_types(files.detector(), "uint8", "int8", "int8"), "uint8-input"),
    "int8-raw": (files.raw, "no-postprocess"),
    "dynamic": (lambda: files.floating("int8"), "dynamic-range"),
    "float16": (lambda: files.floating("float16"), "float16-weights"),
    "uint8-qat": (lambda: files.of_types(files.detector(), "uint8", "uint8", "uint8"), "uint8-inside"),
}


def _changed(change: Change) -> Model:
    model = files.detector()
    change(model)
    return model


def _without_shapes(model: Model) -> None:
    for place in range(7, 11):
        model.tensors[place].shape = []


def _int8_in_without_metadata(model: Model) -> None:
    files.of_types(model, "int8", "int8", "int8")
    model.metadata = None


def found(model: Model, folder: Path, name: str = "detect.tflite", labels: Path | None = None) -> list[Finding]:
    return examine(look_into(model.written(folder / name), labels))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_is_clean(tmp_path: Path, name: str) -> None:
    assert found(GOOD[name](), tmp_path) == []


@pytest.mark.parametrize("name", NOTED)
def test_a_good_file_of_which_something_is_worth_knowing(tmp_path: Path, name: str) -> None:
    make, expected = NOTED[name]
    assert [(each.id, each.severity) for each in found(make(), tmp_path)] == [(expected, Severity.NOTE)]


# What is wrong with a detector


def _set(place: int, **values: object) -> Change:
    def change(model: Model) -> None:
        for name, value in values.items():
            setattr(model.tensors[place], name, value)

    return change


def _reordered(model: Model) -> None:
    """As TF2's converter likes to have it: by tensor number all is well."""
    model.outputs = [9, 7, 10, 8]
    files.signed(model, ("scores", "boxes", "count", "classes"))
    model.metadata = Metadata(outputs=("score", "location", "number of detections", "category"))


def _renumbered(model: Model) -> None:
    """The right order, wrong numbers."""
    tensors = model.tensors
    tensors[7], tensors[8] = tensors[8], tensors[7]
    model.outputs = model.operators[-1].outputs = [8, 7, 9, 10]
    files.signed(model)


def _fewer_outputs(model: Model) -> None:
    model.outputs = [7, 8, 9]
    files.signed(model, OUTPUTS[:3])
    _metadata(outputs=("location", "category", "score"))(model)


def _other_output(model: Model) -> None:
    """The scores of all anchors instead of the count."""
    model.outputs = [7, 8, 9, 5]
    files.signed(model)


def _twice(model: Model) -> None:
    model.operators.append(Operator(POSTPROCESS, [4, 5, 6], [7, 8, 9, 10]))


def _unnamed(model: Model) -> None:
    model.operators[-1].kind = files.RESHAPE
    model.signatures = []
    assert model.metadata
    model.metadata.outputs = ("a", "b", "c", "d")
    for place, name in zip(range(7, 11), "abcd", strict=True):
        model.tensors[place].name = name


def _two_inputs(model: Model) -> None:
    model.tensors.append(Tensor("mask", "float32", (1, 48, 64, 1)))
    model.inputs.append(len(model.tensors) - 1)


def _normalised_inside(model: Model) -> None:
    """The graph itself makes -1 to 1 of pixels; metadata says the program has to."""
    files.of_types(model, "float32", "float32", "float32")
    model.tensors += [
        Tensor("factor", "float32", (), data=struct.pack("<f", 1 / 127.5)),
        Tensor("shift", "float32", (1,), data=struct.pack("<f", -1.0)),
        Tensor("scaled", "float32", (1, 48, 64, 3)),
    ]
    model.operators[:1] = [Operator(MUL, [0, 11], [13]), Operator(files.ADD, [13, 12], [1])]


def _bytes_from_0_to_1(model: Model) -> None:
    files.of_types(model, "uint8", "int8", "int8")
    _set(0, scales=[1 / 255], zero_point=0)(model)


def _custom(name: str) -> Change:
    return lambda model: model.operators.insert(0, Operator(name, [0], [1]))


def _metadata(**values: object) -> Change:
    def change(model: Model) -> None:
        for name, value in values.items():
            setattr(model.metadata, name, value)

    return change


def _labels(text: str) -> Change:
    return lambda model: model.packed.update({files.LABELS: text})


def _float_with(mean: float, std: float) -> Change:
    def change(model: Model) -> None:
        files.of_types(model, "float32", "float32", "float32")
        _metadata(mean=[mean], std=[std])(model)

    return change


def _without(name: str, value: object = None) -> Change:
    return lambda model: setattr(model, name, value)


def _no_labels(model: Model) -> None:
    model.packed = {}
    _metadata(label_file="")(model)


SIGNED_WRONGLY = dict(zip(("boxes", "scores", "classes", "count"), (7, 8, 9, 10), strict=True))
# id of the finding: [(what is changed, how bad it is, what is said)]; every one is the only finding of its file, notes aside
BAD: dict[str, list[tuple[Change, str, str]]] = {
    "several-postprocess": [(_twice, "error", "2 PostProcess operators, but a detector has one")],
    "output-ports": [
        (_fewer_outputs, "error", "the outputs are tensors 7, 8, 9, the PostProcess operator gives 7, 8, 9, 10"),
        (_other_output, "error", "the outputs are tensors 7, 8, 9, 5, the PostProcess operator gives 7, 8, 9, 10"),
    ],
    "output-order": [
        (
            _reordered,
            "warning",
            "they are scores, boxes, count, classes; programs that go by position expect boxes, classes, scores, count",
        )
    ],
    "output-indices": [
        (_renumbered, "warning", "tensor numbers: boxes 8, classes 7, scores 9, count 10; tools that sort by number")
    ],
    "output-shape": [
        (_set(7, shape=[0]), "error", "boxes [0]: the converter was too old for this export (before TensorFlow 2.4)"),
        (_set(9, shape=[1, 6]), "warning", "the file states scores [1, 6] instead of [1, 5]"),
    ],
    "output-constant": [
        (
            lambda model: model.operators.pop(),
            "error",
            "no operator writes boxes, scores: it is the same for every picture",
        ),
    ],
    "outputs-unnamed": [(_unnamed, "warning", "the outputs are called a, b, c, d")],
    "signature-contradicts": [
        (
            _without("signatures", [("serving_default", {"image": 0}, SIGNED_WRONGLY)]),
            "error",
            "it gives the classes the name scores; it gives the scores the name classes",
        ),
        (
            _without("signatures", [("x", {"image": 0}, {"boxes": 7})]),
            "error",
            "it names outputs 7, but the file's are 7, 8, 9, 10 (numbers of tensors)",
        ),
        (
            _without("signatures", [("x", {"image": 1 << 31}, dict(SIGNED_WRONGLY))]),
            "error",
            "it names inputs 2147483648, but the file's are 0 (numbers of tensors)",
        ),
        (
            _without("signatures", [("x", {"image": 3}, {"boxes": 7})]),
            "error",
            "it names inputs 3, but the file's are 0 (numbers of tensors); it names outputs 7, but",
        ),
    ],
    "input-range": [
        (
            _set(1, scales=[1 / 255], zero_point=-128),
            "error",
            "int8, scale 0.003922 at zero point -128: pixels from 0 to 1; an SSD is",
        ),
        (_bytes_from_0_to_1, "error", "uint8, scale 0.003922 at zero point 0: pixels from 0 to 1; an SSD is trained with -1 to 1"),
    ],
    "input-range-odd": [
        (
            _set(1, scales=[1.7 / 255], zero_point=-1),
            "error warning",
            "int8, scale 0.006667 at zero point -1: pixels from -0.85 to 0.85; networks like this one take -1 to 1, -2.12 to 2.64",
        )
    ],
    "several-inputs": [(_two_inputs, "error", "2 inputs (image, mask), but a detector takes one picture")],
    "input-shape": [
        (_set(0, shape=[1, 48, 64, 1]), "warning", "it takes [1, 48, 64, 1]: one channel, so grey pictures"),
        (_set(0, shape=[1, 48, 64, 4]), "warning", "it takes [1, 48, 64, 4], expected [1, height, width, 3]"),
        (_set(0, shape=[1, 3, 48, 64]), "warning", "expected [1, height, width, 3]: channels first, as PyTorch has them"),
    ],
    "batch-size": [(_set(0, shape=[4, 48, 64, 3]), "warning", "it takes [4, 48, 64, 3]: 4 pictures at once")],
    "dynamic-shapes": [
        (_set(0, stated=[1, -1, -1, 3]), "warning", "input image has shape [1, -1, -1, 3]"),
        (_set(0, stated=[-1, 48, -1, 3]), "warning", "input image has shape [-1, 48, -1, 3]"),
        (_set(10, stated=[-1]), "warning", "output count has shape [-1]"),
    ],
    "several-subgraphs": [(_without("graphs", 2), "warning", "2 graphs: it has branches or loops, which can't be checked here")],
    "flex-ops": [(_custom("FlexErf"), "error", "it has FlexErf")],
    "custom-ops": [
        (_custom("TheirOwn"), "warning", "it has TheirOwn, which are not built into TFLite"),
        (_custom("edgetpu-custom-op"), "warning", "it has edgetpu-custom-op: it only runs on a Coral Edge TPU, for which it was"),
        (_custom("ethos-u"), "warning", "it has ethos-u: it only runs on an Arm Ethos-U NPU, for which Vela compiled it"),
        (_custom("NeutronGraph"), "warning", "it has NeutronGraph: it only runs on NXP's eIQ Neutron NPU"),
        (_custom("Convolution2DTransposeBias"), "warning", "it has Convolution2DTransposeBias: it only runs in MediaPipe"),
        (_custom("tftext:FastWordpieceTokenize"), "warning", "it only runs with TensorFlow Text's operators"),
    ],
    "classes-per-detection": [
        (
            lambda model: (
                model.options.update(max_classes_per_detection=3),
                [_set(each, shape=shape)(model) for each, shape in FIFTEEN],
            ),
            "warning",
            "max_classes_per_detection is 3: each box comes up to 3 times",
        )
    ],
    "class-width": [
        (_set(5, shape=[1, 20, 91]), "error", "the PostProcess operator expects 3 classes, but gets 91 scores for each box"),
    ],
    "labels-missing": [(_no_labels, "warning", "none in the file, none in its folder (labelmap.txt, labels.txt)")],
    "labels-offset": [
        (
            _labels("???\ncat\ndog\nbird\n"),
            "error",
            "labelmap.txt in the file begins with '???' (4 names for 3 classes), but the model's first class is 0",
        ),
        (_labels("background\ncat\ndog\n"), "warning", "begins with 'background' (3 names for 3 classes): either class 0 is the"),
    ],
    "labels-length": [
        (_labels("cat\ndog\n"), "error", "labelmap.txt in the file has 2 names for 3 classes"),
        (_labels("???\ncat\ndog\nbird\nfish\n"), "warning", "labelmap.txt in the file has 5 names for 3 classes"),
        (_labels("background\ncat\n"), "error", "labelmap.txt in the file has 2 names for 3 classes"),
        (_labels("cat\ndog\nbird\nfish\n\n"), "warning", "labelmap.txt in the file has 4 names for 3 classes"),
    ],
    "labels-not-associated": [
        (_metadata(label_file=""), "warning", "labelmap.txt is in the file, but no output names it as its label file"),
        (_metadata(label_file="names.txt"), "warning", "it names names.txt, which isn't in the file"),
    ],
    "metadata-missing": [
        (_without("metadata"), "warning", "the file doesn't say how pixels are normalised, what its outputs mean or how its"),
    ],
    "metadata-unreadable": [
        (_without("metadata_bytes", b"\xff" * 64), "warning", "it could not be read: an offset points outside the file"),
    ],
    "metadata-outputs": [
        (
            _metadata(outputs=("location", "score", "category", "number of detections")),
            "error",
            "it gives the classes the name score, it gives the scores the name category",
        ),
        (_metadata(outputs=("location", "category")), "warning", "it describes 2 outputs, but the file has 4"),
    ],
    "normalisation-missing": [
        (lambda model: _float_with(0, 1)(model) or _metadata(mean=[], std=[])(model), "warning", "it has no mean and no std"),
    ],
    "normalisation-contradicts": [
        (_metadata(mean=[0], std=[255]), "error", "mean 0, std 255: pixels from 0 to 1; the input's scale stands for -1 to 1"),
        (_float_with(0, 255), "error", "mean 0, std 255: pixels from 0 to 1; an SSD is trained with -1 to 1"),
        (_metadata(std=[0]), "error", "mean 127.5, std 0: expected one of each or three, and no std of 0"),
        (_metadata(mean=[1, 2]), "error", "mean 1, 2, std 127.5: expected one of each or three"),
        (_normalised_inside, "error", "pixels from -1 to 1; but the graph itself turns pixels from 0 to 255 into -1 to 1"),
        (
            lambda model: _set(1, scales=[1.0], zero_point=-128)(model),
            "error",
            "mean 127.5, std 127.5: pixels from -1 to 1; the input's scale stands for 0 to 255",
        ),
    ],
}
FIFTEEN = ((7, (1, 15, 4)), (8, (1, 15)), (9, (1, 15)))
ALONGSIDE = {  # what can't be had without a second finding
    "input-range": {"normalisation-contradicts"},
    "input-range-odd": {"normalisation-contradicts"},
}
CASES = [(name, place) for name, cases in BAD.items() for place in range(len(cases))]


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_file_is_found_wrong_for_its_own_reason(tmp_path: Path, name: str, place: int) -> None:
    change, severity, evidence = BAD[name][place]
    model = files.detector()
    change(model)
    told = [each for each in found(model, tmp_path) if each.severity > Severity.NOTE]
    [finding] = [each for each in told if each.id == name]
    assert evidence in finding.evidence
    assert finding.severity.word in severity
    assert finding.remedy
    assert {each.id for each in told} - {name} <= ALONGSIDE.get(name, set())


def test_an_open_number_of_pictures_is_only_a_note(tmp_path: Path) -> None:
    """Keras, Teachable Machine and Model Maker leave it open; every interpreter takes one picture."""
    model = files.plain()
    _set(0, stated=[-1, 48, 64, 3])(model)
    [finding] = found(model, tmp_path)
    assert (finding.id, finding.severity) == ("dynamic-shapes", Severity.NOTE)
    assert finding.evidence == (
        "input image has shape [-1, 48, 64, 3]: only the number of pictures is open, which is 1 unless a program asks for more"
    )
    _set(8, stated=[-1, 5])(model)
    [finding] = found(model, tmp_path)
    assert (finding.severity, "[-1, 48, 64, 3], and 1 more: only" in finding.evidence) == (Severity.NOTE, True)
    _set(8, stated=[-1, -1])(model)
    [finding] = found(model, tmp_path)
    assert finding.severity is Severity.WARNING


def test_a_network_for_grey_pictures_is_told(tmp_path: Path) -> None:
    model = files.plain()
    _set(0, shape=[1, 28, 28, 1])(model)
    [finding] = found(model, tmp_path)
    assert (finding.id, finding.severity) == ("input-shape", Severity.NOTE)
    assert finding.evidence == "it takes [1, 28, 28, 1]: one channel, so grey pictures"


def _ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


@pytest.mark.parametrize(
    "claim",
    [
        "net_int8.tflite",
        "net_full_quant.tflite",
        "net_integer_quant.tflite",
        "uint8.tflite",
        "lightweight_int8.tflite",
        "LightWeight-int8.tflite",
        "weighted_int8.tflite",
    ],
)
def test_a_name_that_says_int8_of_a_float_file(tmp_path: Path, claim: str) -> None:
    [finding] = found(files.floating("int8"), tmp_path, claim)
    assert (finding.id, finding.severity) == ("not-int8", Severity.WARNING)
    assert finding.evidence == f"'{claim}' says quantized, but convolutions compute in float32 (weights int8)"
    assert found(files.detector(), tmp_path, claim) == []


@pytest.mark.parametrize(
    "honest",
    ["int8_weights.tflite", "weight_quant.tflite", "net-weight-only-int8.tflite", "int8weights.tflite", "net_dynamic_int8.tflite"],
)
def test_a_name_that_says_which_part_is_int8(tmp_path: Path, honest: str) -> None:
    assert _ids(found(files.floating("int8"), tmp_path, honest)) == ["dynamic-range"]


@pytest.mark.parametrize(
    "opposite",
    [
        "model_unquant.tflite",
        "Model-Unquantized.tflite",
        "non_quant.tflite",
        "not-quantized.tflite",
        "noquant.tflite",
        "pre_quant.tflite",
    ],
)
def test_a_name_that_says_the_opposite_is_no_claim(tmp_path: Path, opposite: str) -> None:
    assert found(files.floating(), tmp_path, opposite) == []
    assert _ids(found(files.floating(), tmp_path, f"int8_{opposite}")) == ["not-int8"]


def test_a_name_that_says_quantized_of_packed_weights_is_right(tmp_path: Path) -> None:
    """TensorFlow's own tutorials call files of 8-bit and of 16-bit weights so."""
    assert _ids(found(files.floating("int8"), tmp_path, "mnist_model_quant.tflite")) == ["dynamic-range"]
    assert _ids(found(files.floating("float16"), tmp_path, "mnist_model_quant_f16.tflite")) == ["float16-weights"]
    assert _ids(found(files.floating(), tmp_path, "mnist_model_quant.tflite")) == ["not-int8"]


def test_metadata_that_says_int8_of_a_float_file(tmp_path: Path) -> None:
    model = files.floating()
    _metadata(name="ssd_v2_quant")(model)  # the model's name, which has other variants too
    assert found(model, tmp_path) == []
    _metadata(description="fully quantized")(model)
    assert [each.evidence for each in found(model, tmp_path)] == [
        "'fully quantized' says quantized, but convolutions compute in float32 (weights float32)"
    ]
    _metadata(description="dynamic range quantized")(model)
    assert found(model, tmp_path) == []


def test_what_dynamic_range_and_float16_files_are_told(tmp_path: Path) -> None:
    [dynamic] = found(files.floating("int8"), tmp_path)
    assert dynamic.evidence == "weights are int8, activations float32: a smaller file, not integer arithmetic"
    [half] = found(files.floating("float16"), tmp_path)
    assert half.evidence == "weights are float16 and become float32 when it is loaded: half the file size, the speed of float32"


def test_uint8_by_the_old_scheme_and_by_the_new(tmp_path: Path) -> None:
    [old] = found(files.of_types(files.detector(), "uint8", "uint8", "uint8"), tmp_path)
    assert old.evidence == "convolutions compute in uint8, the scheme of TensorFlow 1; input uint8"
    [new] = found(files.of_types(files.detector(), "uint8", "int8", "int8"), tmp_path)
    assert new.evidence == "input uint8, convolutions in int8, with a QUANTIZE between them"


def test_what_is_said_of_outputs_that_the_converter_left_open(tmp_path: Path) -> None:
    [finding] = found(_changed(_without_shapes), tmp_path)
    assert finding.evidence == (
        "the file states boxes [] instead of [1, 5, 4], classes [] instead of [1, 5], scores [] instead of [1, 5], "
        "count [] instead of [1]: converters leave them out, and interpreters find them when they load the file"
    )
    assert finding.remedy.startswith("nothing, unless a program reserves memory before it loads the file")


def test_what_a_network_without_convolutions_computes_with(tmp_path: Path) -> None:
    model = files.plain()
    model.operators[1].kind = files.FULLY
    [finding] = found(model, tmp_path, "net_int8.tflite")
    assert finding.evidence == "'net_int8.tflite' says quantized, but fully connected layers compute in float32 (weights float32)"


def test_operators_of_several_runtimes_are_told_apart(tmp_path: Path) -> None:
    model = files.detector()
    for name in ("ethos-u", "TheirOwn", "MaxUnpooling2D", "MaxPoolingWithArgmax2D"):
        _custom(name)(model)
    told = [each for each in found(model, tmp_path) if each.id == "custom-ops"]
    assert [each.evidence.partition(":")[0] for each in told] == [
        "it has MaxPoolingWithArgmax2D, MaxUnpooling2D",
        "it has ethos-u",
        "it has TheirOwn, which are not built into TFLite",
    ]
    assert told[1].remedy == "elsewhere take the file that it was compiled from; this one can't be turned back"


def test_raw_outputs_are_told_as_what_they_are(tmp_path: Path) -> None:
    [finding] = found(files.raw(), tmp_path)
    assert finding.evidence == "it gives box_encodings and class_predictions, which are not boxes yet"


# Labels beside the file


def test_labels_beside_the_file_are_looked_at_and_told(tmp_path: Path) -> None:
    model = files.detector()
    _no_labels(model)
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\n")
    [finding] = found(model, tmp_path)
    assert (finding.id, finding.severity) == ("labels-beside", Severity.NOTE)
    assert finding.evidence == f"{tmp_path}/labels.txt has 3; the file has none"
    (tmp_path / "labelmap.txt").write_text("???\ncat\ndog\nbird\n")  # looked for first
    offset, beside = found(model, tmp_path)
    assert (offset.id, offset.severity, beside.id) == ("labels-offset", Severity.WARNING, "labels-beside")
    assert offset.evidence == (
        f"{tmp_path}/labelmap.txt begins with '???' (4 names for 3 classes), but the model's first class is 0; "
        "right only with programs that add 1"
    )


def test_labels_beside_the_file_that_contradict_it(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("cat\ndog\nbird\n")
    assert found(files.detector(), tmp_path) == []
    (tmp_path / "labelmap.txt").write_text("cat\nbird\ndog\n")
    [finding] = found(files.detector(), tmp_path)
    assert (finding.id, finding.severity) == ("labels-differ", Severity.WARNING)
    assert finding.evidence == f"labelmap.txt in the file: cat, dog, bird; {tmp_path}/labelmap.txt: cat, bird, dog"


def test_a_packed_label_file_that_lies_beside_too_is_told_once(tmp_path: Path) -> None:
    model = files.detector()
    _labels("???\ncat\ndog\nbird\n")(model)
    (tmp_path / "labelmap.txt").write_text("???\ncat\ndog\nbird\n")
    assert [(each.id, each.severity) for each in found(model, tmp_path)] == [("labels-offset", Severity.ERROR)]


def test_the_same_names_behind_a_background_do_not_differ(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("???\ncat\ndog\nbird\n")
    assert [(each.id, each.severity) for each in found(files.detector(), tmp_path)] == [("labels-offset", Severity.WARNING)]


def test_labels_that_are_given_count_instead_of_those_beside(tmp_path: Path) -> None:
    model = files.detector()
    _no_labels(model)
    (tmp_path / "labelmap.txt").write_text("too few\n")
    given = tmp_path / "mine.pbtxt"
    given.write_text("item { id: 1 name: 'cat' } item { id: 2 name: 'dog' } item { id: 3 name: 'bird' }")
    assert _ids(found(model, tmp_path, labels=given)) == ["labels-beside"]


def test_a_first_class_that_was_never_used(tmp_path: Path) -> None:
    model, given = files.detector(), tmp_path / "mine.pbtxt"
    _labels("???\ndog\nbird\n")(model)
    assert found(model, tmp_path) == []
    given.write_text("item { id: 2 name: 'dog' } item { id: 3 name: 'bird' }")
    assert found(model, tmp_path, labels=given) == []
    _labels("???\n???\ndog\nbird\n")(model)
    [finding] = found(model, tmp_path)
    assert (finding.id, finding.fix) == ("labels-offset", True)
    assert "begins with '???' (4 names for 3 classes), but the model's first class is 0" in finding.evidence


def test_coco_s_eighty_names_are_known(tmp_path: Path) -> None:
    model = files.detector()
    model.options["num_classes"] = 90
    _set(5, shape=[1, 20, 91])(model)
    _labels("thing\n" * 80)(model)
    [finding] = found(model, tmp_path)
    assert finding.evidence.endswith("has 80 names for 90 classes; COCO's 80 names without the 10 ids that were never used")


# What is no detector is told nothing that only holds for detectors


@pytest.mark.parametrize("change", [_two_inputs, _without("signatures", []), _float_with(0, 255)])
def test_a_plain_network_may_do_what_a_detector_may_not(tmp_path: Path, change: Change) -> None:
    model = files.plain()
    change(model)
    assert found(model, tmp_path) == []


def test_a_plain_network_calibrated_from_0_to_1_may_be_right(tmp_path: Path) -> None:
    model = files.of_types(files.plain(), "uint8", "int8", "int8")
    _set(0, scales=[1 / 255], zero_point=0)(model)
    _metadata(mean=[0], std=[255])(model)
    assert _ids(found(model, tmp_path)) == ["uint8-input"]


def test_a_plain_network_without_metadata_is_only_a_note(tmp_path: Path) -> None:
    model = files.plain()
    model.metadata = None
    [finding] = found(model, tmp_path)
    assert (finding.id, finding.severity) == ("metadata-missing", Severity.NOTE)


def test_a_plain_network_whose_metadata_contradicts_its_scale(tmp_path: Path) -> None:
    model = files.of_types(files.plain(), "float32", "int8", "int8")
    _metadata(mean=[0], std=[255])(model)
    assert _ids(found(model, tmp_path)) == ["normalisation-contradicts"]


# Detectors that are known by something else


def test_a_raw_ssd_calibrated_from_0_to_1(tmp_path: Path) -> None:
    model = files.raw()
    _set(0, scales=[1 / 255], zero_point=-128)(model)
    assert _ids(found(model, tmp_path)) == ["input-range", "no-postprocess"]


def test_outputs_known_by_their_names_alone(tmp_path: Path) -> None:
    model = files.named()
    model.metadata, model.signatures, model.outputs = None, [], [9, 7, 10, 8]
    model.packed = {"labels.txt": "cat\ndog\n"}
    assert _ids(found(model, tmp_path)) == ["output-order", "metadata-missing", "signature-missing"]


def test_pixels_as_efficientdet_takes_them_are_no_finding(tmp_path: Path) -> None:
    model = files.detector()
    _set(1, scales=[(2.64 + 2.118) / 255], zero_point=-14)(model)
    _metadata(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])(model)
    assert found(model, tmp_path) == []


def test_int16_is_symmetric_so_only_its_larger_end_is_compared(tmp_path: Path) -> None:
    model = files.of_types(files.detector(), "float32", "int16", "int8")
    _metadata(mean=[0], std=[255])(model)
    assert found(model, tmp_path) == []
    _metadata(mean=[0], std=[1])(model)
    assert _ids(found(model, tmp_path)) == ["normalisation-contradicts"]


def test_a_graph_that_normalises_by_itself_with_metadata_that_knows(tmp_path: Path) -> None:
    model = files.detector()
    _normalised_inside(model)
    _metadata(mean=[0], std=[1])(model)
    assert found(model, tmp_path) == []


def test_two_outputs_that_are_one_tensor(tmp_path: Path) -> None:
    """Found by fuzzing: by its names it is a detector, and has no PostProcess operator to compare with."""
    model = files.named()
    model.outputs, model.signatures = [7, 8, 9, 9], []
    [finding] = [each for each in found(model, tmp_path) if each.id == "output-ports"]
    assert finding.evidence == "the outputs are tensors 7, 8, 9, 9"


def test_a_detector_for_one_class_may_have_constants(tmp_path: Path) -> None:
    model = files.named()
    model.operators[-1].outputs = [7, 9]  # boxes and scores; classes are 0, the count is what comes out always
    assert found(model, tmp_path) == []


# Operators that leave out what they take or give


def _convolution_without_picture(model: Model) -> None:
    model.operators[1].inputs = [-1, 2, -1]


def _unpacked_from_nothing(model: Model) -> None:
    files.of_types(model, "float32", "float32", "float32")
    model.tensors.append(Tensor("last", "float16", (1,)))
    model.operators.insert(0, Operator(files.DEQUANTIZE, [-1], [2]))


def _quantized_into_nothing(model: Model) -> None:
    model.tensors.append(Tensor("last", "int8", (1,), [1 / 255], -128))
    model.operators[0].outputs = [-1]


def _normalised_into_nothing(model: Model) -> None:
    _normalised_inside(model)
    model.operators[0].outputs, model.operators[1].inputs = [-1], [-1, 12]


LEFT_OUT = (_convolution_without_picture, _unpacked_from_nothing, _quantized_into_nothing, _normalised_into_nothing)


@pytest.mark.parametrize("change", LEFT_OUT)
def test_what_an_operator_leaves_out_is_not_taken_for_the_last_tensor(tmp_path: Path, change: Change) -> None:
    model = files.detector()
    change(model)
    assert found(model, tmp_path) == []


# The list of findings


def test_every_finding_has_its_tests() -> None:
    noted = {name for _, name in NOTED.values()}
    elsewhere = {"not-int8", "labels-beside", "labels-differ", "labels-unused", "default-ranges", "bias-scales"}
    assert set(BAD) | noted | elsewhere == set(TITLES)


def test_every_finding_has_its_section_in_the_docs(root: Path) -> None:
    page = (root / "docs" / "lint.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == list(TITLES)


def test_texts_out_of_a_file_are_shown_printable_and_short(tmp_path: Path) -> None:
    model = files.detector()
    _custom("\x1b[31mred\n" + "x" * 500)(model)
    [finding] = found(model, tmp_path)
    assert finding.evidence.startswith("it has \\x1b[31mred\\x0axxx")
    assert len(finding.evidence) < 200


def test_published_files(tmp_path: Path) -> None:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    folder = Path(os.environ["LITEKILN_FIXTURES"]) / "published"
    wrong = examine(look_into(folder / "public_fpnlite_int8_0to1.tflite", folder / "public_fpnlite_labelmap.txt"))
    assert _ids(wrong) == [
        "input-range",
        "output-order",
        "output-shape",
        "signature-names",
        "uint8-input",
        "labels-beside",
        "metadata-missing",
    ]
    assert wrong[0].evidence == "uint8, scale 0.003922 at zero point 0: pixels from 0 to 1; an SSD is trained with -1 to 1"
    right = examine(look_into(folder / "coco_ssd_mobilenet_v1_0.75_quant.tflite"))
    assert [(each.id, each.severity) for each in right] == [
        (name, Severity.NOTE) for name in ("output-shape", "signature-missing", "uint8-inside")
    ]


def test_metadata_of_more_outputs_than_there_are(tmp_path: Path) -> None:
    """Found by fuzzing: four names say that it is a detector, and it gives three."""
    model = files.named()
    model.outputs, model.signatures = [7, 8, 9], []
    assert "output-ports" not in _ids(found(model, tmp_path))
