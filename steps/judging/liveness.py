"""Whether what a model gives depends on the picture at all.

A file whose ranges were never calibrated gives the same boxes for every picture. So does its source, if it is such a file, and then
both agree in everything: agreement proves nothing, and only this tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from detection import pictures
from tflite_file import flat

if TYPE_CHECKING:
    from PIL import Image

    from detection.detector import Detector, Seen

PICTURES = 3
NOTHING = 0.01  # the score of no detection
SAME = "It gives the same for every picture (%d different ones were tried)%s"
BY_XNNPACK = (
    ", but not if it runs without XNNPACK, TensorFlow Lite's fast kernels for floats: these compute one of its operators wrongly. "
    "Change that layer (a convolution with a stride larger than its kernel is one), or take another variant"
)
NO_CALIBRATION = (
    ": its integers have scale 1 and zero point 0, as if nothing was calibrated. It was likely converted with default ranges "
    "(default_ranges_stats, or --default_ranges_min and _max), which are for trying speed only. Convert it again with real ranges"
)


def problem(detector: Detector, folder: str, names: Sequence[str], model: Any, run: Callable[[], Any]) -> str:
    """What is wrong with a model whose outputs are the same for all pictures; '' for any other.

    `run` gives an interpreter of the model without delegates, whose tensors can all be read.
    """
    shown = _different(folder, names)
    if len(shown) < 2:
        return ""
    looks = [_told(detector.look(picture)) for picture in shown]
    if not looks[0] or any(_differ(looks[0][name], each[name]) for each in looks[1:] for name in looks[0]):
        return ""
    if _is_uncalibrated(model):
        return SAME % (len(shown), NO_CALIBRATION)
    plain = run()
    if _differ(*(_plainly(plain, model, detector.prepared(picture)) for picture in shown[:2])):
        return SAME % (len(shown), BY_XNNPACK)
    first = _first_still(detector, shown, model, plain)
    return SAME % (len(shown), "; the first operator that gives the same whatever it is given makes %s" % first if first else "")


def _different(folder: str, names: Sequence[str]) -> list[Image.Image]:
    """The first few pictures that aren't copies of each other."""
    found: list[Image.Image] = []
    for name in names:
        picture = pictures.load(os.path.join(folder, name))
        if all(picture.size != each.size or picture.tobytes() != each.tobytes() for each in found):
            found.append(picture)
        if len(found) == PICTURES:
            break
    return found


def _told(seen: Seen) -> dict[str, numpy.ndarray]:
    """All that a model says; nothing if that is only detections, and there are none."""
    if seen.raw or seen.found is None:
        return seen.raw
    return seen.found._asdict() if (seen.found.scores > NOTHING).any() else {}


def _differ(one: numpy.ndarray, other: numpy.ndarray) -> bool:
    return one.shape != other.shape or bool((one != other).any())


def _is_uncalibrated(model: Any) -> bool:
    """Whether most of what is computed in integers has the scale that nobody measured."""
    graph, found = model.subgraphs[0], []
    for _, operator in flat.operators(model):
        for index in operator.outputs:
            stated = graph.tensors[int(index)].quantization
            if flat.TYPES[graph.tensors[int(index)].type] in ("int8", "uint8") and stated is not None and stated.scale is not None:
                found.append(len(stated.scale) == 1 and float(stated.scale[0]) == 1.0)
    return bool(found) and 2 * sum(found) > len(found)


def _first_still(detector: Detector, shown: Sequence[Image.Image], model: Any, interpreter: Any) -> str:
    """The tensor that the first operator makes which gives the same though what it is given differs."""
    graph, seen = model.subgraphs[0], []
    entry = interpreter.get_input_details()[0]["index"]
    for picture in shown[:2]:
        interpreter.set_tensor(entry, detector.prepared(picture))
        interpreter.invoke()
        seen.append({int(index): _value(interpreter, int(index)) for _, each in flat.operators(model) for index in each.outputs})
        seen[-1][int(entry)] = interpreter.get_tensor(entry)
    for name, operator in flat.operators(model):
        reads = [int(each) for each in operator.inputs if int(each) in seen[0]]
        if any(_differ(seen[0][each], seen[1][each]) for each in reads):
            for index in map(int, operator.outputs):
                if seen[0][index] is not None and not _differ(seen[0][index], seen[1][index]):
                    return "%s (%s)" % (flat.shown(graph.tensors[index]), name.decode())
    return ""


def _plainly(interpreter: Any, model: Any, entry: numpy.ndarray) -> numpy.ndarray:
    """All that an interpreter without delegates gives for a picture, before boxes are made of it."""
    last = flat.postprocess(model)
    ends = last.inputs[:2] if last is not None else model.subgraphs[0].outputs
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], entry)
    interpreter.invoke()
    return numpy.concatenate([interpreter.get_tensor(int(each)).ravel() for each in ends])


def _value(interpreter: Any, index: int) -> numpy.ndarray:
    value: numpy.ndarray = interpreter.get_tensor(index).copy()
    return value
