"""Anytime-valid sequential test of whether a stream comes from the distribution of a baseline.

This is a conformal test martingale (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random
World*, 2nd edition, 2022, chapter 8). Each new value gets a smoothed rank p among all values so
far, including those of the baseline. If baseline and stream are exchangeable, as independent draws
from one distribution are, these p-values are independent and uniform on [0, 1], even for a small
baseline. A bettor multiplies its capital by f(p) for a density f chosen before it sees p. The
capital of all bettors together is a nonnegative martingale that starts at 1, so by Ville's
inequality (1939) the probability that it ever reaches 1/a, at any time of an endless stream, is at
most a.

There are two kinds of bettors: powers of p and of 1 - p, which profit from values that shift in one
direction, and a histogram of past p-values with exponential forgetting (plug-in betting; Fedorova,
Gammerman, Nouretdinov and Vovk, ICML 2012), which profits from any lasting change. Half of the
capital is at stake from the first value. The rest is staked gradually, in small parts, so that a
change after a long stationary period is also detected: a mixture over the time of the change, as in
Shiryaev-Roberts detection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

POWERS = (0.15, 0.4, 0.7)
"""Exponents k of the bettors with densities k p^(k-1) and k (1-p)^(k-1)."""
CELLS = (10, 20)
"""Number of cells of each learned histogram."""
KEPT = (0.97, 0.99)
"""Factor by which each learned histogram's counts decay with every value."""
PRIOR = 1.0
"""Prior count in each cell that never decays; it pulls a learned density to the uniform one."""
AT_START = 0.5
"""Fraction of the capital at stake from the first value."""
HORIZON = 1000
"""Number of values after which half of the waiting capital is at stake."""
_MOST = 1e250
_LEAST = 1e-12

Vector = npt.NDArray[np.float64]


class Martingales:
    """One test martingale for each of several signals with binned values.

    Args:
        counts: Number of baseline values in each bin ``(S, B)``; for a signal with a known
            distribution, the probability of each bin.
        known: Whether each signal's distribution is known rather than estimated.
        seed: Seed of the random numbers that break ties; by default it differs for each object.

    Attributes:
        counts: Number of values in each bin so far ``(S, B)``, including those of the baseline.
        capital: Current capital of each signal ``(S,)``.
        peak: Maximum capital of each signal so far ``(S,)``. The null hypothesis of a signal is
            rejected at level a when its peak reaches 1/a.
        seen: Number of values processed.
    """

    def __init__(
        self, counts: npt.ArrayLike, known: Sequence[bool] = (), seed: int | None = None
    ) -> None:
        self.counts: Vector = np.array(counts, np.float64)
        signals = len(self.counts)
        self.capital = np.ones(signals)
        self.peak = np.ones(signals)
        self.seen = 0
        self._grows = 1.0 - np.array(known or [False] * signals, np.float64)
        self._rows = np.arange(signals)
        self._random = np.random.default_rng(seed)
        # counts of past p-values; the unit grows instead of the counts decaying
        self._cells = np.zeros((signals, sum(CELLS)))
        self._unit = np.ones(len(CELLS))
        self._learned = np.zeros(len(CELLS))
        self._bets = np.zeros((signals, 2 * len(POWERS) + len(CELLS)))

    def take(self, bins: npt.NDArray[np.int64]) -> Vector:
        """Process the next values, bins int64 ``(N, S)``, in order; return p-values ``(N, S)``.

        The result does not depend on how the stream is divided into calls.
        """
        p = self._ranks(bins)
        sides = np.stack([p, 1 - p], 2)[..., None]
        powers = (_EXPONENTS * sides ** (_EXPONENTS - 1)).reshape(*p.shape, 2 * len(POWERS))
        cells = (p[..., None] * _CELLS).astype(np.int64) + _FIRST
        factors = np.empty(self._bets.shape)
        for power, cell in zip(powers, cells, strict=True):
            factors[:, : power.shape[1]] = power
            factors[:, power.shape[1] :] = self._learn(cell)
            stake = _waiting(self.seen) - _waiting(self.seen + 1)
            self._bets += stake / factors.shape[1]
            self._bets *= factors
            self.seen += 1
            self.capital = np.minimum(self._bets.sum(1) + _waiting(self.seen), _MOST)
            np.maximum(self.peak, self.capital, out=self.peak)
            if self.capital.max() == _MOST:
                np.minimum(self._bets, _MOST, out=self._bets)
        return p

    def _ranks(self, bins: npt.NDArray[np.int64]) -> Vector:
        """Return smoothed ranks ``(N, S)``, each among the values up to and including its own."""
        rows, bins_of_rows = self._rows[:, None], bins.T
        steps = np.zeros((bins.shape[1], self.counts.shape[1], len(bins)))
        steps[rows, bins_of_rows, np.arange(len(bins))] = self._grows[:, None]
        counts = self.counts[..., None] + steps.cumsum(2)
        self.counts = counts[..., -1].copy() if len(bins) else self.counts
        below = counts.cumsum(1)
        total, position = below[:, -1], np.arange(len(bins))
        equal = counts[rows, bins_of_rows, position]
        above = total - below[rows, bins_of_rows, position]
        ties = self._random.random(bins.shape).T
        p: Vector = np.clip((above + ties * equal) / total, _LEAST, 1 - _LEAST).T
        return p

    def _learn(self, cell: npt.NDArray[np.int64]) -> Vector:
        """Return the learned densities at p-values in these cells ``(S, 2)``, then count them."""
        rows = self._rows[:, None]
        density: Vector = (self._cells[rows, cell] / self._unit + PRIOR) * _CELLS
        density /= self._learned + PRIOR * _CELLS
        self._unit /= _KEPT
        self._cells[rows, cell] += self._unit
        self._learned *= _KEPT
        self._learned += 1
        if self._unit.max() > 1e100:
            self._cells /= np.repeat(self._unit, CELLS)
            self._unit[:] = 1
        return density


_EXPONENTS = np.array(POWERS)
_CELLS = np.array(CELLS)
_KEPT = np.array(KEPT)
_FIRST = np.cumsum(_CELLS) - _CELLS


def _waiting(seen: int) -> float:
    """Return the fraction of the capital that is not yet at stake after ``seen`` values."""
    return 1.0 if seen == 0 else (1 - AT_START) * HORIZON / (HORIZON + seen - 1)
