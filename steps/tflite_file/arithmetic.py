"""The types that a variant computes with, and whether its name allows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from tflite_file import flat
from tflite_file.biases import BIASED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tflite_file.variants import Variant

FLOAT = ("float32", "float32", "float32")  # what operators that are kept in float do
TINY = 1024  # the converter keeps smaller weights in float


def weighted(model: Any) -> Iterator[tuple[bytes, Any, Any]]:
    """The operators that multiply by weights, each with its name and the tensor in which these are stored."""
    graph = model.subgraphs[0]
    stored: dict[int, int] = {}
    for name, operator in flat.operators(model):
        if name == b"DEQUANTIZE":
            stored[int(operator.outputs[0])] = int(operator.inputs[0])
        if name not in BIASED:
            continue
        weights = int(operator.inputs[BIASED[name][1]])
        kept = graph.tensors[stored.get(weights, weights)]
        data = model.buffers[kept.buffer].data
        if data is not None and len(data):
            yield name, operator, kept


def of(model: Any) -> tuple[set[tuple[str, str, str]], int]:
    """The (input, weights, output) types of all multiplications by weights, and the number of values of the largest weights.

    Weights that a DEQUANTIZE unpacks count as the type that they are stored in. An operator that multiplies two results has none.
    """
    graph, largest = model.subgraphs[0], 0
    found: set[tuple[str, str, str]] = set()
    for name, operator, kept in weighted(model):
        entry = int(operator.inputs[BIASED[name][0]])
        types = [flat.TYPES[graph.tensors[each].type] for each in (entry, int(operator.outputs[0]))]
        found.add((types[0], flat.TYPES[kept.type], types[1]))
        largest = max(largest, int(numpy.prod(kept.shape)))
    return found, largest


def judge(model: Any, variant: Variant, keep_float: Sequence[str] = ()) -> tuple[str, str, str]:
    """What was found, what was expected, and the problem in words; '' where there is none."""
    found, largest = of(model)
    allowed = set(variant.computes) | ({FLOAT} if keep_float else set())
    wrong, problem = sorted(found - allowed), ""
    if wrong:
        fitting = sorted(name for name, types in variant.known.items() if found <= set(types))
        problem = "%s computes with %s, which its name does not say%s" % (
            variant.name,
            _types_text(wrong),
            "; %s says it" % fitting[0] if fitting else "",
        )
    elif not found.intersection(variant.expected or found) and largest >= TINY:
        problem = "%s has no %s arithmetic at all" % (variant.name, "/".join(variant.expected[0]))
    return _types_text(sorted(found)) or "no weights", _types_text(sorted(allowed), " or "), problem


def _types_text(types: list[tuple[str, str, str]], between: str = " and ") -> str:
    return between.join("/".join(each) for each in types)


def without_tiny_weights(model: Any, variant: Variant) -> bool:
    """Whether a variant that should store weights in 8 bits has none that are large enough for it."""
    return bool(variant.expected) and not of(model)[0].intersection(variant.expected)
