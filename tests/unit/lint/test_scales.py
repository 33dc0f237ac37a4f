"""Ranges that nobody measured, and biases with another scale than that of the sums that they are added to."""

from pathlib import Path

import pytest

from litekiln.commands.lint import lint_file
from litekiln.errors import SourceError
from litekiln.lint.examine import examine, look_into
from litekiln.lint.findings import Finding, Severity
from litekiln.lint.fix import refuse_dead
from tests.helpers import tflite_files as files
from tests.helpers.tflite_files import (
    CONCATENATION,
    CONV,
    DEPTHWISE,
    LOGISTIC,
    POSTPROCESS,
    RESHAPE,
    TRANSPOSE_CONV,
    Model,
    Operator,
    Tensor,
)

RELU6 = 3
DEFAULT, MEASURED = (1.0, 0), ((0.021, 131), (0.034, 127), (0.013, 120), (0.047, 140), (0.0261, 111))


def found(model: Model, folder: Path) -> list[Finding]:
    findings = examine(look_into(model.written(folder / "detect.tflite")))
    return [each for each in findings if each.id in ("default-ranges", "bias-scales")]


def old_ssd(boxes: tuple[float, int], logits: tuple[float, int], layers: list[tuple[float, int, int]]) -> Model:
    """TF1's kind of detector: bytes all the way into the PostProcess operator. Layers: scale, zero point, activation function."""
    model = files.of_types(files.detector(), "uint8", "uint8", "uint8")
    model.tensors[4] = Tensor("encodings", "uint8", (1, 20, 4), [boxes[0]], boxes[1])
    model.tensors[5] = Tensor("predictions", "uint8", (1, 20, 4), [1 / 256], 0)
    model.tensors.append(Tensor("logits", "uint8", (1, 20, 4), [logits[0]], logits[1]))
    operators, before = [], 0
    for scale, zero_point, activation in layers:
        model.tensors.append(Tensor(f"layer {len(operators)}", "uint8", (1, 24, 32, 8), [scale], zero_point))
        operators.append(Operator(CONV, [before, 2, -1], [len(model.tensors) - 1], activation))
        before = len(model.tensors) - 1
    operators += [Operator(RESHAPE, [before], [4]), Operator(RESHAPE, [before], [11]), Operator(LOGISTIC, [11], [5])]
    model.operators = [*operators, Operator(POSTPROCESS, [4, 5, 6], [7, 8, 9, 10])]
    return model


def sound_layers() -> list[tuple[float, int, int]]:
    """As a quantization-aware model has them: ReLU6 everywhere, and a few linear heads that differ."""
    return [(6 / 255, 0, RELU6)] * 20 + [(scale, zero, 0) for scale, zero in MEASURED]


def test_a_sound_old_detector_is_clean(tmp_path: Path) -> None:
    assert found(old_ssd((0.079, 191), (0.055, 180), sound_layers()), tmp_path) == []


def test_a_detector_of_default_ranges_is_dead(tmp_path: Path) -> None:
    [finding] = found(old_ssd(DEFAULT, DEFAULT, [(*DEFAULT, 0)] * 6), tmp_path)
    assert (finding.id, finding.severity, finding.fix) == ("default-ranges", Severity.ERROR, False)
    assert finding.evidence == (
        "the encoded boxes are uint8 with scale 1 at zero point 0, so none of their numbers can be negative; "
        "the scores come from uint8 with scale 1 at zero point 0 through a sigmoid, so none can be below 0.50; "
        "all 6 tensors that no activation function cuts off are uint8 with scale 1 at zero point 0"
    )
    assert "with pictures for calibration: inv new --calib DIR, inv build" in finding.remedy


def test_a_dead_detector_is_not_repaired_and_no_remedy_says_so(tmp_path: Path) -> None:
    model = old_ssd(DEFAULT, DEFAULT, [(*DEFAULT, 0)] * 6)
    model.metadata, model.outputs = None, [9, 7, 10, 8]
    path = model.written(tmp_path / "detect.tflite")
    linted = lint_file(path, None)
    assert len(linted.findings) > 3
    assert [each.id for each in linted.findings if each.fix or "--fix" in each.remedy] == []
    with pytest.raises(SourceError) as caught:
        refuse_dead(linted)
    assert caught.value.what == f"--fix: {path} can't be repaired: ranges that nobody measured: it sees the same in every picture"
    assert caught.value.cause.startswith("the encoded boxes are uint8 with scale 1 at zero point 0")
    assert "with pictures for calibration" in caught.value.remedy
    refuse_dead(lint_file(files.detector().written(tmp_path / "good.tflite"), None))


@pytest.mark.parametrize(
    ("model", "evidence"),
    [
        (old_ssd(DEFAULT, (0.055, 180), sound_layers()), "the encoded boxes are uint8 with scale 1 at zero point 0"),
        (old_ssd((0.079, 191), (6 / 255, 0), sound_layers()), "none can be below 0.50"),
        (
            old_ssd((0.079, 191), (0.055, 180), [(6 / 255, 0, RELU6)] * 9 + [(6 / 255, 0, 0)] * 2),
            "all 2 tensors that no activation function cuts off are uint8 with scale 0.0235294 at zero point 0",
        ),
        (
            old_ssd((0.079, 191), (0.055, 180), [(6 / 255, 0, RELU6)] * 9 + [(12 / 255, 128, 0)] * 4),
            "all 4 tensors that no activation function cuts off are uint8 with scale 0.0470588 at zero point 128",
        ),
    ],
)
def test_each_fact_alone_is_enough(tmp_path: Path, model: Model, evidence: str) -> None:
    [finding] = found(model, tmp_path)
    assert evidence in finding.evidence
    assert ";" not in finding.evidence


@pytest.mark.parametrize(
    "layers",
    [
        [(6 / 255, 0, RELU6)] * 30,  # all cut off: the default of 0 to 6 is what they have
        [(6 / 255, 0, RELU6)] * 30 + [(0.05, 0, 0)],  # one alone proves nothing
        [(12 / 255, 128, 0)] * 3,
    ],
)
def test_equal_ranges_that_prove_nothing(tmp_path: Path, layers: list[tuple[float, int, int]]) -> None:
    assert found(old_ssd((0.079, 191), (0.055, 180), layers), tmp_path) == []


def test_heads_that_are_joined_share_a_scale(tmp_path: Path) -> None:
    model = old_ssd((0.079, 191), (0.055, 180), [(0.03, 120, 0)] * 6)
    layers = [each.outputs[0] for each in model.operators if each.kind == CONV]
    model.tensors.append(Tensor("shaped", "uint8", (1, 20, 4), [0.03], 120))
    model.operators.insert(6, Operator(RESHAPE, [layers[0]], [len(model.tensors) - 1]))
    model.operators.insert(7, Operator(CONCATENATION, [*layers[1:], len(model.tensors) - 1], [4]))
    assert found(model, tmp_path) == []


def test_a_dead_detector_that_was_compiled_for_a_chip(tmp_path: Path) -> None:
    """Of its inside nothing is left but what enters the PostProcess operator."""
    model = old_ssd(DEFAULT, DEFAULT, [])
    model.operators = [Operator("edgetpu-custom-op", [0], [4, 5]), model.operators[-1]]
    [finding] = found(model, tmp_path)
    assert finding.evidence.startswith("the encoded boxes are uint8 with scale 1 at zero point 0")


def test_a_dead_file_without_the_postprocess_operator(tmp_path: Path) -> None:
    model = files.raw()
    for place in (4, 5):
        model.tensors[place].dtype, model.tensors[place].scales, model.tensors[place].zero_point = "int8", [1.0], -128
    [finding] = found(model, tmp_path)
    assert (
        finding.evidence == "the encoded boxes are int8 with scale 1 at zero point -128, so none of their numbers can be negative"
    )


# Biases


def with_bias(scale: float, *, kind: int = CONV, dtype: str = "int32", data: bytes = b"\1\0\0\0" * 8, times: int = 1) -> Model:
    model = files.detector()
    model.tensors[2].scales = [0.01 * (each + 1) for each in range(8)]
    wanted = [model.tensors[1].scales[0] * each for each in model.tensors[2].scales]
    bias = Tensor("bias", dtype, (8,), [each * scale for each in wanted], data=data)
    for _ in range(times):
        model.tensors.append(bias)
        inputs = [1, 2, len(model.tensors) - 1] if kind != TRANSPOSE_CONV else [6, 2, 1, len(model.tensors) - 1]
        model.operators.insert(1, Operator(kind, inputs, [3]))
    return model


@pytest.mark.parametrize("kind", [CONV, DEPTHWISE, files.FULLY, TRANSPOSE_CONV])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_bias_with_another_scale(tmp_path: Path, kind: int, dtype: str) -> None:
    [finding] = found(with_bias(2.2, kind=kind, dtype=dtype), tmp_path)
    assert (finding.id, finding.severity) == ("bias-scales", Severity.WARNING)
    assert finding.evidence == (
        "1 operator adds a bias whose scale is not input x weights (features); at worst 2.2 times too large or too small (features)"
    )
    assert finding.remedy == "convert it again from its source: inv new, inv build"


def test_several_biases_are_counted(tmp_path: Path) -> None:
    [finding] = found(with_bias(1 / 1064, times=4), tmp_path)
    assert finding.evidence.startswith("4 operators add biases whose scales are not input x weights (features, features, features")
    assert "at worst 1.06e+03 times" in finding.evidence


def test_long_names_are_told_by_their_end(tmp_path: Path) -> None:
    model = with_bias(2.0)
    model.tensors[3].name = "StatefulPartitionedCall/Head/BoxPredictor/BiasAdd_1;StatefulPartitionedCall/Head/Other/BiasAdd"
    assert "not input x weights (BoxPredictor/BiasAdd_1); at worst" in found(model, tmp_path)[0].evidence


def test_biases_that_cannot_be_compared(tmp_path: Path) -> None:
    model = with_bias(1.0)
    model.tensors[-1].scales = model.tensors[-1].scales[:3]
    [finding] = found(model, tmp_path)
    assert "at worst it can't be compared (features)" in finding.evidence


@pytest.mark.parametrize(
    "model",
    [
        with_bias(1.0),
        with_bias(1.009),
        with_bias(5.0, data=bytes(32)),  # nothing is added
        with_bias(5.0, dtype="float32"),
        files.detector(),
    ],
)
def test_biases_that_are_right_or_add_nothing(tmp_path: Path, model: Model) -> None:
    assert found(model, tmp_path) == []


def test_a_file_of_very_many_scales_stays_readable(tmp_path: Path) -> None:
    """A language model's: reading them all would take more work than a file is allowed."""
    model = with_bias(2.0)
    model.tensors += [Tensor(f"wide {each}", "int8", (50_000, 1), [0.01] * 50_000) for each in range(60)]
    assert [each.id for each in found(model, tmp_path)] == ["bias-scales"]
    model = with_bias(2.0)
    model.tensors[2].scales = list(model.tensors[2].scales) * 1000
    assert found(model, tmp_path) == []


def test_one_scale_for_all_channels_counts(tmp_path: Path) -> None:
    model = with_bias(1.0)
    model.tensors[2].scales = [0.01]
    model.tensors[-1].scales = [0.01 * model.tensors[1].scales[0]]
    assert found(model, tmp_path) == []
    model.tensors[-1].scales = [0.02 * model.tensors[1].scales[0]]
    assert [each.id for each in found(model, tmp_path)] == ["bias-scales"]
