"""The biases of integer operators: a sum of products with the scale input x weights, to which the bias is added as it is.

TensorFlow's 16-bit quantizer gives a bias that several operators share the scale of one of them, so all others add another number
than they should: that takes a weight-shared head apart, and nothing else tells it.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy

from tflite_file import flat

# The inputs of an operator that adds a bias: the index of the data, of the weights, of the bias.
BIASED = {b"CONV_2D": (0, 1, 2), b"DEPTHWISE_CONV_2D": (0, 1, 2), b"FULLY_CONNECTED": (0, 1, 2), b"TRANSPOSE_CONV": (2, 1, 3)}
INTEGERS = ("int32", "int64")
TOLERANCE = 0.01


class Wrong(NamedTuple):
    """An operator whose bias has another scale: the name of its result, how many times too small the bias counts at worst, and
    whether other operators add the same bias."""

    name: str
    times: float
    shared: bool


def separate(model: Any) -> None:
    """Give each operator a bias of its own, with a buffer of its own: the quantizer rewrites both."""
    graph, seen = model.subgraphs[0], set()
    for name, operator in flat.operators(model):
        if not _has_bias(name, operator):
            continue
        place = BIASED[name][2]
        shared = int(operator.inputs[place])
        data = model.buffers[graph.tensors[shared].buffer].data
        if data is None or not len(data):
            continue  # computed by another operator
        if shared in seen:
            own = copy.deepcopy(graph.tensors[shared])
            own.name += b";%d" % len(graph.tensors)
            own.buffer = len(model.buffers)
            model.buffers.append(copy.deepcopy(model.buffers[graph.tensors[shared].buffer]))
            operator.inputs = [len(graph.tensors) if at == place else each for at, each in enumerate(operator.inputs)]
            graph.tensors.append(own)
        seen.add(shared)


def wrong(model: Any) -> tuple[int, list[Wrong]]:
    """How many integer biases there are, and the operators that add theirs with another scale than that of their sum."""
    graph, count = model.subgraphs[0], 0
    found = []
    adding = [(name, operator) for name, operator in flat.operators(model) if _has_bias(name, operator)]
    added = [int(operator.inputs[BIASED[name][2]]) for name, operator in adding]
    for name, operator in adding:
        entry, weights, bias = (graph.tensors[int(operator.inputs[place])] for place in BIASED[name])
        scales = [_scales(each) for each in (entry, weights, bias)]
        if flat.TYPES[bias.type] not in INTEGERS or any(each is None for each in scales):
            continue
        count += 1
        if not numpy.any(model.buffers[bias.buffer].data):
            continue  # nothing is added, with whatever scale
        times = _times(scales[0] * scales[1], scales[2])
        if times > 1 + TOLERANCE:
            shared = added.count(int(operator.inputs[BIASED[name][2]])) > 1
            found.append(Wrong(flat.shown(graph.tensors[int(operator.outputs[0])]), times, shared))
    return count, found


def _has_bias(name: bytes, operator: Any) -> bool:
    return name in BIASED and len(operator.inputs) > BIASED[name][2] and int(operator.inputs[BIASED[name][2]]) >= 0


def _scales(tensor: Any) -> Any:
    stated = tensor.quantization
    return (
        numpy.asarray(stated.scale, numpy.float64)
        if stated is not None and stated.scale is not None and len(stated.scale)
        else None
    )


def _times(wanted: numpy.ndarray, found: numpy.ndarray) -> float:
    """How many times larger or smaller the worst scale is; infinite where one is 0 or their numbers can't be compared."""
    if found.size not in (1, wanted.size):
        return numpy.inf
    if not (wanted.all() and found.all()):
        return 1.0 if not (wanted.any() or found.any()) else numpy.inf
    ratios = wanted / found
    return float(numpy.maximum(ratios, 1 / ratios).max())
