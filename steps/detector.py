"""Run a bundle's model on a picture as a program on the Pi would: by the file's own types, scales and output names."""

import os

import numpy
import protocol
import tensorflow as tf

import pictures


class Detector:
    """`detect(picture)` gives boxes as shares of the picture (top, left, bottom, right), class indices and scores."""

    def __init__(self, bundle, contract):
        self._contract = contract
        self._interpreter = tf.lite.Interpreter(os.path.join(bundle, "detect.tflite"), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
        self._raw = "box_encodings" in self._outputs
        if self._raw:
            self._anchors = numpy.load(os.path.join(bundle, "anchors.npy"))
            self._postprocess = protocol.read_json(os.path.join(bundle, "postprocess.json"))

    def detect(self, picture):
        pixels, (across, down) = pictures.fit(picture, self._contract)
        self._interpreter.set_tensor(self._input["index"], self._entry(pictures.normalise(pixels, self._contract)))
        self._interpreter.invoke()
        values = {name: self._value(detail) for name, detail in self._outputs.items()}
        if self._raw:
            boxes, classes, scores = make_detections(
                values["box_encodings"][0], values["class_predictions"][0], self._anchors, self._postprocess
            )
        else:
            count = int(values["count"][0])
            boxes, classes, scores = (values[name][0][:count] for name in ("boxes", "classes", "scores"))
        framed = boxes / numpy.array([down, across, down, across])
        return numpy.clip(framed, 0.0, 1.0), classes.astype(int), scores

    def _entry(self, batch):
        """What the network takes, in the type that the file takes."""
        kind = self._input["dtype"]
        if kind == numpy.float32:
            return batch
        scale, zero_point = self._input["quantization"]
        limits = numpy.iinfo(kind)
        return numpy.clip(numpy.round(batch / scale + zero_point), limits.min, limits.max).astype(kind)

    def _value(self, detail):
        value = self._interpreter.get_tensor(detail["index"])
        if value.dtype == numpy.float32:
            return value
        scale, zero_point = detail["quantization"]
        return (value.astype(numpy.float32) - zero_point) * scale


def make_detections(encodings, predictions, anchors, options):
    """What the PostProcess operator does: decode boxes at their anchors, then keep the best that don't overlap."""
    boxes = decode(encodings, anchors, options["scales"])
    predictions = predictions[:, options["background_classes"] :]
    scores, classes = predictions.max(1), predictions.argmax(1)
    order = numpy.argsort(-scores, kind="stable")
    order = order[scores[order] > options["score_threshold"]]
    kept = []
    while len(order) and len(kept) < options["max_detections"]:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= options["iou_threshold"]]
    return boxes[kept], classes[kept], scores[kept]


def decode(encodings, anchors, scales):
    """Boxes (top, left, bottom, right) from encodings (y, x, height, width) at anchors of the same form."""
    y = encodings[:, 0] / scales["y"] * anchors[:, 2] + anchors[:, 0]
    x = encodings[:, 1] / scales["x"] * anchors[:, 3] + anchors[:, 1]
    half_height = numpy.exp(encodings[:, 2] / scales["height"]) * anchors[:, 2] / 2
    half_width = numpy.exp(encodings[:, 3] / scales["width"]) * anchors[:, 3] / 2
    return numpy.stack([y - half_height, x - half_width, y + half_height, x + half_width], 1)


def overlap(box, boxes):
    """Intersection over union of one box with others."""
    low, high = numpy.maximum(box[:2], boxes[:, :2]), numpy.minimum(box[2:], boxes[:, 2:])
    shared = numpy.prod(numpy.clip(high - low, 0, None), axis=1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return shared / numpy.maximum(union, 1e-12)
