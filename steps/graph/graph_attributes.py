"""What an operator does, in a few words: kernel, stride, activation, and whatever else its options say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flatbuffers import flexbuffers

from tflite_file import flat

WEIGHTS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1}  # the place of a convolution's weights among its inputs
# The names of an operator's constant inputs. An input without a name here is called "constant".
ROLES = {
    "CONV_2D": ("input", "weights", "bias"),
    "DEPTHWISE_CONV_2D": ("input", "weights", "bias"),
    "FULLY_CONNECTED": ("input", "weights", "bias"),
    "TRANSPOSE_CONV": ("output shape", "weights", "input", "bias"),
    "TFLite_Detection_PostProcess": ("boxes", "scores", "anchors"),
    "RESHAPE": ("input", "shape"),
    "RESIZE_BILINEAR": ("input", "size"),
    "RESIZE_NEAREST_NEIGHBOR": ("input", "size"),
    "STRIDED_SLICE": ("input", "begin", "end", "strides"),
    "SLICE": ("input", "begin", "size"),
    "PAD": ("input", "paddings"),
    "PADV2": ("input", "paddings", "value"),
    "MIRROR_PAD": ("input", "paddings"),
    "MEAN": ("input", "axes"),
    "SUM": ("input", "axes"),
    "REDUCE_MAX": ("input", "axes"),
    "TRANSPOSE": ("input", "order"),
    "EXPAND_DIMS": ("input", "axis"),
    "TILE": ("input", "repeats"),
    "GATHER": ("input", "indices"),
    "SPLIT": ("axis", "input"),
    "SPLIT_V": ("input", "sizes", "axis"),
    "PRELU": ("input", "slopes"),
}
DONE = {  # options that have a function of their own below, or that matter only to interpreters
    "strideH", "strideW", "dilationHFactor", "dilationWFactor", "filterHeight", "filterWidth", "padding", "depthMultiplier",
    "fusedActivationFunction", "potScaleInt16", "asymmetricQuantizeInputs", "valuesCount", "quantizedBiasType", "weightsFormat",
}  # fmt: skip
ENUMS = {"inDataType": flat.TYPES, "outDataType": flat.TYPES, "outputType": flat.TYPES}
LONGEST_LIST = 8
LONGEST_CUSTOM = 1 << 16
MOST_CUSTOM = 12
# What neither an XML file nor a terminal should get.
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def text(name: bytes | None) -> str:
    """A name from the file, which can be any bytes, as text that can be shown anywhere."""
    return NOT_TEXT.sub("\ufffd", bytes(name or b"").decode("utf-8", "replace"))


def attributes(name: str, operator: Any, shapes: list[list[int]]) -> list[str]:
    """Short texts about an operator. `shapes` are the shapes of its inputs."""
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    first = [*_kernel(name, shapes), *_window(options), *_fused(options)]
    others = [words for key in sorted(options) if key not in DONE for words in _option(key, options[key])]
    return [*first, *others, *_custom(operator.customOptions)]


def role(name: str, place: int) -> str:
    """What the input at this place of an operator is called."""
    roles: tuple[str, ...] = ROLES.get(name, ())
    return roles[place] if place < len(roles) else "constant"


def _kernel(name: str, shapes: list[list[int]]) -> Iterator[str]:
    place = WEIGHTS.get(name)
    if place is not None and place < len(shapes) and len(shapes[place]) == 4:
        yield "kernel %dx%d" % tuple(shapes[place][1:3])


def _window(options: dict[str, Any]) -> Iterator[str]:
    if "filterHeight" in options:
        yield "window %dx%d" % (options["filterHeight"], options["filterWidth"])
    if "strideH" in options:
        yield "stride %dx%d" % (options["strideH"], options["strideW"])
    if (options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) != (1, 1):
        yield "dilation %dx%d" % (options["dilationHFactor"], options["dilationWFactor"])
    if "padding" in options:
        yield _name_in(flat.schema.Padding, options["padding"])
    if options.get("depthMultiplier", 1) > 1:
        yield "depth multiplier %d" % options["depthMultiplier"]


def _fused(options: dict[str, Any]) -> Iterator[str]:
    if options.get("fusedActivationFunction", 0):
        yield _name_in(flat.schema.ActivationFunctionType, options["fusedActivationFunction"])


def _name_in(enum: Any, value: int) -> str:
    names: dict[int, str] = {number: name for name, number in vars(enum).items() if isinstance(number, int)}
    return names.get(value, str(value)).lower().replace("_", " ")


def _option(key: str, value: Any) -> Iterator[str]:
    """The words for an option that is on, a number or a short list: `axis 3`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower()
    if key in ENUMS:
        yield "%s %s" % (words, ENUMS[key].get(value, value))
    elif isinstance(value, bool):
        if value:
            yield words
    elif isinstance(value, (int, float)):
        yield "%s %.6g" % (words, value)
    elif value is not None and not isinstance(value, (bytes, str)) and hasattr(value, "__len__") and len(value) <= LONGEST_LIST:
        yield "%s %s" % (words, ", ".join("%.6g" % each for each in value))


def _custom(options: Any) -> Iterator[str]:
    """The words for a custom operator's options, where they are a map of numbers."""
    if options is None or not 0 < len(options) <= LONGEST_CUSTOM:
        return
    try:
        found = flexbuffers.Loads(bytes(options))
    except Exception:  # they can be any bytes: only the operator's author knows their format
        return
    if isinstance(found, dict):
        numbers = [(key, value) for key, value in sorted(found.items()) if isinstance(value, (bool, int, float))]
        for key, value in [pair for pair in numbers if not pair[0].startswith("_")][:MOST_CUSTOM]:
            words = text(key.encode("utf-8", "replace")).replace("_", " ")
            yield "%s %s" % (words, str(value).lower() if isinstance(value, bool) else "%.6g" % value)
