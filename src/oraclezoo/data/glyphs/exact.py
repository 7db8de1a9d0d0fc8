"""Arithmetic and random numbers with the same result on every CPU, operating system and numpy.

numpy's ``exp``, ``sin`` and ``@`` round differently from one CPU to the next, because each CPU
has separate kernels. This module uses only operations whose result is fixed:

- ``+ - * /``, ``sqrt``, rounding and comparisons of arrays, which IEEE 754 defines to the last bit;
- sums of whole numbers held in float64 below 2^53, or in float32 below 2^24, which are exact in any
  order, so BLAS may add them in any order;
- tables whose entries are rounded so coarsely that no difference in the last bits of a maths
  library can change one (:data:`EXP_STEP`, :data:`NORMAL_STEP`);
- the raw 64-bit words of PCG64, which numpy guarantees not to change (NEP 19), instead of the
  methods of ``Generator``, which it does not.
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
"""Grid of the normal quantiles: fine against their spread of 1, coarse against rounding errors."""
EXP_STEP = 2.0**-14
"""Grid of the tabulated negative exponentials, which lie between 0 and 1."""
EXP_PER_UNIT = 1024
"""Table entries between an argument of :func:`exp_steps` and the next whole number."""

_LEVELS = 1 << 16  # equally likely values of a normal number
_EXP_LAST = 11  # exp(-11) is below half of EXP_STEP
_LN2 = 0.6931471805599453
_HALF_PI = 1.5707963267948966


class Draws:
    """A stream of random numbers from ``seed`` and a ``purpose``; other purposes are independent.

    Arguments named ``shape`` are the shape of the array to return.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, *purpose.encode()]))

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Return uniform numbers from ``low`` to ``high``, float32, in 2^24 steps."""
        return self._unit(*shape) * np.float32(high - low) + np.float32(low)

    def normal(self, *shape: int) -> Floats:
        """Return standard normal numbers, float32: multiples of NORMAL_STEP, at most 4.33."""
        words = self._words(math.prod(shape), 4).view("<u2")[: math.prod(shape)]
        return _normal_quantiles().take(words).reshape(shape)

    def happens(self, chance: float, *shape: int) -> Floats:
        """Return 1.0 with probability ``chance``, else 0.0; float32."""
        return (self._unit(*shape) < np.float32(chance)).astype(np.float32)

    def permutation(self, count: int) -> npt.NDArray[np.int64]:
        """Return the numbers below ``count`` in random order, int64 (count,)."""
        return np.argsort(self._words(count, 1), kind="stable").astype(np.int64)

    def _unit(self, *shape: int) -> Floats:
        words = self._words(math.prod(shape), 2).view("<u4")[: math.prod(shape)]
        return ((words >> 8).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def _words(self, count: int, per_word: int) -> npt.NDArray[np.uint64]:
        """Return enough 64-bit words for ``count`` values, ``per_word`` of them in each."""
        return self._bits.random_raw(-(-count // per_word)).astype("<u8", copy=False)


@cache
def _normal_quantiles() -> Floats:
    """Return the standard normal quantiles of _LEVELS equally likely levels."""
    upper = [
        round(NormalDist().inv_cdf((level + 0.5) / _LEVELS) / NORMAL_STEP)
        for level in range(_LEVELS // 2, _LEVELS)
    ]
    steps = np.array([-value for value in reversed(upper)] + upper, np.float64)
    return (steps * NORMAL_STEP).astype(np.float32)


@cache
def _exp_table() -> Doubles:
    """Return exp(-u) in whole EXP_STEPs in the middles of steps of 1 / EXP_PER_UNIT, 0 at last."""
    count = _EXP_LAST * EXP_PER_UNIT
    steps = [round(math.exp(-(i + 0.5) / EXP_PER_UNIT) / EXP_STEP) for i in range(count)]
    return np.array([*steps, 0], np.float64)


def exp_steps(place: npt.NDArray[np.floating]) -> Doubles:
    """Return exp(-place / EXP_PER_UNIT) in whole EXP_STEPs, for ``place`` >= 0, from a table.

    The error is at most 0.0006: good for ink and for filter kernels, and faster than :func:`exp`.
    """
    table = _exp_table()
    values: Doubles = table.take(np.minimum(place, len(table) - 1).astype(np.intp))
    return values


def exp(x: npt.NDArray[np.floating]) -> Doubles:
    """Return e^x, float64, to about 15 digits, for ``x`` between -700 and 700."""
    x = x.astype(np.float64)
    power = np.rint(x * (1 / _LN2))
    rest = x - power * _LN2
    total = np.ones_like(rest)
    for n in range(13, 0, -1):  # Taylor's series by Horner's rule, |rest| <= ln(2) / 2
        total = total * (rest * (1 / n)) + 1
    result: Doubles = np.ldexp(total, power.astype(np.int32))
    return result


def cos_sin(angle: npt.NDArray[np.floating]) -> tuple[Doubles, Doubles]:
    """Return cosine and sine, float64, to about 14 digits, of angles within a few turns of 0."""
    angle = angle.astype(np.float64)
    quarter = np.rint(angle * (1 / _HALF_PI))
    rest = angle - quarter * _HALF_PI
    square = rest * rest
    cosine, sine = np.ones_like(rest), np.ones_like(rest)
    for n in range(8, 0, -1):  # Taylor's series by Horner's rule, |rest| <= pi / 4
        cosine = 1 - cosine * (square * (1 / ((2 * n - 1) * (2 * n))))
        sine = 1 - sine * (square * (1 / (2 * n * (2 * n + 1))))
    sine = sine * rest
    turn = quarter.astype(np.int64) % 4
    swapped = turn % 2 == 1
    c, s = np.where(swapped, sine, cosine), np.where(swapped, cosine, sine)
    return np.where((turn == 1) | (turn == 2), -c, c), np.where(turn >= 2, -s, s)
