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
"""Minimum fraction of pixels at 255 in an image that counts as saturated."""
OUTLIER = 5.0
"""Robust z-score above which an image is an outlier of its class."""
_CHUNK = 4096


def class_counts(pool: Pool) -> npt.NDArray[np.int64]:
    """Count the images per class and split.

    Args:
        pool: The images.

    Returns:
        int64 ``(classes, 3)``.
    """
    counts = np.zeros((pool.num_classes, len(SPLITS)), np.int64)
    np.add.at(counts, (pool.labels, pool.splits), 1)
    return counts


def balance(pool: Pool) -> Balance:
    """Return the class imbalance and a chi-square test for equal proportions in all splits.

    This is Pearson's test without Yates's correction; it excludes empty classes and splits.

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
    """Find classes without images in some split.

    Args:
        pool: The images.

    Returns:
        One finding per class; serious if the training split lacks the class and another has it.
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
    """Statistics of N images, each a float64 array ``(N,)``.

    Attributes:
        mean: Mean in gray levels.
        std: Standard deviation in gray levels.
        bars: Fraction of pixels in black bars.
        ink: Fraction of the picture that is brighter than the midpoint of its darkest and brightest
            pixels.
        white: Fraction of pixels at 255.
        extent: Difference of the brightest and darkest pixels in gray levels.
    """

    mean: Floats
    std: Floats
    bars: Floats
    ink: Floats
    white: Floats
    extent: Floats


MEASURES = ("mean", "std", "bars", "ink")
"""Statistics that are reported per class and tested for outliers."""


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
    """Summarize image counts and :data:`MEASURES` per class.

    Args:
        pool: The images.
        statistics: Statistics of the images.
        names: Class names, in label order.
        glyphs: The modern character of each class.

    Returns:
        One summary per class, in label order.
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
        statistics: Statistics of the images.
        contrast: float32 ``(N,)``, from :func:`oraclezoo.data.audit.neighbors.contrast`.

    Returns:
        Findings ``blank`` (all pixels are equal; serious), ``almost-blank`` (contrast below
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

    The score is the modified z-score |x - median| / (1.4826 MAD) (Iglewicz and Hoaglin 1993) of the
    statistic with the largest score. Statistics that do not vary within a class are skipped.

    Args:
        pool: The images.
        statistics: Statistics of the images.

    Returns:
        One finding per image with a score above :data:`OUTLIER`.
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
