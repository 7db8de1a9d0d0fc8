"""Per-image statistics: class summaries, blank and saturated images, outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.features import CONTRAST_FLOOR
from oraclezoo.data.audit.records import Finding, Pool
from oraclezoo.data.corrupt.primitives import box

Floats = npt.NDArray[np.float64]

SATURATED = 0.5
"""Share of pixels at 255 from which an image counts as saturated."""
FAR = 5.0
"""Robust z-score beyond which an image is an outlier of its class."""
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Looks:
    """Statistics of N images, each float64 ``(N,)``.

    Attributes:
        mean: Mean, gray levels.
        std: Standard deviation, gray levels.
        bars: Share of pixels in black bars.
        ink: Share of the picture brighter than the midpoint of its darkest and brightest pixel.
        white: Share of pixels at 255.
        extent: Brightest minus darkest pixel, gray levels.
    """

    mean: Floats
    std: Floats
    bars: Floats
    ink: Floats
    white: Floats
    extent: Floats


MEASURES = ("mean", "std", "bars", "ink")
"""Statistics that are reported by class and searched for outliers."""


def looks(pool: Pool) -> Looks:
    """Compute the statistics of every image.

    Args:
        pool: The images.

    Returns:
        The statistics.
    """
    parts = [
        _looks(pool.images[first : first + _CHUNK]) for first in range(0, len(pool.images), _CHUNK)
    ]
    return Looks(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _looks(images: npt.NDArray[np.uint8]) -> tuple[Floats, ...]:
    within = box(images)
    area = within.sum((1, 2))
    pixels = images.shape[1] * images.shape[2]
    darkest = np.where(within, images, 255).min((1, 2)).astype(np.float64)
    brightest = images.max((1, 2)).astype(np.float64)
    halfway = (darkest + brightest) / 2
    inked = (within & (images > halfway[:, None, None])).sum((1, 2))
    return (
        images.mean((1, 2)),
        images.std((1, 2)),
        1 - area / pixels,
        inked / area,
        (images == 255).mean((1, 2)),
        brightest - images.min((1, 2)),
    )


def by_class(pool: Pool, statistics: Looks) -> list[dict[str, Any]]:
    """Summarise each of :data:`MEASURES` by class.

    Args:
        pool: The images.
        statistics: Their statistics.

    Returns:
        For each class, the mean and standard deviation of each measure, or None without images.
    """
    rows = []
    for label in range(pool.num_classes):
        of_class = pool.labels == label
        row: dict[str, Any] = {}
        for name in MEASURES:
            values = cast(Floats, getattr(statistics, name))[of_class]
            row[name] = (
                [round(float(values.mean()), 4), round(float(values.std()), 4)]
                if len(values)
                else None
            )
        rows.append(row)
    return rows


def faint(pool: Pool, statistics: Looks, contrast: npt.NDArray[np.float32]) -> list[Finding]:
    """Find blank, almost blank and saturated images.

    Args:
        pool: The images.
        statistics: Their statistics.
        contrast: float32 ``(N,)``, from :func:`oraclezoo.data.audit.features.contrast`.

    Returns:
        ``blank`` findings (a single value; serious), ``almost-blank`` (contrast below
        :data:`~oraclezoo.data.audit.features.CONTRAST_FLOOR`) and ``saturated``.
    """
    findings = []
    for at in range(len(pool.images)):
        place = pool.places([at])
        if statistics.extent[at] == 0:
            note = f"every pixel is {pool.images[at].flat[0]}"
            findings.append(Finding("blank", True, place, 0.0, note))
        elif contrast[at] < CONTRAST_FLOOR:
            note = f"strokes of {contrast[at]:.2f} gray levels, root mean square"
            findings.append(Finding("almost-blank", False, place, float(contrast[at]), note))
        elif statistics.white[at] >= SATURATED:
            note = f"{100 * statistics.white[at]:.0f}% of the pixels are white"
            findings.append(Finding("saturated", False, place, float(statistics.white[at]), note))
    return findings


def outliers(pool: Pool, statistics: Looks) -> list[Finding]:
    """Find images far from the median of their class.

    The score is the modified z-score |x - median| / (1.4826 MAD) (Iglewicz and Hoaglin 1993), for
    the measure where it is largest. Measures with no spread in a class are skipped.

    Args:
        pool: The images.
        statistics: Their statistics.

    Returns:
        A finding for each image with a score above :data:`FAR`.
    """
    score, which = np.zeros(len(pool.labels)), np.zeros(len(pool.labels), np.int64)
    for number, name in enumerate(MEASURES):
        values = cast(Floats, getattr(statistics, name))
        for label in range(pool.num_classes):
            of_class = np.flatnonzero(pool.labels == label)
            if not len(of_class):
                continue
            deviation = np.abs(values[of_class] - np.median(values[of_class]))
            spread = 1.4826 * np.median(deviation)
            if spread > 1e-9:
                better = deviation / spread > score[of_class]
                score[of_class[better]] = (deviation / spread)[better]
                which[of_class[better]] = number
    findings = []
    for at in np.flatnonzero(score > FAR):
        name = MEASURES[which[at]]
        value = cast(Floats, getattr(statistics, name))[at]
        note = f"{name} {value:.3g}: {score[at]:.1f} robust deviations from its class's median"
        findings.append(Finding("outlier", False, pool.places([int(at)]), float(score[at]), note))
    return findings
