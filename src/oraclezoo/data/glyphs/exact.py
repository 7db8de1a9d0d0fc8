"""Arithmetic and random numbers, bit-identical on every CPU, operating system and NumPy version.

NumPy's ``exp``, ``sin`` and ``@`` use CPU-specific kernels, which round differently from one CPU to
the next. This module uses only operations with reproducible results:

- ``+ - * /``, ``sqrt``, rounding and comparisons of arrays, which IEEE 754 defines to the last bit;
- sums of integers in float64 below 2^53, or in float32 below 2^24, which are exact in any order, so
  that BLAS may reorder them;
- tables whose entries are rounded so coarsely that differences in the last bits of a math library
  cannot change them (:data:`EXP_STEP`, :data:`NORMAL_STEP`);
- the raw 64-bit words of PCG64, which NumPy guarantees not to change (NEP 19), instead of the
  methods of ``Generator``, which may change.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

NORMAL_STEP = 2.0**-9
"""Resolution of the normal quantiles: fine relative to their spread, but coarser than rounding."""
EXP_STEP = 2.0**-14
"""Resolution of the tabulated values of exp(-x), which lie between 0 and 1."""
EXP_PER_UNIT = 1024
"""Number of table entries per unit of the exponent in :func:`exp_steps`."""

_LEVELS = 1 << 16  # number of equally likely values of a normal variable
_EXP_LAST = 11  # exp(-11) is below half of EXP_STEP
_LN2 = 0.6931471805599453
_HALF_PI = 1.5707963267948966


class Draws:
    """A random stream keyed by ``seed`` and ``purpose``, independent for different purposes.

    ``shape`` arguments are the shape of the returned array.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, *purpose.encode()]))

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Draw uniform random numbers with 2^24 levels.

        Args:
            low: Lower bound.
            high: Upper bound.
            shape: Shape of the result.

        Returns:
            float32.
        """
        return self._unit(*shape) * np.float32(high - low) + np.float32(low)

    def normal(self, *shape: int) -> Floats:
        """Draw standard normal numbers, as multiples of :data:`NORMAL_STEP` of magnitude <= 4.33.

        Args:
            shape: Shape of the result.

        Returns:
            float32.
        """
        words = self._words(math.prod(shape), 4).view("<u2")[: math.prod(shape)]
        return _normal_quantiles().take(words).reshape(shape)

    def happens(self, chance: float, *shape: int) -> Floats:
        """Draw Bernoulli variables.

        Args:
            chance: Probability of 1.
            shape: Shape of the result.

        Returns:
            float32, 1.0 or 0.0.
        """
        return (self._unit(*shape) < np.float32(chance)).astype(np.float32)

    def permutation(self, count: int) -> npt.NDArray[np.int64]:
        """Draw a permutation of the integers below ``count``.

        Args:
            count: Number of integers.

        Returns:
            int64 ``(count,)``.
        """
        return np.argsort(self._words(count, 1), kind="stable").astype(np.int64)

    def _unit(self, *shape: int) -> Floats:
        words = self._words(math.prod(shape), 2).view("<u4")[: math.prod(shape)]
        return ((words >> 8).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def _words(self, count: int, per_word: int) -> npt.NDArray[np.uint64]:
        """Return enough random 64-bit words for ``count`` values, ``per_word`` of them in each."""
        return self._bits.random_raw(-(-count // per_word)).astype("<u8", copy=False)


@cache
def _normal_quantiles() -> Floats:
    """Return the standard normal quantiles of _LEVELS equally probable levels."""
    upper = [
        round(NormalDist().inv_cdf((level + 0.5) / _LEVELS) / NORMAL_STEP)
        for level in range(_LEVELS // 2, _LEVELS)
    ]
    steps = np.array([-value for value in reversed(upper)] + upper, np.float64)
    return (steps * NORMAL_STEP).astype(np.float32)


@cache
def _exp_table() -> Doubles:
    """Return exp(-u) in units of EXP_STEP at the midpoints of bins of 1 / EXP_PER_UNIT, then 0."""
    count = _EXP_LAST * EXP_PER_UNIT
    steps = [round(math.exp(-(i + 0.5) / EXP_PER_UNIT) / EXP_STEP) for i in range(count)]
    return np.array([*steps, 0], np.float64)


def exp_steps(place: npt.NDArray[np.floating]) -> Doubles:
    """Compute exp(-place / EXP_PER_UNIT) by table lookup.

    This is faster than :func:`exp`; the error is at most 0.0006, which is small enough for ink and
    filter kernels.

    Args:
        place: Arguments, at least 0, of any shape.

    Returns:
        float64, integers in units of :data:`EXP_STEP`.
    """
    table = _exp_table()
    values: Doubles = table.take(np.minimum(place, len(table) - 1).astype(np.intp))
    return values


def exp(x: npt.NDArray[np.floating]) -> Doubles:
    """Compute e^x to about 15 digits.

    The argument is reduced by multiples of ln 2, and the Taylor series evaluated by Horner's rule.

    Args:
        x: Arguments between -700 and 700, of any shape.

    Returns:
        float64.
    """
    x = x.astype(np.float64)
    power = np.rint(x * (1 / _LN2))
    rest = x - power * _LN2
    total = np.ones_like(rest)
    for n in range(13, 0, -1):  # Taylor series by Horner's rule, |rest| <= ln(2) / 2
        total = total * (rest * (1 / n)) + 1
    result: Doubles = np.ldexp(total, power.astype(np.int32))
    return result


def cos_sin(angle: npt.NDArray[np.floating]) -> tuple[Doubles, Doubles]:
    """Compute cosine and sine to about 14 digits, for angles of at most a few turns.

    Args:
        angle: Angles in radians, of any shape.

    Returns:
        Cosines and sines, float64.
    """
    angle = angle.astype(np.float64)
    quarter = np.rint(angle * (1 / _HALF_PI))
    rest = angle - quarter * _HALF_PI
    square = rest * rest
    cosine, sine = np.ones_like(rest), np.ones_like(rest)
    for n in range(8, 0, -1):  # Taylor series by Horner's rule, |rest| <= pi / 4
        cosine = 1 - cosine * (square * (1 / ((2 * n - 1) * (2 * n))))
        sine = 1 - sine * (square * (1 / (2 * n * (2 * n + 1))))
    sine = sine * rest
    turn = quarter.astype(np.int64) % 4
    swapped = turn % 2 == 1
    c, s = np.where(swapped, sine, cosine), np.where(swapped, cosine, sine)
    return np.where((turn == 1) | (turn == 2), -c, c), np.where(turn >= 2, -s, s)
