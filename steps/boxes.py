"""Boxes from predictions, by the rules of the PostProcess operator, and which boxes of two lists are the same."""

import collections

import numpy

# Boxes as shares of the picture (top, left, bottom, right), class indices, scores; the surest first.
Found = collections.namedtuple("Found", "boxes classes scores")
ROUNDED = 1e-6  # sides that differ by no more are the same
PER_CLASS = 100  # what the operator keeps of one class, where it looks at each class by itself


def of_outputs(values):
    """Detections from the four outputs of a detector, by their names: as many as it counts."""
    count = int(values["count"].ravel()[0])
    places, kinds, scores = (values[name][0][:count] for name in ("boxes", "classes", "scores"))
    return Found(places, kinds.astype(int), scores)


def make(encodings, predictions, anchors, options):
    """What the operator does: decode boxes at their anchors, then keep the best that don't overlap."""
    return choose(decode(encodings, anchors, options["scales"]), predictions, options)


def decode(encodings, anchors, scales):
    """Boxes from encodings (y, x, height, width) at anchors of the same form."""
    y = encodings[:, 0] / scales["y"] * anchors[:, 2] + anchors[:, 0]
    x = encodings[:, 1] / scales["x"] * anchors[:, 3] + anchors[:, 1]
    half_height = numpy.exp(encodings[:, 2] / scales["height"]) * anchors[:, 2] / 2
    half_width = numpy.exp(encodings[:, 3] / scales["width"]) * anchors[:, 3] / 2
    return numpy.stack([y - half_height, x - half_width, y + half_height, x + half_width], 1)


def choose(boxes, predictions, options):
    """Of all boxes those that are detections: by the best class of each, or, where the options say so, class by class."""
    predictions = predictions[:, options["background_classes"] :]
    if not options.get("regular"):
        scores, classes = predictions.max(1), predictions.argmax(1)
        kept = _suppress(boxes, scores, options, options["max_detections"])
        return Found(boxes[kept], classes[kept], scores[kept])
    picked = []
    for kind in range(predictions.shape[1]):
        picked += [(place, kind) for place in _suppress(boxes, predictions[:, kind], options, PER_CLASS)]
    picked.sort(key=lambda each: -predictions[each])
    places, kinds = (numpy.array(each, int) for each in zip(*picked[: options["max_detections"]])) if picked else ([], [])
    return Found(boxes[places], numpy.array(kinds, int), predictions[places, kinds])


def _suppress(boxes, scores, options, most):
    """The places of the best boxes that don't overlap each other."""
    order = numpy.argsort(-scores, kind="stable")
    order = order[scores[order] >= options["score_threshold"]]
    kept = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= options["iou_threshold"]]
    return kept


def overlap(box, boxes):
    """Intersection over union of one box with others."""
    low, high = numpy.maximum(box[:2], boxes[:, :2]), numpy.minimum(box[2:], boxes[:, 2:])
    shared = numpy.prod(numpy.clip(high - low, 0, None), axis=1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return shared / numpy.maximum(union, 1e-12)


def framed(found, shares):
    """Boxes as shares of the picture, which fills only a share of the network's input where it was not stretched."""
    across, down = shares
    places = numpy.clip(found.boxes / numpy.array([down, across, down, across]), 0.0, 1.0)
    return Found(places, found.classes, found.scores)


def _likeness(box, boxes):
    """Their overlap; a box without area, as at a picture's edge, is like none but itself."""
    same = numpy.abs(boxes - box).max(1) <= ROUNDED
    return numpy.where(same, 1.0, overlap(box, boxes))


class Matching:
    """How far detections are the same as others, over many pictures.

    A detection counts when its score reaches the threshold. One of `wanted` is matched by one of `given` of the same class whose
    box overlaps it enough, whatever that one's score is; what is in `given` and surely not in `wanted` counts against it as well.
    """

    LEEWAY = 0.1  # around the threshold a detection may be there or not

    def __init__(self, iou, score):
        self._iou, self._score = iou, score
        self._wanted = self._matched = self._extra = 0
        self._differences = []

    def add(self, wanted, given):
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
    def wanted(self):
        return self._wanted

    @property
    def share(self):
        """Of all that is in either, what is in both."""
        every = self._wanted + self._extra
        return self._matched / every if every else 1.0

    def as_data(self, name):
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
