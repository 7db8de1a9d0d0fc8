"""Training curves: loss, accuracy and learning rate per epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from oraclezoo.plots.records import Course
from oraclezoo.plots.style import TRAIN, VALIDATION, head, save


def curves(course: Course, folder: Path) -> list[Path]:
    """Plot ``curves.svg`` and ``curves.png``: three panels with a common epoch axis."""
    rows = course.epochs
    epochs = [row.epoch for row in rows]
    validated = [row for row in rows if row.validation_loss is not None]
    validated_epochs = [row.epoch for row in validated]
    figure = Figure(figsize=(7.2, 7.2))
    loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    style: Any = {"marker": "o" if len(rows) <= 60 else None, "markersize": 3}

    losses = [row.train_loss for row in rows]
    loss.plot(epochs, losses, color=TRAIN, label=_training_label(course), **style)
    losses = [row.validation_loss for row in validated if row.validation_loss is not None]
    if losses:
        loss.plot(validated_epochs, losses, color=VALIDATION, label="validation", **style)
    loss.set_ylabel("loss (nats)")
    loss.set_ylim(bottom=0)
    loss.legend(loc="upper right", fontsize=9)

    percent = [
        100 * row.validation_accuracy for row in validated if row.validation_accuracy is not None
    ]
    if not percent:
        accuracy.set_yticks([])
        accuracy.text(
            0.5, 0.5, "no images held out", transform=accuracy.transAxes, ha="center", va="center"
        )
    else:
        accuracy.plot(validated_epochs, percent, color=VALIDATION, **style)
        best = max(range(len(percent)), key=lambda i: percent[i])
        best_epoch = validated_epochs[best]
        text = f"last {percent[-1]:.1f}%, best {percent[best]:.1f}% after epoch {best_epoch}"
        accuracy.plot(best_epoch, percent[best], "o", ms=8, mfc="none", mec=VALIDATION)
        accuracy.text(
            0.99, 0.06, text, transform=accuracy.transAxes, ha="right", fontsize=9, color=VALIDATION
        )
    accuracy.set_ylabel("validation accuracy (%)")

    rate.plot(epochs, [row.lr for row in rows], color="black", **style)
    rate.set_ylabel("learning rate\nafter epoch")
    rate.set_ylim(bottom=0)
    rate.set_xlabel("epoch")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in (loss, accuracy, rate):
        panel.grid(visible=True)
    figure.align_ylabels()
    head(figure, course.title, course.subtitle)
    return save(figure, folder, "curves")


def _training_label(course: Course) -> str:
    parts = ["augmented images"] if course.augmented else []
    if course.smoothing:
        parts.append(f"label smoothing {course.smoothing:g}")
    return "training" + (f" ({', '.join(parts)})" if parts else "")
