"""Per-class figures: confusion matrix, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from oraclezoo.plots.records import Scored
from oraclezoo.plots.style import FAINT, VALIDATION, Letters, head, save

NUMBERED = 30
"""Maximum number of classes for which the cells of the confusion matrix show counts."""


def confusion(scored: Scored, letters: Letters, folder: Path, name: str) -> list[Path]:
    """Plot the row-normalized confusion matrix: rows are true classes, columns are predictions."""
    labels = sorted({*scored.present, *map(int, scored.predicted)})
    counts = np.zeros((len(scored.classes), len(scored.classes)), np.int64)
    np.add.at(counts, (scored.labels, scored.predicted), 1)
    counts = counts[np.ix_(labels, labels)]
    totals = counts.sum(1, keepdims=True)
    percent = 100 * counts / np.maximum(totals, 1)
    texts = [letters.label(scored.classes[k], scored.glyphs[k]) for k in labels]
    side = min(max(5.0, 1.8 + 0.52 * len(labels)), 16.0)
    figure = Figure(figsize=(side + 1.2, side + 0.4))
    axes = figure.subplots()
    picture = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    ticks, size = range(len(labels)), 10 if len(labels) <= NUMBERED else max(3.0, 300 / len(labels))
    axes.set_xticks(ticks, texts, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(ticks, texts, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    if len(labels) <= NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if percent[row, column] > 55 else "black"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=color, fontsize=9
                )
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the true class (%)")
    note = "image counts" if len(labels) <= NUMBERED else "normalized by row"
    head(figure, f"{scored.title}: confusion matrix", f"{scored.subtitle}; {note}")
    return save(figure, folder, name)


def per_class(
    scored: Scored,
    intervals: Sequence[tuple[float, float]],
    letters: Letters,
    folder: Path,
    name: str,
) -> list[Path]:
    """Plot the recall, with its 95% interval, and the precision of each class, by ascending recall.

    Args:
        scored: Predictions on a split.
        intervals: 95% confidence interval of the recall of each class in the split, in [0, 1].
        letters: Fonts for the class names.
        folder: Output folder.
        name: File name without extension.

    Returns:
        The paths of the SVG and PNG files.
    """
    present = scored.present
    correct = scored.predicted == scored.labels
    recall = np.array([100 * correct[scored.labels == k].mean() for k in present])
    precision = np.array([_precision(scored, k) for k in present])
    bounds = 100 * np.array(intervals)
    order = np.lexsort((np.arange(len(present)), recall))
    texts = []
    for index in order:
        label = present[index]
        images = int((scored.labels == label).sum())
        text = letters.label(scored.classes[label], scored.glyphs[label])
        texts.append(f"{text}  ({images})")
    height = min(max(3.0, 1.7 + 0.34 * len(present)), 60.0)
    figure = Figure(figsize=(7.2, height))
    axes = figure.subplots()
    places = np.arange(len(present))
    reach = np.abs(bounds[order].T - recall[order])
    axes.errorbar(
        recall[order],
        places,
        xerr=reach,
        fmt="o",
        ms=7,
        color=VALIDATION,
        elinewidth=1.2,
        capsize=3,
        label="recall with 95% interval (Wilson)",
    )
    axes.plot(precision[order], places + 0.22, "D", ms=4.5, color="black", label="precision")
    overall = 100 * correct.mean()
    axes.axvline(overall, color=FAINT, lw=1, ls="--", label=f"accuracy {overall:.1f}%")
    axes.set_yticks(places, texts)
    axes.set_ylim(len(present) - 0.4, -0.6)
    lowest = min(bounds.min(), np.nanmin(precision, initial=100))
    axes.set_xlim(max(-1, lowest - 5), 101)
    axes.set_xlabel("recall and precision (%)")
    axes.grid(visible=True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    head(
        figure,
        f"{scored.title}: accuracy per class",
        f"{scored.subtitle}; images per class in parentheses",
    )
    return save(figure, folder, name)


def _precision(scored: Scored, label: int) -> float:
    """Return the precision of a class in percent; NaN if the class is never predicted."""
    assigned: npt.NDArray[np.bool_] = scored.predicted == label
    if not assigned.any():
        return float("nan")
    return float(100 * (scored.labels[assigned] == label).mean())
