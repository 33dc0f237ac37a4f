"""What a variant computes with, and whether its name says so."""

import numpy

import flat

# What an arithmetic operator may take in, hold as weights, and give out, per variant.
ARITHMETIC = {
    "float32": {("float32", "float32", "float32")},
    "float16": {("float32", "float16", "float32")},
    "dynamic": {("float32", "int8", "float32"), ("float32", "float32", "float32")},  # tiny weights stay as they are
    "int8": {("int8", "int8", "int8")},
    "int16x8": {("int16", "int8", "int16")},
    "uint8-qat": {("uint8", "uint8", "uint8")},
}
# Beside the arithmetic of its name a float variant has nothing; a dynamic one has at least some int8 weights.
REQUIRED = {"dynamic": ("float32", "int8", "float32")}
SAME_NUMBERS = ("-raw", "-tf1", "-io")  # parts of a name that say nothing of how the inside computes
# Which of its inputs an operator multiplies with which: the entry's place, the weights' place.
MULTIPLIES = {b"CONV_2D": (0, 1), b"DEPTHWISE_CONV_2D": (0, 1), b"FULLY_CONNECTED": (0, 1), b"TRANSPOSE_CONV": (2, 1)}
TINY = 1024  # of fewer weights than these the converter keeps floats


def of(model):
    """The types that weights are multiplied with, and how many values the largest weights have.

    Weights that are unpacked by a DEQUANTIZE count as what they are stored as. What multiplies two results has no weights.
    """
    graph, stored, found, largest = model.subgraphs[0], {}, set(), 0
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


def judge(model, variant, keep_float=()):
    """What was found, what was expected, and what is wrong with it, in words; '' where nothing is."""
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


def _types_text(types, between=" and "):
    return between.join("/".join(each) for each in types)


def without_tiny_weights(model, variant):
    """Whether a variant that should store weights in 8 bits has none of a size that is worth it."""
    return variant in REQUIRED and REQUIRED[variant] not in of(model)[0]
