"""Make boxes of predictions by the rules of the PostProcess operator, and match the boxes of two lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDED = 1e-6  # sides that differ by no more are the same
PER_CLASS = 100  # boxes that the operator keeps of one class, where it handles each class by itself


class Found(NamedTuple):
    """Detections, the highest score first. Boxes are shares of the picture: (top, left, bottom, right)."""

    boxes: numpy.ndarray
    classes: numpy.ndarray
    scores: numpy.ndarray


def of_outputs(values: dict[str, numpy.ndarray]) -> Found:
    """The detections in a detector's four outputs, which are given by name: as many as its count says."""
    count = int(values["count"].ravel()[0])
    places, kinds, scores = (values[name][0][:count] for name in ("boxes", "classes", "scores"))
    return Found(places, kinds.astype(int), scores)


def make(encodings: numpy.ndarray, predictions: numpy.ndarray, anchors: numpy.ndarray, options: dict[str, Any]) -> Found:
    """The detections as the operator makes them: decode boxes at their anchors, then keep the best that don't overlap."""
    return choose(decode(encodings, anchors, options["scales"]), predictions, options)


def decode(encodings: numpy.ndarray, anchors: numpy.ndarray, scales: dict[str, float]) -> numpy.ndarray:
    """The boxes for encodings (y, x, height, width) at anchors of the same form."""
    y = encodings[:, 0] / scales["y"] * anchors[:, 2] + anchors[:, 0]
    x = encodings[:, 1] / scales["x"] * anchors[:, 3] + anchors[:, 1]
    half_height = numpy.exp(encodings[:, 2] / scales["height"]) * anchors[:, 2] / 2
    half_width = numpy.exp(encodings[:, 3] / scales["width"]) * anchors[:, 3] / 2
    return numpy.stack([y - half_height, x - half_width, y + half_height, x + half_width], 1)


def choose(boxes: numpy.ndarray, predictions: numpy.ndarray, options: dict[str, Any]) -> Found:
    """The boxes that are detections: by the best class of each box or, if the options say so, class by class."""
    predictions = predictions[:, options["background_classes"] :]
    if not options.get("regular"):
        scores, classes = predictions.max(1), predictions.argmax(1)
        kept = _suppress(boxes, scores, options, options["max_detections"])
        return Found(boxes[kept], classes[kept], scores[kept])
    picked: list[tuple[int, int]] = []
    for kind in range(predictions.shape[1]):
        picked += [(place, kind) for place in _suppress(boxes, predictions[:, kind], options, PER_CLASS)]
    picked.sort(key=lambda each: -predictions[each])
    best = numpy.array(picked[: options["max_detections"]], int).reshape(-1, 2)
    places, kinds = best[:, 0], best[:, 1]
    return Found(boxes[places], kinds, predictions[places, kinds])


def _suppress(boxes: numpy.ndarray, scores: numpy.ndarray, options: dict[str, Any], most: int) -> list[int]:
    """The indices of the best boxes that don't overlap each other."""
    order = numpy.argsort(-scores, kind="stable")
    order = order[scores[order] >= options["score_threshold"]]
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= options["iou_threshold"]]
    return kept


def overlap(box: numpy.ndarray, boxes: numpy.ndarray) -> numpy.ndarray:
    """The intersection over union of one box with each of the others."""
    low, high = numpy.maximum(box[:2], boxes[:, :2]), numpy.minimum(box[2:], boxes[:, 2:])
    shared = numpy.prod(numpy.clip(high - low, 0, None), axis=1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    ratio: numpy.ndarray = shared / numpy.maximum(union, 1e-12)
    return ratio


def framed(found: Found, shares: Sequence[float]) -> Found:
    """The detections with boxes as shares of the picture, which fills only `shares` of a letterboxed input (width, height)."""
    across, down = shares
    places = numpy.clip(found.boxes / numpy.array([down, across, down, across]), 0.0, 1.0)
    return Found(places, found.classes, found.scores)


def _likeness(box: numpy.ndarray, boxes: numpy.ndarray) -> numpy.ndarray:
    """The overlap of a box with others; 1 for an equal box, also where it has no area, as at a picture's edge."""
    same = numpy.abs(boxes - box).max(1) <= ROUNDED
    return numpy.where(same, 1.0, overlap(box, boxes))


class Matching:
    """How far detections equal others, over many pictures.

    A detection counts when its score reaches the threshold. One of `wanted` is matched by one of `given` of the same class whose
    box overlaps it enough, whatever its score is. One of `given` that matches nothing and is clearly above the threshold is extra.
    """

    LEEWAY = 0.1  # a detection may be missing or extra when its score is this close to the threshold

    def __init__(self, iou: float, score: float) -> None:
        self._iou, self._score = iou, score
        self._wanted = self._matched = self._extra = 0
        self._differences: list[float] = []

    def add(self, wanted: Found, given: Found) -> None:
        free = numpy.ones(len(given.scores), bool)
        for box, kind, score in zip(*wanted):
            counts = score >= self._score
            near = _likeness(box, given.boxes) if len(given.boxes) else numpy.zeros(0)
            near = numpy.where(free & (given.classes == kind), near, -1.0)
            best = int(near.argmax()) if len(near) else -1
            hit = best >= 0 and near[best] >= self._iou
            if hit:
                free[best] = False
            if counts:
                self._wanted += 1
                self._matched += int(hit)
                if hit:
                    self._differences.append(abs(float(given.scores[best]) - float(score)))
        self._extra += int((free & (given.scores >= self._score + self.LEEWAY)).sum())

    @property
    def wanted(self) -> int:
        return self._wanted

    @property
    def share(self) -> float:
        """The share of all detections, wanted or extra, that is matched."""
        every = self._wanted + self._extra
        return self._matched / every if every else 1.0

    def as_data(self, name: str) -> dict[str, Any]:
        apart = self._differences or [0.0]
        return {
            name: self._wanted,
            "matched": self._matched,
            "extra": self._extra,
            "share": round(self.share, 4),
            "iou": self._iou,
            "score": self._score,
            "score_difference": {"max": round(max(apart), 6), "mean": round(sum(apart) / len(apart), 6)},
        }
