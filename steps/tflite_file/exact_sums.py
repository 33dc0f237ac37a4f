"""Sums of products that come out the same on every processor, to the last bit.

A floating-point sum depends on its order, and libraries choose the order by the processor. So both factors are first rounded to a
grid that is so coarse that every partial sum fits the 53 bits of a float64. Then no addition rounds: no order matters, nor whether
a multiplication and an addition are fused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANTISSA = 53  # bits of a float64
VALUE_BITS = 22  # what is kept of activations, of their largest value; float32 has 24
MOST_WEIGHT_BITS = 24
BLOCK = 1 << 16  # values: a quarter of a megabyte
SAME, VALID = "SAME", "VALID"


def extremes(values: numpy.ndarray) -> tuple[float, float]:
    """The lowest and the highest value."""
    return float(values.min()), float(values.max())


def snap(values: numpy.ndarray, bits: int = VALUE_BITS, ends: tuple[float, float] | None = None) -> numpy.ndarray:
    """The values, rounded to multiples of 2**-bits of the power of two above the largest of them. `ends`: their known extremes."""
    low, high = ends or (extremes(values) if values.size else (0.0, 0.0))
    largest = max(-low, high)
    if largest == 0.0 or not math.isfinite(largest):
        return values
    # Adding this pushes out what is finer than the grid, and taking it away again is exact.
    filler = math.ldexp(1.5, MANTISSA - 1 + math.frexp(largest)[1] - bits)
    snapped = numpy.empty(values.shape)
    for part, made in zip(blocks(values), blocks(snapped)):
        numpy.add(part, filler, out=made)
        numpy.subtract(made, filler, out=made)
    return snapped


def blocks(values: numpy.ndarray) -> Iterator[numpy.ndarray]:
    """The values in rows of the last axis, so few at a time that a processor's cache holds them through several passes."""
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    count = max(1, BLOCK // max(1, rows.shape[1]))
    return (rows[first : first + count] for first in range(0, len(rows), count))


def bits_left(terms: int) -> int:
    """The bits that the other factor may have, in sums of so many products with snapped values."""
    return min(MOST_WEIGHT_BITS, MANTISSA - VALUE_BITS - max(1, terms - 1).bit_length())


def snap_weights(weights: numpy.ndarray, terms: int) -> numpy.ndarray:
    """Weights for sums of so many products with snapped values. Each place of the last axis has a grid of its own."""
    largest = numpy.abs(weights).reshape(-1, weights.shape[-1]).max(0)
    exponents = numpy.frexp(numpy.where(largest > 0, largest, 1.0))[1]
    filler = numpy.ldexp(1.5, MANTISSA - 1 + exponents - bits_left(terms))
    snapped: numpy.ndarray = (weights + filler) - filler
    return snapped


def convolve(
    values: numpy.ndarray, weights: numpy.ndarray, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> numpy.ndarray:
    """A convolution of [1, height, width, in] with [height, width, in, out]."""
    height, width, entries, out = weights.shape
    groups = values.shape[3] // entries
    if groups > 1:
        parts = zip(numpy.split(values, groups, 3), numpy.split(weights, groups, 3))
        return numpy.concatenate([convolve(*part, strides, padding, dilation) for part in parts], 3)
    if (height, width, *strides) == (1, 1, 1, 1):
        product: numpy.ndarray = numpy.matmul(values.reshape(-1, entries), weights[0, 0])
        return product.reshape(*values.shape[:3], out)
    made: numpy.ndarray = tf.raw_ops.Conv2D(
        input=values, filter=weights, strides=[1, *strides, 1], padding=padding, dilations=[1, *dilation, 1]
    ).numpy()
    return made


def convolve_each(
    values: numpy.ndarray, weights: numpy.ndarray, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> numpy.ndarray:
    """A convolution of each channel alone, with weights [height, width, in, times]."""
    if strides[0] == strides[1] and tuple(dilation) == (1, 1):  # TensorFlow knows no other strides here
        made: numpy.ndarray = tf.raw_ops.DepthwiseConv2dNative(
            input=values, filter=weights, strides=[1, *strides, 1], padding=padding
        ).numpy()
        return made
    height, width, channels, times = weights.shape
    places = windows(values, (height, width), strides, padding, dilation)
    total = sum(part[..., numpy.newaxis] * weights[row, column] for row, column, part in places)
    spread: numpy.ndarray = total.reshape(*total.shape[:3], channels * times)
    return spread


def spread(
    values: numpy.ndarray, weights: numpy.ndarray, strides: Sequence[int], padding: str, shape: Sequence[int]
) -> numpy.ndarray:
    """A transposed convolution to a shape, with weights [height, width, out, in]."""
    made: numpy.ndarray = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=list(shape), filter=weights, out_backprop=values, strides=[1, *strides, 1], padding=padding
    ).numpy()
    return made


def windows(
    values: numpy.ndarray,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] = (1, 1),
    filler: float = 0.0,
) -> Iterator[tuple[int, int, numpy.ndarray]]:
    """For each place of a kernel, what lies under it as the kernel moves over the picture. Outside, the picture is `filler`."""
    sizes, around = [], [(0, 0)]
    for size, stride, span in zip(values.shape[1:3], strides, ((k - 1) * d + 1 for k, d in zip(kernel, dilation))):
        made = -(-size // stride) if padding == SAME else (size - span) // stride + 1
        missing = max(0, (made - 1) * stride + span - size) if padding == SAME else 0
        sizes.append((made - 1) * stride + 1)
        around.append((missing // 2, missing - missing // 2))
    padded = numpy.pad(values, [*around, (0, 0)], constant_values=filler)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            yield row, column, padded[:, top : top + sizes[0] : strides[0], left : left + sizes[1] : strides[1]]
