"""Plot accuracy against cost for the candidates of a compression search."""

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

FLOAT = "#d97b0f"


@dataclass(frozen=True)
class Spot:
    """A candidate: its accuracy with 95% confidence interval, in percent, and how to mark it.

    ``within`` is true if the candidate satisfies all limits, ``chosen`` if it was selected.
    """

    label: str
    int8: bool
    accuracy: float
    low: float
    high: float
    within: bool
    chosen: bool


@dataclass(frozen=True)
class Panel:
    """One cost of each spot, in percent of the original's and in the same order, with its front.

    ``bound`` is the requested maximum, if any; ``spread`` holds the lowest and highest of several
    measurements for each spot, or is empty.
    """

    name: str
    costs: Sequence[float]
    front: Sequence[bool]
    bound: float | None
    spread: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Field:
    """All candidates, the original first; ``gate`` is the minimum accuracy in percent."""

    title: str
    subtitle: str
    spots: Sequence[Spot]
    panels: Sequence[Panel]
    gate: float | None


def pareto(field: Field, folder: Path) -> list[Path]:
    """Plot ``pareto.svg`` and ``pareto.png``: accuracy against costs, with fronts and limits."""
    figure = Figure(figsize=(0.8 + 6.4 * len(field.panels), 5.4))
    row = figure.subplots(1, len(field.panels), squeeze=False, sharey=True)[0]
    for axes, panel in zip(row, field.panels, strict=True):
        _draw(axes, field, panel)
    row[0].set_ylabel("accuracy (%)")
    figure.legend(handles=_legend(field), loc="outside lower center", ncols=3, fontsize=9)
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
    for (low, high), spot in zip(panel.spread, field.spots, strict=False):
        axes.hlines(spot.accuracy, low, high, color=_color(spot), alpha=0.25, lw=1)
    for number, (cost, spot) in enumerate(pairs):
        color = _color(spot)
        axes.vlines(cost, spot.low, spot.high, color=color, alpha=0.25, lw=1)
        face = color if spot.within else "white"
        axes.plot(cost, spot.accuracy, "s" if spot.int8 else "o", ms=6, mfc=face, mec=color)
        if spot.chosen:
            axes.plot(cost, spot.accuracy, "o", ms=14, mfc="none", mec=WRONG, mew=1.5)
        offset = -6 if spot.int8 else 6
        axes.annotate(
            spot.label,
            (cost, spot.accuracy),
            (offset, -11 if number % 4 > 1 else 5),  # neighbors often have the same accuracy
            textcoords="offset points",
            ha="right" if spot.int8 else "left",
            fontsize=8,
        )
    axes.set_xlim(0, 1.12 * max(100.0, *panel.costs))
    axes.set_xlabel(panel.name)
    axes.grid(visible=True)


def _color(spot: Spot) -> str:
    return VALIDATION if spot.int8 else FLOAT


def _legend(field: Field) -> list[Line2D]:
    """Return legend entries for the elements that are present in the figure."""

    def mark(marker: str, color: str, name: str, face: str | None = None) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=color, mfc=face or color, label=name)

    entries = [
        mark("o", FLOAT, "float"),
        mark("s", VALIDATION, "int8"),
        mark("o", FAINT, "hollow: violates a bound", "white"),
        Line2D([], [], color=FAINT, lw=1.2, label="Pareto front"),
    ]
    if any(spot.chosen for spot in field.spots):
        chosen = Line2D([], [], ls="", marker="o", ms=11, mfc="none", mec=WRONG, label="selected")
        entries.append(chosen)
    if field.gate is not None or any(panel.bound is not None for panel in field.panels):
        entries.append(Line2D([], [], color=RIGHT, ls="--", lw=1, label="bounds"))
    return entries
