"""The types that a variant computes with, and whether its name allows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

# Per variant: the types that an arithmetic operator may have as (input, weights, output).
ARITHMETIC = {
    "float32": {("float32", "float32", "float32")},
    "float16": {("float32", "float16", "float32")},
    "dynamic": {("float32", "int8", "float32"), ("float32", "float32", "float32")},  # tiny weights stay in float
    "int8": {("int8", "int8", "int8")},
    "int16x8": {("int16", "int8", "int16")},
    "uint8-qat": {("uint8", "uint8", "uint8")},
}
# The arithmetic that a variant must have somewhere: a dynamic one has at least some int8 weights.
REQUIRED = {"dynamic": ("float32", "int8", "float32")}
SAME_NUMBERS = ("-raw", "-tf1", "-io")  # parts of a name that say nothing about the arithmetic inside
# The two inputs that an operator multiplies: the index of the data, the index of the weights.
MULTIPLIES = {b"CONV_2D": (0, 1), b"DEPTHWISE_CONV_2D": (0, 1), b"FULLY_CONNECTED": (0, 1), b"TRANSPOSE_CONV": (2, 1)}
TINY = 1024  # the converter keeps smaller weights in float


def of(model: Any) -> tuple[set[tuple[str, str, str]], int]:
    """The (input, weights, output) types of all multiplications by weights, and the number of values of the largest weights.

    Weights that a DEQUANTIZE unpacks count as the type that they are stored in. An operator that multiplies two results has none.
    """
    graph, largest = model.subgraphs[0], 0
    stored: dict[int, int] = {}
    found: set[tuple[str, str, str]] = set()
    for name, operator in flat.operators(model):
        if name == b"DEQUANTIZE":
            stored[int(operator.outputs[0])] = int(operator.inputs[0])
        if name not in MULTIPLIES:
            continue
        entry, weights = (int(operator.inputs[place]) for place in MULTIPLIES[name])
        kept = graph.tensors[stored.get(weights, weights)]
        data = model.buffers[kept.buffer].data
        if data is None or not len(data):
            continue
        types = [flat.TYPES[graph.tensors[each].type] for each in (entry, int(operator.outputs[0]))]
        found.add((types[0], flat.TYPES[kept.type], types[1]))
        largest = max(largest, int(numpy.prod(kept.shape)))
    return found, largest


def judge(model: Any, variant: str, keep_float: Sequence[str] = ()) -> tuple[str, str, str]:
    """What was found, what was expected, and the problem in words; '' where there is none."""
    inside = variant
    for part in SAME_NUMBERS:
        inside = inside.replace(part, "")
    found, largest = of(model)
    allowed = ARITHMETIC[inside] | (ARITHMETIC["float32"] if keep_float else set())
    wrong, problem = sorted(found - allowed), ""
    if wrong:
        fitting = sorted(name for name, types in ARITHMETIC.items() if found <= types)
        problem = "%s computes with %s, which its name does not say%s" % (
            variant,
            _types_text(wrong),
            "; %s says it" % fitting[0] if fitting else "",
        )
    elif variant in REQUIRED and REQUIRED[variant] not in found and largest >= TINY:
        problem = "%s has no %s arithmetic at all" % (variant, "/".join(REQUIRED[variant]))
    return _types_text(sorted(found)) or "no weights", _types_text(sorted(allowed), " or "), problem


def _types_text(types: list[tuple[str, str, str]], between: str = " and ") -> str:
    return between.join("/".join(each) for each in types)


def without_tiny_weights(model: Any, variant: str) -> bool:
    """Whether a variant that should store weights in 8 bits has none that are large enough for it."""
    return variant in REQUIRED and REQUIRED[variant] not in of(model)[0]
