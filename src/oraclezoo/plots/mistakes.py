"""Contact sheet of the most confident misclassifications."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from oraclezoo.plots.records import Scored
from oraclezoo.plots.style import FAINT, RIGHT, WRONG, Letters, head, save

MOST, COLUMNS = 40, 8


def mistakes(scored: Scored, letters: Letters, folder: Path, name: str) -> list[Path]:
    """Plot up to 40 misclassified images with true class, prediction and confidence."""
    predicted = scored.predicted
    confidence = scored.probabilities[np.arange(len(predicted)), predicted].astype(np.float64)
    wrong = np.flatnonzero(predicted != scored.labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    top = wrong[:MOST]
    columns = min(COLUMNS, max(4, len(top)))
    rows = max(1, -(-len(top) // columns))
    figure = Figure(figsize=(1.28 * columns + 0.3, 1.78 * rows + 0.95))
    foot = 0.1 / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, foot, 0.995, 1 - foot))  # type: ignore[union-attr,call-arg]  # constrained layout is on
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    if not len(top):
        figure.text(0.5, 0.4, "no misclassified images", ha="center", color=FAINT, fontsize=14)
    for axes, index in zip(figure.axes, map(int, top), strict=False):
        true, guess = int(scored.labels[index]), int(predicted[index])
        axes.imshow(scored.images[index], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        lines = (
            (_short(letters, scored, true), RIGHT),
            (f"as {_short(letters, scored, guess)}", WRONG),
            (f"{100 * confidence[index]:.0f}%, no. {index}", FAINT),
        )
        for line, (text, color) in enumerate(lines):
            axes.text(
                0.5,
                -0.05 - 0.15 * line,
                text,
                transform=axes.transAxes,
                ha="center",
                va="top",
                fontsize=7 if line == 2 else 8,
                color=color,
            )
    count = f"{len(wrong)} of {len(predicted)} images misclassified"
    which = f", the {len(top)} most confident" if len(top) < len(wrong) else ""
    head(
        figure,
        f"{scored.title}: most confident mistakes",
        f"{scored.subtitle}; {count}{which}; green true, red predicted",
    )
    return save(figure, folder, name)


def _short(letters: Letters, scored: Scored, label: int) -> str:
    text = letters.label(scored.classes[label], scored.glyphs[label])
    return text if len(text) <= 14 else text[:13] + "…"
