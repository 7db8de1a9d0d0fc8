"""Figures of a sweep: hyperparameter importance and slice plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from oraclezoo.plots.style import VALIDATION, WRONG, head, save

COLUMNS = 3


@dataclass(frozen=True)
class Trials:
    """Finished trials of a sweep.

    ``points`` holds the values of each key over the trials, and ``values`` the objective, whose
    name is ``value_name``. Keys in ``log`` have a logarithmic axis, keys in ``choices`` a
    categorical axis. ``best`` is the index of the best trial.
    """

    title: str
    subtitle: str
    points: Mapping[str, Sequence[Any]]
    values: Sequence[float]
    value_name: str
    log: frozenset[str]
    choices: Mapping[str, Sequence[str]]
    best: int


def importance(
    trials: Trials, shares: Mapping[str, float], method: str, folder: Path
) -> list[Path]:
    """Plot ``importance.svg`` and ``importance.png``: one bar per key.

    Args:
        trials: Finished trials of the sweep.
        shares: Importance of each key in [0, 1], in descending order.
        method: Description of the importance measure.
        folder: Output folder.

    Returns:
        The paths of the SVG and PNG files.
    """
    figure = Figure(figsize=(7.2, 1.6 + 0.4 * len(shares)))
    axes = figure.subplots()
    places = np.arange(len(shares))
    percent = [100 * share for share in shares.values()]
    axes.barh(places, percent, height=0.6, color="#9dbfe0")
    for position, share in enumerate(percent):
        axes.text(share, position, f" {share:.0f}", va="center", fontsize=9)
    axes.set_yticks(places, list(shares))
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, *percent) * 1.1)
    axes.set_xlabel("importance (%)")
    head(figure, f"{trials.title}: hyperparameter importance", f"{trials.subtitle}\n{method}")
    return save(figure, folder, "importance")


def slices(trials: Trials, order: Sequence[str], folder: Path) -> list[Path]:
    """Plot ``slices.svg`` and ``slices.png``: the objective against each key, one panel per key."""
    columns = min(COLUMNS, len(order))
    rows = -(-len(order) // columns)
    figure = Figure(figsize=(max(4.6, 3.6 * columns), 2.9 * rows + 0.9))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    values = np.asarray(trials.values, np.float64)
    for panel in panels:
        panel.set_visible(False)
    for panel, key in zip(figure.axes, order, strict=False):
        panel.set_visible(True)
        points = list(trials.points[key])
        names = trials.choices.get(key)
        at = np.asarray(points if names is None else [names.index(_word(v)) for v in points], float)
        if names is not None:
            panel.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
            panel.set_xlim(-0.5, len(names) - 0.5)
        elif key in trials.log:
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
        panel.plot(at, values, "o", ms=4.5, alpha=0.7, color=VALIDATION, mec="none")
        best = [trials.best]
        panel.plot(at[best], values[best], "o", ms=10, mfc="none", mec=WRONG)
        panel.set_xlabel(key)
        panel.grid(visible=True)
    for panel in figure.axes[::columns]:
        panel.set_ylabel(trials.value_name)
    head(figure, f"{trials.title}: slices", f"{trials.subtitle}; best trial in red")
    return save(figure, folder, "slices")


def words(values: Sequence[Any]) -> list[str]:
    """Return values as strings in recipe syntax."""
    return [_word(value) for value in values]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
