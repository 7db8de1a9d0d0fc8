"""Class counts and per-image statistics: imbalance, blank and saturated images, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency

from oraclezoo.data.audit.neighbors import CONTRAST_FLOOR
from oraclezoo.data.audit.report import Balance, ClassSummary, Finding, Pool
from oraclezoo.data.corrupt.primitives import box
from oraclezoo.data.dataset import SPLITS

Floats = npt.NDArray[np.float64]

SATURATED = 0.5
"""Fraction of pixels at 255 from which an image counts as saturated."""
OUTLIER = 5.0
"""Robust z-score beyond which an image is an outlier of its class."""
_CHUNK = 4096


def class_counts(pool: Pool) -> npt.NDArray[np.int64]:
    """Count the images of each class in each split.

    Args:
        pool: The images.

    Returns:
        int64 ``(classes, 3)``.
    """
    counts = np.zeros((pool.num_classes, len(SPLITS)), np.int64)
    np.add.at(counts, (pool.labels, pool.splits), 1)
    return counts


def balance(pool: Pool) -> Balance:
    """Return the class imbalance and a chi-square test of homogeneity across the splits.

    Pearson's test, without Yates's correction. Classes and splits without images are excluded.

    Args:
        pool: The images.

    Returns:
        The imbalance and the test.
    """
    counts = class_counts(pool)
    totals = counts.sum(1)
    filled = counts[totals > 0][:, counts.sum(0) > 0]
    imbalance = round(float(totals.max() / totals[totals > 0].min()), 4)
    if min(filled.shape) < 2:
        return Balance(imbalance, 0.0, 0, 1.0)
    test = chi2_contingency(filled, correction=False)
    return Balance(
        imbalance, round(float(test.statistic), 4), int(test.dof), round(float(test.pvalue), 6)
    )


def missing_classes(pool: Pool) -> list[Finding]:
    """Find classes that lack images in a split.

    Args:
        pool: The images.

    Returns:
        A finding per class, serious if the training split lacks it and another split has it.
    """
    findings = []
    for label, row in enumerate(class_counts(pool)):
        absent = [name for name, count in zip(SPLITS, row, strict=True) if not count]
        if not absent:
            continue
        serious = "train" in absent and bool(row.sum())
        note = f"label {label} has no image in {' and '.join(absent)}"
        findings.append(Finding("label-set", serious, (), float(label), note))
    return findings


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of N images, each float64 ``(N,)``.

    Attributes:
        mean: Mean, gray levels.
        std: Standard deviation, gray levels.
        bars: Fraction of pixels in black bars.
        ink: Fraction of the picture brighter than the midpoint of its darkest and brightest pixel.
        white: Fraction of pixels at 255.
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


def statistics_of(pool: Pool) -> Statistics:
    """Compute the statistics of every image.

    Args:
        pool: The images.

    Returns:
        The statistics.
    """
    parts = [
        _statistics(pool.images[first : first + _CHUNK])
        for first in range(0, len(pool.images), _CHUNK)
    ]
    return Statistics(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _statistics(images: npt.NDArray[np.uint8]) -> tuple[Floats, ...]:
    in_box = box(images)
    area = in_box.sum((1, 2))
    pixels = images.shape[1] * images.shape[2]
    darkest = np.where(in_box, images, 255).min((1, 2)).astype(np.float64)
    brightest = images.max((1, 2)).astype(np.float64)
    halfway = (darkest + brightest) / 2
    inked = (in_box & (images > halfway[:, None, None])).sum((1, 2))
    return (
        images.mean((1, 2)),
        images.std((1, 2)),
        1 - area / pixels,
        inked / area,
        (images == 255).mean((1, 2)),
        brightest - images.min((1, 2)),
    )


def class_summaries(
    pool: Pool, statistics: Statistics, names: Sequence[str], glyphs: Sequence[str]
) -> tuple[ClassSummary, ...]:
    """Summarize counts and :data:`MEASURES` by class.

    Args:
        pool: The images.
        statistics: Their statistics.
        names: Class names, in label order.
        glyphs: The modern character of each class.

    Returns:
        A summary per class, in label order.
    """
    rows = []
    for label, counts in enumerate(class_counts(pool).tolist()):
        of_class = pool.labels == label
        moments = [_mean_and_std(getattr(statistics, name)[of_class]) for name in MEASURES]
        rows.append(ClassSummary(label, names[label], glyphs[label], *counts, *moments))
    return tuple(rows)


def _mean_and_std(values: Floats) -> tuple[float, float] | None:
    return (round(float(values.mean()), 4), round(float(values.std()), 4)) if len(values) else None


def blank_images(
    pool: Pool, statistics: Statistics, contrast: npt.NDArray[np.float32]
) -> list[Finding]:
    """Find blank, almost blank and saturated images.

    Args:
        pool: The images.
        statistics: Their statistics.
        contrast: float32 ``(N,)``, from :func:`oraclezoo.data.audit.neighbors.contrast`.

    Returns:
        ``blank`` findings (a single value; serious), ``almost-blank`` (contrast below
        :data:`~oraclezoo.data.audit.neighbors.CONTRAST_FLOOR`) and ``saturated``.
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


def outliers(pool: Pool, statistics: Statistics) -> list[Finding]:
    """Find images far from the median of their class.

    The score is the modified z-score |x - median| / (1.4826 MAD) (Iglewicz and Hoaglin 1993), for
    the measure where it is largest. Measures with no spread in a class are skipped.

    Args:
        pool: The images.
        statistics: Their statistics.

    Returns:
        A finding for each image with a score above :data:`OUTLIER`.
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
    for at in np.flatnonzero(score > OUTLIER):
        name = MEASURES[which[at]]
        value = cast(Floats, getattr(statistics, name))[at]
        note = f"{name} {value:.3g}: {score[at]:.1f} robust deviations from its class's median"
        findings.append(Finding("outlier", False, pool.places([int(at)]), float(score[at]), note))
    return findings
