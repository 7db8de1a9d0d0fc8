"""Signals of a prediction that drift detection monitors, each mapped to a bin of a fixed grid.

A signal is computed from the model's input and output. Bin edges are constants that depend on no
data, so images of the baseline and of the stream are treated alike, as the guarantee of
:mod:`oraclezoo.watching.martingale` requires. Changing a signal or an edge requires a new
``oraclezoo.card.baseline.VERSION``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oraclezoo.watching.metrics import CLASSES, CONFIDENCE, UNKNOWN_SCORE

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Bins = npt.NDArray[np.int64]

_TINY = np.float32(1e-6)

BINS = 64
"""Number of bins of a numeric signal."""


@dataclass(frozen=True, slots=True)
class Observations:
    """A batch of predictions.

    ``images`` is uint8 ``(N, S, S)``, the model's inputs; ``probabilities`` is float32 ``(N, C)``;
    ``unknown`` is float32 ``(N,)`` in [0, 1], or None for a model without a detector.
    """

    images: Images
    probabilities: Floats
    unknown: Floats | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Signal:
    """A numeric signal.

    ``low`` and ``high`` bound the grid of ``BINS`` equal bins; values beyond them count in the
    outermost bins. ``measure`` maps gray values float32 ``(N, S, S)`` in [0, 1] to values ``(N,)``.
    """

    name: str
    low: float
    high: float
    measure: Callable[[Floats], Floats]


def _ink(gray: Floats) -> Floats:
    return np.asarray(gray.mean((1, 2)))


def _contrast(gray: Floats) -> Floats:
    return np.asarray(gray.std((1, 2)))


def _sharpness(gray: Floats) -> Floats:
    across = abs(gray[:, :, 1:] - gray[:, :, :-1]).mean((1, 2))
    down = abs(gray[:, 1:] - gray[:, :-1]).mean((1, 2))
    return np.asarray((across + down) / (2 * gray.std((1, 2)) + _TINY))


def _grain(gray: Floats) -> Floats:
    # second difference in both directions, blind to edges and ramps (Immerkaer, "Fast noise
    # variance estimation", Computer Vision and Image Understanding 64(2), 1996)
    across = gray[:, :, 2:] - 2 * gray[:, :, 1:-1] + gray[:, :, :-2]
    both = across[:, 2:] - 2 * across[:, 1:-1] + across[:, :-2]
    return np.asarray(abs(both).mean((1, 2)) / (gray.std((1, 2)) + _TINY))


def _flatness(gray: Floats) -> Floats:
    middle = gray[:, :-1, :-1]
    same = (middle == gray[:, :-1, 1:]) & (middle == gray[:, 1:, :-1]) & (middle > 0)
    return np.asarray(same.mean((1, 2), dtype=np.float32))


def _offset(gray: Floats) -> Floats:
    size = gray.shape[1]
    axis = np.arange(size, dtype=np.float32) / (size - 1) - np.float32(0.5)
    total = gray.sum((1, 2)) + _TINY
    x = (gray.sum(1) * axis).sum(1) / total
    y = (gray.sum(2) * axis).sum(1) / total
    return np.asarray(np.hypot(x, y))


def _border(gray: Floats) -> Floats:
    width = max(1, gray.shape[1] // 8)
    sides = (gray[:, :width], gray[:, -width:], gray[:, :, :width], gray[:, :, -width:])
    return np.asarray(np.max([side.mean((1, 2)) for side in sides], axis=0))


def _slant(gray: Floats) -> Floats:
    # mean of cos(4 angle) over gradients, weighted by their energy: 1 for strokes along the axes,
    # -1 for diagonal ones
    across = gray[:, 1:-1, 2:] - gray[:, 1:-1, :-2]
    down = gray[:, 2:, 1:-1] - gray[:, :-2, 1:-1]
    real, imaginary = across**2 - down**2, 2 * across * down
    energy = across**2 + down**2 + _TINY
    slant = ((real**2 - imaginary**2) / energy).sum((1, 2)) / energy.sum((1, 2))
    return np.asarray(slant)


IMAGE_SIGNALS = (
    Signal("ink", 0.0, 0.64, _ink),
    Signal("contrast", 0.0, 0.5, _contrast),
    Signal("sharpness", 0.0, 1.0, _sharpness),
    Signal("grain", 0.0, 2.0, _grain),
    Signal("flatness", 0.0, 0.32, _flatness),
    Signal("offset", 0.0, 0.25, _offset),
    Signal("border", 0.0, 0.8, _border),
    Signal("slant", -0.8, 0.8, _slant),
)
"""Features of the model's input, which reveal corruption before it lowers accuracy."""

_LOGITS = (-4.0, 12.0)
"""Range of the confidence's grid, in logits: from a probability of 0.018 to 0.999994."""


def binned(batch: Observations) -> dict[str, Bins]:
    """Return the bin index of each image, int64 ``(N,)``, by signal.

    The bins of ``classes`` are the predicted labels. ``unknown`` is missing for a model without a
    detector.
    """
    top = np.clip(batch.probabilities.max(1).astype(np.float64), 1e-9, 1 - 1e-9)
    bins = {
        CONFIDENCE: _bins(np.log(top / (1 - top)), *_LOGITS),
        CLASSES: batch.probabilities.argmax(1).astype(np.int64),
    }
    if batch.unknown is not None:
        bins[UNKNOWN_SCORE] = _bins(batch.unknown, 0.0, 1.0)
    gray = batch.images.astype(np.float32) / np.float32(255)
    for signal in IMAGE_SIGNALS:
        bins[signal.name] = _bins(signal.measure(gray), signal.low, signal.high)
    return bins


def histograms(batch: Observations) -> dict[str, tuple[int, ...]]:
    """Return the number of images in each bin, by signal."""
    classes = batch.probabilities.shape[1]
    return {name: tuple(part.tolist()) for name, part in counted(binned(batch), classes).items()}


def counted(bins: Mapping[str, Bins], classes: int) -> dict[str, Bins]:
    """Return the number of values in each bin, by signal; ``classes`` has one bin per class."""
    return {
        name: np.bincount(part, minlength=classes if name == CLASSES else BINS)
        for name, part in bins.items()
    }


def _bins(values: npt.NDArray[np.floating], low: float, high: float) -> Bins:
    scaled = (values.astype(np.float64) - low) * (BINS / (high - low))
    return np.clip(np.floor(scaled), 0, BINS - 1).astype(np.int64)
