"""Which output of a finished detector is what, where no PostProcess operator says it by its ports.

A name is believed unless a run of the file contradicts it: boxes have four sides, classes are whole numbers, scores lie
between 0 and 1 and descend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy
import protocol

import machine_faults
from tflite_file import flat

KNOWN = {
    "boxes": ("boxes", "box", "locations", "location", "detection_boxes", "bounding_boxes"),
    "classes": ("classes", "class", "categories", "category", "detection_classes"),
    "scores": ("scores", "score", "detection_scores"),
    "count": ("count", "number_of_detections", "num_detections", "num_boxes", "number_of_boxes"),
}
ANSWER = 'name them in its model.toml, in the order of the file: outputs = ["boxes", "classes", "scores", "count"] below [source]'
NUMBERED = r"(?:StatefulPartitionedCall|Identity|output)(?:[:_](\d))?"
EXPORTER_ORDER = ("count", "scores", "classes", "boxes")  # the TF2 exporter returns them back to front
TRIED = 3  # pictures of noise


def find(model: Any, data: bytes, told: Sequence[str], packed: Sequence[str]) -> tuple[list[str], list[list[int]], str]:
    """The outputs' names in the file's order, their shapes, and what they are known by.

    `told` are the names in the recipe, `packed` those in the file's metadata, each empty where there are none.
    """
    count = len(model.subgraphs[0].outputs)
    if count != len(flat.DETECTION_OUTPUTS):
        raise protocol.Refused("the .tflite has %d outputs; a finished detector has four: boxes, classes, scores, count" % count)
    values = _run(data)
    shapes = [list(value.shape) for value in values[0]]
    for names, found_by, sure in _ways(model, told, packed, shapes):
        if sorted(names) == sorted(flat.DETECTION_OUTPUTS):
            wrong = _against(names, values, sure)
            if wrong:
                raise protocol.Refused("by %s the outputs are %s, but %s: %s" % (found_by, ", ".join(names), wrong, ANSWER))
            return names, shapes, found_by
    stated = ", ".join("%s %s" % (each, shape) for each, shape in zip(_tensor_names(model), shapes))
    raise protocol.Refused("nothing in the .tflite says which output is what (%s): %s" % (stated, ANSWER))


def _ways(model: Any, told: Sequence[str], packed: Sequence[str], shapes: list[list[int]]) -> Iterator[tuple[list[str], str, bool]]:
    """Names by every way that the file or the recipe offers, the surest first; and whether they were given on purpose."""
    if told:
        yield list(told), "the recipe's source.outputs", True
    if model.signatureDefs and len(model.signatureDefs) == 1:
        yield _known(flat.signed_outputs(model)), "the file's signature", True
    yield _known(packed), "the file's metadata", True
    yield _known(_tensor_names(model)), "the names of its tensors", True
    yield _by_number(_tensor_names(model), shapes), "the numbers in the names of its tensors", False
    if model.signatureDefs and len(model.signatureDefs) == 1:
        yield _by_number(flat.signed_outputs(model), shapes), "the numbers in its signature", False


def _tensor_names(model: Any) -> list[str]:
    graph = model.subgraphs[0]
    return [graph.tensors[each].name.decode() for each in graph.outputs]


def _known(names: Sequence[str]) -> list[str]:
    """The meaning of each of these names; '' where it is not known."""
    plain = [re.sub(r"[\s\-]+", "_", re.sub(r":\d+$", "", name.rpartition("/")[2]).strip().lower()) for name in names]
    return [next((meaning for meaning, words in KNOWN.items() if name in words), "") for name in plain]


def _by_number(names: Sequence[str], shapes: list[list[int]]) -> list[str]:
    """Names by number, as exporters number what they return: from the boxes on or back to front, which the shapes show."""
    matches = [match for match in (re.fullmatch(NUMBERED, name) for name in names) if match]
    if len(matches) < len(names):
        return []
    numbers = [int(match.group(1) or 0) for match in matches]
    boxes = [number for number, shape in zip(numbers, shapes) if len(shape) == 3 and shape[2] == 4]
    if sorted(numbers) != [0, 1, 2, 3] or boxes not in ([0], [3]):
        return []
    order: Sequence[str] = EXPORTER_ORDER if boxes == [3] else flat.DETECTION_OUTPUTS
    return [order[number] for number in numbers]


def _run(data: bytes) -> list[list[numpy.ndarray]]:
    """The outputs for a few pictures of noise."""
    import tensorflow as tf  # takes seconds, and most files need no run

    try:
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        entry, values = interpreter.get_input_details()[0], []
        for seed in range(TRIED):
            picture = numpy.random.RandomState(seed).uniform(0, 1, entry["shape"])
            if entry["dtype"] != numpy.float32:
                limits = numpy.iinfo(entry["dtype"])
                picture = picture * (limits.max - limits.min) + limits.min
            interpreter.set_tensor(entry["index"], picture.astype(entry["dtype"]))
            interpreter.invoke()
            values.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    except (RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        raise protocol.Refused("the interpreter of TensorFlow %s can't run the .tflite: %s" % (tf.__version__, error)) from None
    return values


def _against(names: list[str], values: list[list[numpy.ndarray]], sure: bool) -> str:
    """What contradicts the names; where they are only guessed, also that nothing confirms them; '' where all is well."""
    shown = False
    for outputs in values:
        boxes, classes, scores, count = (outputs[names.index(name)] for name in flat.DETECTION_OUTPUTS)
        if boxes.ndim != 3 or boxes.shape[0] != 1 or boxes.shape[2] != 4:
            return "boxes have shape %s" % list(boxes.shape)
        if classes.shape != boxes.shape[:2] or scores.shape != boxes.shape[:2] or count.size != 1:
            return "%d boxes come with %d classes, %d scores and %d counts" % (
                boxes.shape[1], classes.size, scores.size, count.size,
            )  # fmt: skip
        found = int(count.ravel()[0])
        classes, scores = classes[0, :found], scores[0, :found]
        if numpy.any(classes != numpy.round(classes)) or numpy.any(classes < 0):
            return "classes are not whole numbers"
        if numpy.any(scores < 0) or numpy.any(scores > 1) or numpy.any(numpy.diff(scores) > 0):
            return "scores don't descend from 1 to 0"
        shown = shown or bool(numpy.any(scores != numpy.round(scores)))
    return "" if shown or sure else "it found nothing in noise, so nothing confirms that"
