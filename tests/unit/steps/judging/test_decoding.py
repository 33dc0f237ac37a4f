"""Right predictions, decoded by the settings of another training."""

import numpy
import pytest
from detection import boxes
from detection.detector import Seen
from judging.decoding import Decoding

ANCHORS = numpy.array([[0.3, 0.3, 0.2, 0.1], [0.7, 0.6, 0.1, 0.2]], numpy.float32)
SCALES = {"y": 10.0, "x": 10.0, "height": 5.0, "width": 5.0}
OPTIONS = {
    "max_detections": 2,
    "scales": SCALES,
    "background_classes": 1,
    "score_threshold": 0.1,
    "iou_threshold": 0.5,
    "regular": False,
}
ENCODINGS = numpy.array([[1, -1, 2, 1], [0, 1, -1, 2]], numpy.float32)
LOGITS = numpy.array([[-3, 3, -2], [-1, -2, 1]], numpy.float32)
SIGMOID = 1 / (1 + numpy.exp(-LOGITS))
SOFTMAX = numpy.exp(LOGITS) / numpy.exp(LOGITS).sum(1, keepdims=True)


def seen(predictions: numpy.ndarray) -> Seen:
    return Seen({"box_encodings": ENCODINGS[None], "class_predictions": predictions[None]}, None, (1.0, 1.0))


def test_other_scales_and_anchors_give_the_boxes_of_the_training() -> None:
    wanted = boxes.framed(boxes.make(ENCODINGS, SIGMOID, ANCHORS, OPTIONS), (1, 1))
    exchanged = {"y": 5.0, "x": 5.0, "height": 10.0, "width": 10.0}
    wrong = Decoding(ANCHORS, {**OPTIONS, "scales": exchanged})
    ways = dict(wrong.ways())
    found = wrong.again(seen(SIGMOID), ways["the box coder's scales 10, 10, 5, 5 (y, x, height, width)"])
    numpy.testing.assert_allclose(found.boxes, wanted.boxes)
    turned = Decoding(ANCHORS[:, [0, 1, 3, 2]], OPTIONS)
    found = turned.again(seen(SIGMOID), dict(turned.ways())["the anchors' heights and widths exchanged"])
    numpy.testing.assert_allclose(found.boxes, wanted.boxes)


def test_scores_of_the_other_converter() -> None:
    decoding = Decoding(ANCHORS, OPTIONS)
    ways = dict(decoding.ways())
    found = decoding.again(seen(SIGMOID), ways["scores by SOFTMAX instead of SIGMOID"])
    numpy.testing.assert_allclose(sorted(found.scores), sorted(SOFTMAX[:, 1:].max(1)), rtol=1e-5)
    found = decoding.again(seen(SOFTMAX), ways["scores by SIGMOID instead of SOFTMAX"])
    assert found.scores[0] == pytest.approx(SIGMOID[0, 1], abs=1e-3), "the background is its opposite"


def test_what_is_in_use_is_not_tried() -> None:
    assert not any("10, 10, 5, 5" in what for what, _ in Decoding(ANCHORS, OPTIONS).ways())
