"""What an operator does, in a few words for people: kernel, stride, activation, and whatever else its options say."""

import re

from flatbuffers import flexbuffers

import flat

WEIGHTS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1}  # where a convolution's weights are among its inputs
# What the constants among an operator's inputs are called; "constant" where it isn't said here.
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
DONE = {  # options that are told in words of their own, or that only interpreters care about
    "strideH", "strideW", "dilationHFactor", "dilationWFactor", "filterHeight", "filterWidth", "padding", "depthMultiplier",
    "fusedActivationFunction", "potScaleInt16", "asymmetricQuantizeInputs", "valuesCount", "quantizedBiasType", "weightsFormat",
}  # fmt: skip
ENUMS = {"inDataType": flat.TYPES, "outDataType": flat.TYPES, "outputType": flat.TYPES}
LONGEST_LIST = 8
LONGEST_CUSTOM = 1 << 16
MOST_CUSTOM = 12
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")  # no XML file and no terminal should get these


def text(name):
    """A name of the file, which can be any bytes, as text that can be shown anywhere."""
    return NOT_TEXT.sub("\ufffd", bytes(name or b"").decode("utf-8", "replace"))


def attributes(name, operator, shapes):
    """Short texts. `shapes` are those of the inputs."""
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    first = [*_kernel(name, shapes), *_window(options), *_fused(options)]
    others = [told for key in sorted(options) if key not in DONE for told in _option(key, options[key])]
    return [*first, *others, *_custom(operator.customOptions)]


def role(name, place):
    roles = ROLES.get(name, ())
    return roles[place] if place < len(roles) else "constant"


def _kernel(name, shapes):
    place = WEIGHTS.get(name)
    if place is not None and place < len(shapes) and len(shapes[place]) == 4:
        yield "kernel %dx%d" % tuple(shapes[place][1:3])


def _window(options):
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


def _fused(options):
    if options.get("fusedActivationFunction", 0):
        yield _name_in(flat.schema.ActivationFunctionType, options["fusedActivationFunction"])


def _name_in(enum, value):
    names = {number: name for name, number in vars(enum).items() if isinstance(number, int)}
    return names.get(value, str(value)).lower().replace("_", " ")


def _option(key, value):
    """An option that is on, a number or a short list: `axis 3`."""
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


def _custom(options):
    """The options of a custom operator, where they are a map of numbers."""
    if options is None or not 0 < len(options) <= LONGEST_CUSTOM:
        return
    try:
        found = flexbuffers.Loads(bytes(options))
    except Exception:  # they can be anything: only the operator's author knows
        return
    if isinstance(found, dict):
        numbers = [(key, value) for key, value in sorted(found.items()) if isinstance(value, (bool, int, float))]
        for key, value in [pair for pair in numbers if not pair[0].startswith("_")][:MOST_CUSTOM]:
            words = text(key.encode("utf-8", "replace")).replace("_", " ")
            yield "%s %s" % (words, str(value).lower() if isinstance(value, bool) else "%.6g" % value)
