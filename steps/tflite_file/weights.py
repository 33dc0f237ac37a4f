"""Weights that can't be right: a layer of zeros, through which nothing passes, or numbers that are none."""

from __future__ import annotations

from typing import Any

import numpy

from tflite_file import flat
from tflite_file.biases import BIASED

KINDS = {"float32": numpy.float32, "float16": numpy.float16, "int8": numpy.int8, "uint8": numpy.uint8}


def wrong(model: Any) -> tuple[int, list[str]]:
    """How many operators have weights, and what is wrong with those that can't be right."""
    graph, stored, count = model.subgraphs[0], {}, 0
    found = []
    for name, operator in flat.operators(model):
        if name == b"DEQUANTIZE":
            stored[int(operator.outputs[0])] = int(operator.inputs[0])
        if name not in BIASED:
            continue
        weights = graph.tensors[stored.get(int(operator.inputs[BIASED[name][1]]), int(operator.inputs[BIASED[name][1]]))]
        data, kind = model.buffers[weights.buffer].data, KINDS.get(flat.TYPES[weights.type])
        if data is None or not len(data) or kind is None:
            continue
        count += 1
        values = numpy.frombuffer(bytes(bytearray(data)), kind)
        made = flat.shown(graph.tensors[int(operator.outputs[0])])
        if not numpy.isfinite(values).all():
            found.append("%d of the %d weights of %s are no numbers" % ((~numpy.isfinite(values)).sum(), values.size, made))
        elif (values == _nothing(weights)).all():
            found.append("all %d weights of %s are 0" % (values.size, made))
    return count, found


def _nothing(tensor: Any) -> int:
    """What stands for 0: symmetric weights have no zero point."""
    stated = tensor.quantization
    many = stated is not None and stated.zeroPoint is not None and len(stated.zeroPoint) == 1
    return int(stated.zeroPoint[0]) if many and flat.TYPES[tensor.type] in ("int8", "uint8") else 0
