"""What TFLite's operators compute, in float64 and so that every processor gives the same bits.

An operator that isn't in the table is not known to be exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy

from tflite_file import exact_curves, exact_sums

if TYPE_CHECKING:
    from collections.abc import Callable

    Activation = Callable[[numpy.ndarray, numpy.ndarray | None], numpy.ndarray]  # of a value, into an array if one is given

PADDINGS = (exact_sums.SAME, exact_sums.VALID)  # by their numbers in the schema
REFLECT = 0
TINY = 1e-12  # keeps what is divided by a length from being divided by 0
HALF = numpy.float32(0.5)


class Call(Protocol):
    """One operator with its inputs."""

    options: Any
    count: int  # of its inputs
    kind: str  # the type of what it gives

    def __getitem__(self, place: int) -> numpy.ndarray:
        """An input's value."""

    def has(self, place: int) -> bool:
        """Whether it has an input that may be left out."""

    def snapped(self, place: int) -> numpy.ndarray:
        """An input's value, rounded to a grid for sums of products."""

    def weights(self, place: int, terms: int, form: Callable[[numpy.ndarray], numpy.ndarray]) -> numpy.ndarray:
        """An input in another form, rounded to a grid for sums of so many products."""


class Unknown(Exception):
    """An operator, or a use of one, that is not known to be exact."""


def _activation(call: Call) -> Activation:
    number = call.options.fusedActivationFunction
    if number not in ACTIVATIONS:
        raise Unknown("an operator with the fused activation %d" % number)
    return ACTIVATIONS[number]


def _activated(call: Call, value: numpy.ndarray) -> Any:
    return _activation(call)(value, None)


def _with_bias(call: Call, value: numpy.ndarray, place: int) -> Any:
    """The value, which is changed: nobody else has it."""
    activation, value = _activation(call), numpy.ascontiguousarray(value)
    for part in exact_sums.blocks(value):
        if call.has(place):
            numpy.add(part, call[place], out=part)
        done = activation(part, part)
        if done is not part:
            part[...] = done
    return value


def _convolution(call: Call) -> Any:
    options, shape = call.options, call[1].shape
    weights = call.weights(1, int(numpy.prod(shape[1:])), lambda value: value.transpose(1, 2, 3, 0))
    strides, dilation = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    made = exact_sums.convolve(call.snapped(0), weights, strides, PADDINGS[options.padding], dilation)
    return _with_bias(call, made, 2)


def _convolution_of_each(call: Call) -> Any:
    options, (_, height, width, out), channels = call.options, call[1].shape, call[0].shape[3]
    weights = call.weights(1, height * width, lambda value: value[0]).reshape(height, width, channels, out // channels)
    strides, dilation = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    made = exact_sums.convolve_each(call.snapped(0), weights, strides, PADDINGS[options.padding], dilation)
    return _with_bias(call, made, 2)


def _transposed_convolution(call: Call) -> Any:
    options, shape = call.options, call[1].shape
    # The last axis has the grids: it must not be the one that is summed over.
    weights = call.weights(1, int(numpy.prod(shape[1:])), lambda value: value.transpose(1, 2, 3, 0)).transpose(0, 1, 3, 2)
    made = exact_sums.spread(
        call.snapped(2), weights, (options.strideH, options.strideW), PADDINGS[options.padding], call[0].tolist()
    )
    return _with_bias(call, made, 3)


def _fully_connected(call: Call) -> Any:
    out, entries = call[1].shape
    values = call.snapped(0)
    made = numpy.matmul(values.reshape(-1, entries), call.weights(1, entries, numpy.transpose))
    if call.options.keepNumDims:
        made = made.reshape(*values.shape[:-1], out)
    return _with_bias(call, made, 2)


def _product_of_matrices(call: Call) -> Any:
    left, right = call.snapped(0), call[1]
    left = left.swapaxes(-1, -2) if call.options.adjX else left
    right = right.swapaxes(-1, -2) if call.options.adjY else right
    return numpy.matmul(left, exact_sums.snap(right, exact_sums.bits_left(left.shape[-1])))


def _axes(call: Call, place: int = 1) -> tuple[int, ...]:
    return tuple(int(each) for each in numpy.atleast_1d(call[place]))


def _sum(call: Call) -> Any:
    return numpy.sum(call.snapped(0), axis=_axes(call), keepdims=bool(call.options.keepDims))


def _mean(call: Call) -> Any:
    total = _sum(call)
    return total / (call[0].size / total.size)


def _extreme(pick: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: numpy.asarray(pick(call[0], axis=_axes(call), keepdims=bool(call.options.keepDims)))


def _largest_of_window(call: Call) -> Any:
    places = _windows(call, call[0], -numpy.inf)
    value = next(places)
    for part in places:
        value = numpy.maximum(value, part)
    return _activated(call, value)


def _mean_of_window(call: Call) -> Any:
    counts = sum(_windows(call, numpy.ones((1, *call[0].shape[1:3], 1)), 0.0))
    return _activated(call, sum(_windows(call, call.snapped(0), 0.0)) / counts)


def _windows(call: Call, values: numpy.ndarray, filler: float) -> Any:
    options = call.options
    kernel, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
    return (part for _, _, part in exact_sums.windows(values, kernel, strides, PADDINGS[options.padding], filler=filler))


def _softmax(call: Call) -> Any:
    values = call[0]
    powers = exact_curves.exp((values - values.max(-1, keepdims=True)) * float(call.options.beta))
    return powers / exact_sums.snap(powers).sum(-1, keepdims=True)


def _log_softmax(call: Call) -> Any:
    lowered = call[0] - call[0].max(-1, keepdims=True)
    return lowered - exact_curves.log(exact_sums.snap(exact_curves.exp(lowered)).sum(-1, keepdims=True))


def _to_length_one(call: Call) -> Any:
    values = exact_sums.snap(call[0], exact_sums.VALUE_BITS - 4)  # squares have twice the bits
    squares = numpy.sum(values * values, -1, keepdims=True)
    return _activated(call, values / numpy.maximum(numpy.sqrt(squares), TINY))


def _scale(size: int, wanted: int, *, corners: bool) -> Any:
    less = 1 if corners and wanted > 1 else 0
    return numpy.float32(size - less) / numpy.float32(wanted - less)


def _resized(call: Call) -> Any:
    value = call[0]
    for axis, wanted in zip((1, 2), (int(each) for each in call[1])):
        size = value.shape[axis]
        scale = float(_scale(size, wanted, corners=call.options.alignCorners))
        places = numpy.arange(wanted, dtype=numpy.float64)
        places = (places + 0.5) * scale - 0.5 if call.options.halfPixelCenters else places * scale
        low = numpy.maximum(numpy.floor(places), 0.0).astype(numpy.int64)
        high = numpy.clip(numpy.ceil(places), 0, size - 1).astype(numpy.int64)
        shares = (places - low).reshape([-1 if each == axis else 1 for each in range(4)])
        lower, upper = value.take(low, axis), value.take(high, axis)
        value = lower * (1.0 - shares) + upper * shares
    return value


def _nearest(call: Call) -> Any:
    value, options = call[0], call.options
    for axis, wanted in zip((1, 2), (int(each) for each in call[1])):
        size = value.shape[axis]
        places = numpy.arange(wanted, dtype=numpy.float32) + (HALF if options.halfPixelCenters else numpy.float32(0.0))
        places = places * _scale(size, wanted, corners=options.alignCorners)
        whole = numpy.floor(places + HALF) if options.alignCorners else numpy.floor(places)  # 0.5 is rounded up
        value = value.take(numpy.clip(whole, 0, size - 1).astype(numpy.int64), axis)
    return value


def _all(call: Call) -> list[numpy.ndarray]:
    return [call[place] for place in range(call.count)]


def _cast(call: Call) -> Any:
    return call[0].astype(numpy.float64 if call.kind == "float32" else numpy.dtype(call.kind))


def _split(call: Call) -> list[numpy.ndarray]:
    return numpy.split(call[1], call.options.numSplits, int(call[0]))


def _split_by_sizes(call: Call) -> list[numpy.ndarray]:
    return numpy.split(call[0], numpy.cumsum(call[1])[:-1], int(call[2]))


def _unpacked(call: Call) -> list[numpy.ndarray]:
    axis = call.options.axis
    return [each.squeeze(axis) for each in numpy.split(call[0], call.options.num, axis)]


def _slice(call: Call) -> Any:
    ranges = [slice(int(first), None if size < 0 else int(first + size)) for first, size in zip(call[1], call[2])]
    return call[0][tuple(ranges)]


def _strided_slice(call: Call) -> Any:
    options = call.options
    picked: list[Any] = []
    if options.ellipsisMask:
        raise Unknown("STRIDED_SLICE with an ellipsis")
    for place, (first, last, step) in enumerate(zip(*(call[each].tolist() for each in (1, 2, 3)))):
        bit = 1 << place
        if options.newAxisMask & bit:
            picked.append(numpy.newaxis)
        elif options.shrinkAxisMask & bit:
            picked.append(first)
        else:
            picked.append(slice(None if options.beginMask & bit else first, None if options.endMask & bit else last, step))
    return call[0][tuple(picked)]


def _padded(call: Call) -> Any:
    filler = float(call[2]) if call.has(2) else 0.0
    return numpy.pad(call[0], call[1], constant_values=filler)


def _mirrored(call: Call) -> Any:
    return numpy.pad(call[0], call[1], "reflect" if call.options.mode == REFLECT else "symmetric")


def _gathered(call: Call) -> Any:
    if call.options.batchDims:
        raise Unknown("GATHER in batches")
    return call[0].take(call[1], call.options.axis)


def _squeezed(call: Call) -> Any:
    wanted = call.options.squeezeDims
    return call[0].squeeze(tuple(int(each) for each in wanted) if wanted is not None and len(wanted) else None)


def _into_depth(call: Call) -> Any:
    (batch, height, width, channels), block = call[0].shape, call.options.blockSize
    parts = call[0].reshape(batch, height // block, block, width // block, block, channels)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, -1)


def _out_of_depth(call: Call) -> Any:
    (batch, height, width, channels), block = call[0].shape, call.options.blockSize
    parts = call[0].reshape(batch, height, width, block, block, channels // (block * block))
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block, width * block, -1)


def _into_batch(call: Call) -> Any:
    (rows, columns), around = call[1].tolist(), call[2].tolist()
    value = numpy.pad(call[0], [(0, 0), *around, (0, 0)])
    batch, height, width, channels = value.shape
    parts = value.reshape(batch, height // rows, rows, width // columns, columns, channels)
    return parts.transpose(2, 4, 0, 1, 3, 5).reshape(-1, height // rows, width // columns, channels)


def _out_of_batch(call: Call) -> Any:
    (rows, columns), (down, across) = call[1].tolist(), call[2].tolist()
    batch, height, width, channels = call[0].shape
    parts = call[0].reshape(rows, columns, batch // (rows * columns), height, width, channels).transpose(2, 3, 0, 4, 1, 5)
    whole = parts.reshape(-1, height * rows, width * columns, channels)
    return whole[:, down[0] : height * rows - down[1], across[0] : width * columns - across[1]]


def _of_one(compute: Callable[[numpy.ndarray], numpy.ndarray]) -> Callable[[Call], Any]:
    return lambda call: compute(call[0])


def _of_two(compute: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: numpy.asarray(compute(call[0], call[1]))


def _of_two_activated(compute: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: _activated(call, numpy.asarray(compute(call[0], call[1])))


def _clipped(low: float, high: float) -> Callable[[numpy.ndarray], Any]:
    return lambda value: numpy.clip(value, low, high)


def _leaky(call: Call) -> Any:
    return numpy.where(call[0] > 0.0, call[0], call[0] * float(call.options.alpha))


# By their numbers in the schema: none, relu, relu from -1 to 1, relu6, tanh.
ACTIVATIONS: dict[int, Activation] = {
    0: lambda value, out: value,
    1: lambda value, out: numpy.maximum(value, 0.0, out=out),
    2: lambda value, out: numpy.clip(value, -1.0, 1.0, out=out),
    3: lambda value, out: numpy.clip(value, 0.0, 6.0, out=out),
    4: lambda value, out: exact_curves.tanh(value),
}

OPERATORS: dict[bytes, Callable[[Call], Any]] = {
    b"CONV_2D": _convolution,
    b"DEPTHWISE_CONV_2D": _convolution_of_each,
    b"TRANSPOSE_CONV": _transposed_convolution,
    b"FULLY_CONNECTED": _fully_connected,
    b"BATCH_MATMUL": _product_of_matrices,
    b"SUM": _sum,
    b"MEAN": _mean,
    b"REDUCE_MAX": _extreme(numpy.max),
    b"REDUCE_MIN": _extreme(numpy.min),
    b"MAX_POOL_2D": _largest_of_window,
    b"AVERAGE_POOL_2D": _mean_of_window,
    b"SOFTMAX": _softmax,
    b"LOG_SOFTMAX": _log_softmax,
    b"L2_NORMALIZATION": _to_length_one,
    b"RESIZE_BILINEAR": _resized,
    b"RESIZE_NEAREST_NEIGHBOR": _nearest,
    b"ADD": _of_two_activated(numpy.add),
    b"SUB": _of_two_activated(numpy.subtract),
    b"MUL": _of_two_activated(numpy.multiply),
    b"DIV": _of_two_activated(numpy.divide),
    b"MAXIMUM": _of_two(numpy.maximum),
    b"MINIMUM": _of_two(numpy.minimum),
    b"SQUARED_DIFFERENCE": _of_two(lambda left, right: (left - right) * (left - right)),
    b"FLOOR_DIV": _of_two(lambda left, right: numpy.floor(left / right) if left.dtype.kind == "f" else left // right),
    b"PRELU": _of_two(lambda value, slope: numpy.where(value >= 0.0, value, value * slope)),
    b"GREATER": _of_two(numpy.greater),
    b"GREATER_EQUAL": _of_two(numpy.greater_equal),
    b"LESS": _of_two(numpy.less),
    b"LESS_EQUAL": _of_two(numpy.less_equal),
    b"EQUAL": _of_two(numpy.equal),
    b"NOT_EQUAL": _of_two(numpy.not_equal),
    b"LOGICAL_AND": _of_two(numpy.logical_and),
    b"LOGICAL_OR": _of_two(numpy.logical_or),
    b"LOGICAL_NOT": _of_one(numpy.logical_not),
    b"SELECT": lambda call: numpy.where(call[0], call[1], call[2]),
    b"SELECT_V2": lambda call: numpy.where(call[0], call[1], call[2]),
    b"ABS": _of_one(numpy.abs),
    b"NEG": _of_one(numpy.negative),
    b"FLOOR": _of_one(numpy.floor),
    b"CEIL": _of_one(numpy.ceil),
    b"ROUND": _of_one(numpy.rint),
    b"SQUARE": _of_one(numpy.square),
    b"SQRT": _of_one(numpy.sqrt),
    b"RSQRT": _of_one(lambda value: 1.0 / numpy.sqrt(value)),
    b"EXP": _of_one(exact_curves.exp),
    b"LOG": _of_one(exact_curves.log),
    b"LOGISTIC": _of_one(exact_curves.logistic),
    b"TANH": _of_one(exact_curves.tanh),
    b"ELU": _of_one(exact_curves.elu),
    b"GELU": lambda call: (exact_curves.gelu_by_tanh if call.options.approximate else exact_curves.gelu)(call[0]),
    b"HARD_SWISH": _of_one(lambda value: value * numpy.clip(value + 3.0, 0.0, 6.0) / 6.0),
    b"RELU": _of_one(lambda value: numpy.maximum(value, 0.0)),
    b"RELU6": _of_one(_clipped(0.0, 6.0)),
    b"RELU_N1_TO_1": _of_one(_clipped(-1.0, 1.0)),
    b"RELU_0_TO_1": _of_one(_clipped(0.0, 1.0)),
    b"LEAKY_RELU": _leaky,
    b"ARG_MAX": lambda call: call[0].argmax(int(call[1])),
    b"CAST": _cast,
    b"RESHAPE": lambda call: call[0].reshape(call[1] if call.has(1) else call.options.newShape),
    b"SQUEEZE": _squeezed,
    b"EXPAND_DIMS": lambda call: numpy.expand_dims(call[0], int(call[1])),
    b"SHAPE": lambda call: numpy.array(call[0].shape),
    b"REVERSE_V2": lambda call: numpy.flip(call[0], _axes(call)),
    b"TRANSPOSE": lambda call: call[0].transpose(call[1]),
    b"CONCATENATION": lambda call: _activated(call, numpy.concatenate(_all(call), call.options.axis)),
    b"PACK": lambda call: numpy.stack(_all(call), call.options.axis),
    b"UNPACK": _unpacked,
    b"SPLIT": _split,
    b"SPLIT_V": _split_by_sizes,
    b"SLICE": _slice,
    b"STRIDED_SLICE": _strided_slice,
    b"PAD": _padded,
    b"PADV2": _padded,
    b"MIRROR_PAD": _mirrored,
    b"TILE": lambda call: numpy.tile(call[0], call[1]),
    b"BROADCAST_TO": lambda call: numpy.broadcast_to(call[0], tuple(call[1])),
    b"FILL": lambda call: numpy.full(tuple(call[0]), call[1]),
    b"GATHER": _gathered,
    b"SPACE_TO_DEPTH": _into_depth,
    b"DEPTH_TO_SPACE": _out_of_depth,
    b"SPACE_TO_BATCH_ND": _into_batch,
    b"BATCH_TO_SPACE_ND": _out_of_batch,
}
