"""Pareto: what each candidate of a compression costs, and how accurate it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from oraclezoo.plots.style import FAINT, RIGHT, VALIDATION, WRONG, head, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Spot:
    """A candidate: accuracy with its 95% interval in percent, and how it is to be marked."""

    label: str
    int8: bool
    accuracy: float
    low: float
    high: float
    within: bool
    chosen: bool


@dataclass(frozen=True)
class Panel:
    """What the spots cost, in the same order: percent of the original's, and who is on the front.

    ``bound`` is the most that is asked for, if anything is.
    """

    name: str
    costs: Sequence[float]
    front: Sequence[bool]
    bound: float | None


@dataclass(frozen=True)
class Field:
    """All candidates, the first of them the original; ``gate`` is the least accuracy, percent."""

    title: str
    subtitle: str
    spots: Sequence[Spot]
    panels: Sequence[Panel]
    gate: float | None


def pareto(field: Field, folder: Path) -> list[Path]:
    """``pareto.svg`` and ``.png``: accuracy against each cost, with front, gates and the best."""
    figure = Figure(figsize=(0.6 + 5.6 * len(field.panels), 5.0))
    found = figure.subplots(1, len(field.panels), squeeze=False, sharey=True)[0]
    for axes, panel in zip(found, field.panels, strict=True):
        _draw(axes, field, panel)
    found[0].set_ylabel("accuracy (%), bars: 95% of the paired difference")
    figure.legend(handles=_legend(field), loc="outside lower center", ncols=4, fontsize=9)
    head(figure, field.title, field.subtitle)
    return save(figure, folder, "pareto")


def _draw(axes: Axes, field: Field, panel: Panel) -> None:
    pairs = list(zip(panel.costs, field.spots, strict=True))
    best = sorted((c, s.accuracy) for (c, s), on in zip(pairs, panel.front, strict=True) if on)
    axes.step([c for c, _ in best], [a for _, a in best], where="post", color=FAINT, lw=1.2)
    if panel.bound is not None:
        axes.axvline(panel.bound, color=RIGHT, lw=1, ls="--")
    if field.gate is not None:
        axes.axhline(field.gate, color=RIGHT, lw=1, ls="--")
    for cost, spot in pairs:
        color = VALIDATION if spot.int8 else "#d97b0f"
        axes.vlines(cost, spot.low, spot.high, color=color, alpha=0.25, lw=1)
        face = color if spot.within else "white"
        axes.plot(cost, spot.accuracy, "s" if spot.int8 else "o", ms=6, mfc=face, mec=color)
        if spot.chosen:
            axes.plot(cost, spot.accuracy, "o", ms=14, mfc="none", mec=WRONG, mew=1.5)
        axes.annotate(
            spot.label, (cost, spot.accuracy), (7, 5), textcoords="offset points", fontsize=8
        )
    axes.set_xlim(0, 1.12 * max(100.0, *panel.costs))
    axes.set_xlabel(panel.name)
    axes.grid(visible=True)


def _legend(field: Field) -> list[Line2D]:
    """Only what is there to be seen."""

    def mark(marker: str, color: str, name: str, face: str | None = None) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=color, mfc=face or color, label=name)

    entries = [
        mark("o", "#d97b0f", "float"),
        mark("s", VALIDATION, "int8"),
        mark("o", FAINT, "hollow: not within the bounds", "white"),
        Line2D([], [], color=FAINT, lw=1.2, label="front"),
    ]
    if any(spot.chosen for spot in field.spots):
        chosen = Line2D([], [], ls="", marker="o", ms=11, mfc="none", mec=WRONG, label="the best")
        entries.append(chosen)
    if field.gate is not None or any(panel.bound is not None for panel in field.panels):
        entries.append(Line2D([], [], color=RIGHT, ls="--", lw=1, label="bounds"))
    return entries
