"""Weights that can't be right: a layer of zeros, through which nothing passes, or numbers that are none."""

from __future__ import annotations

from typing import Any

import numpy

from tflite_file import arithmetic, flat

KINDS = {"float32": numpy.float32, "float16": numpy.float16, "int8": numpy.int8, "uint8": numpy.uint8}


def wrong(model: Any) -> tuple[int, list[str]]:
    """How many operators have weights, and what is wrong with those that can't be right."""
    count, found = 0, []
    for _, operator, weights in arithmetic.weighted(model):
        kind = KINDS.get(flat.TYPES[weights.type])
        if kind is None:
            continue
        count += 1
        values = numpy.frombuffer(bytes(bytearray(model.buffers[weights.buffer].data)), kind)
        made = flat.shown(model.subgraphs[0].tensors[int(operator.outputs[0])])
        none = int((~numpy.isfinite(values)).sum())
        if none:
            found.append("%d of the %d weights of %s are no numbers: what they compute is none either" % (none, values.size, made))
        elif (values == _nothing(weights)).all():
            found.append("all %d weights of %s are 0: nothing of the picture passes there" % (values.size, made))
    return count, found


def _nothing(tensor: Any) -> int:
    """What stands for 0: symmetric weights have no zero point."""
    stated = tensor.quantization
    many = stated is not None and stated.zeroPoint is not None and len(stated.zeroPoint) == 1
    return int(stated.zeroPoint[0]) if many and flat.TYPES[tensor.type] in ("int8", "uint8") else 0
