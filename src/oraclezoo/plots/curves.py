"""Curves: loss, accuracy and learning rate over epochs."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from oraclezoo.plots.records import Course
from oraclezoo.plots.style import TRAIN, VALIDATION, head, save


def curves(course: Course, folder: Path) -> list[Path]:
    """``curves.svg`` and ``curves.png``: three panels over one axis of epochs."""
    rows = course.epochs
    epochs = [row["epoch"] for row in rows]
    measured = [row for row in rows if row["validation_loss"] is not None]
    at = [row["epoch"] for row in measured]
    figure = Figure(figsize=(7.2, 7.2))
    loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    dots = "o" if len(rows) <= 60 else None
    plain = {"marker": dots, "markersize": 3}

    losses = [row["train_loss"] for row in rows]
    loss.plot(epochs, losses, color=TRAIN, label=_loss_of(course), **plain)
    losses = [row["validation_loss"] for row in measured]
    loss.plot(at, losses, color=VALIDATION, label="validation", **plain)
    loss.set_ylabel("loss (nats)")
    loss.set_ylim(bottom=0)
    loss.legend(loc="upper right", fontsize=9)

    percent = [100 * row["validation_accuracy"] for row in measured]
    accuracy.plot(at, percent, color=VALIDATION, **plain)
    if percent:
        best = max(range(len(percent)), key=lambda i: percent[i])
        text = f"last {percent[-1]:.1f}%, best {percent[best]:.1f}% after epoch {at[best]}"
        accuracy.plot(at[best], percent[best], "o", ms=8, mfc="none", mec=VALIDATION)
        accuracy.text(
            0.99, 0.06, text, transform=accuracy.transAxes, ha="right", fontsize=9, color=VALIDATION
        )
    accuracy.set_ylabel("validation accuracy (%)")

    rate.plot(epochs, [row["lr"] for row in rows], color="black", **plain)
    rate.set_ylabel("learning rate\nafter the epoch")
    rate.set_ylim(bottom=0)
    rate.set_xlabel("epochs done")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in (loss, accuracy, rate):
        panel.grid(visible=True)
    figure.align_ylabels()
    head(figure, course.title, course.subtitle)
    return save(figure, folder, "curves")


def _loss_of(course: Course) -> str:
    parts = ["augmented images"] if course.augmented else []
    if course.smoothing:
        parts.append(f"labels smoothed by {course.smoothing:g}")
    return "training" + (f" ({', '.join(parts)})" if parts else "")
