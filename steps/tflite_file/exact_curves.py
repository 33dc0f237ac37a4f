"""Curves made of +, -, * and / alone, which every processor computes alike: the system's own exp differs in its last bits.

They are right to about 1e-10, or 2e-7 for `gelu`, which is finer than the ranges that are found with them need to be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from collections.abc import Callable

LOG2_OF_E = 1.4426950408889634
LN2, LN2_REST = 0.6931471806019545, -4.2009150726810846e-11  # the first has 32 bits, so that multiples of it are exact
LARGEST = 700.0  # e to this power is still a number
EXP = tuple(1.0 / math.factorial(power) for power in range(10, -1, -1))  # Taylor's, for |x| <= ln(2) / 2
LOG = tuple(2.0 / power for power in range(17, 0, -2))  # of the inverse hyperbolic tangent
ROOT_HALF = 0.7071067811865476
ROOT_2_OVER_PI, CUBE = 0.7978845608028654, 0.044715  # of the usual approximation of gelu
ERF_SHARE, ERF = 0.3275911, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)  # Abramowitz, Stegun 7.1.26
EXPONENT_BIAS, EXPONENT_PLACE = 1023, 52  # of a float64
CHUNK = 1 << 14  # values: they stay in a processor's cache


def _in_chunks(compute: Callable[[numpy.ndarray], Any]) -> Callable[[numpy.ndarray], Any]:
    def curve(values: numpy.ndarray) -> Any:
        flat, made = values.reshape(-1), numpy.empty(values.size)
        for start in range(0, flat.size, CHUNK):
            made[start : start + CHUNK] = compute(flat[start : start + CHUNK])
        return made.reshape(values.shape)

    return curve


def _polynomial(factors: tuple[float, ...], values: numpy.ndarray) -> Any:
    total = numpy.full_like(values, factors[0])
    for factor in factors[1:]:
        total *= values
        total += factor
    return total


def _exp(values: numpy.ndarray) -> Any:
    limited = numpy.clip(values, -LARGEST, LARGEST)
    doublings = numpy.rint(limited * LOG2_OF_E)
    rest = limited - doublings * LN2
    rest -= doublings * LN2_REST
    powers = ((doublings.astype(numpy.int64) + EXPONENT_BIAS) << EXPONENT_PLACE).view(numpy.float64)
    return _polynomial(EXP, rest) * powers


def _log(values: numpy.ndarray) -> Any:
    shares, exponents = numpy.frexp(values)
    small = shares < ROOT_HALF
    shares, exponents = numpy.where(small, 2.0 * shares, shares), exponents - small
    apart = (shares - 1.0) / (shares + 1.0)
    return _polynomial(LOG, apart * apart) * apart + exponents * LN2_REST + exponents * LN2


def _tanh(values: numpy.ndarray) -> Any:
    shrunk = _exp(-2.0 * numpy.abs(values))
    return numpy.copysign((1.0 - shrunk) / (1.0 + shrunk), values)


def _erf(values: numpy.ndarray) -> Any:
    size = numpy.abs(values)
    beyond = _polynomial(ERF, 1.0 / (1.0 + ERF_SHARE * size)) * _exp(-size * size)
    return numpy.copysign(1.0 - beyond, values)


exp = _in_chunks(_exp)
log = _in_chunks(_log)
tanh = _in_chunks(_tanh)
logistic = _in_chunks(lambda values: 1.0 / (1.0 + _exp(-values)))
elu = _in_chunks(lambda values: numpy.where(values > 0.0, values, _exp(values) - 1.0))
gelu = _in_chunks(lambda values: 0.5 * values * (1.0 + _erf(values * ROOT_HALF)))
gelu_by_tanh = _in_chunks(lambda values: 0.5 * values * (1.0 + _tanh(ROOT_2_OVER_PI * (values + CUBE * values * values * values))))
