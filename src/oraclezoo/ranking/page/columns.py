"""Columns of a table on the page: cell contents and sort keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS
from oraclezoo.ranking.compression import UNCOMPRESSED
from oraclezoo.ranking.page import bars
from oraclezoo.ranking.page.facts import Facts
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.pareto import COSTS, Cost, cost_of, points
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.text import NONE, ranges, short

LISTED = 4
"""Maximum number of ranges for which ties are listed; above it, they are counted instead."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its facets, and the costs for which it is on the Pareto front of its group."""

    row: Row
    facts: Facts
    fronts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A table column; ``value`` returns a number or None if ``numeric``, and text otherwise."""

    key: str
    head: str
    title: str
    numeric: bool
    value: Callable[[Line], float | str | None]
    show: Callable[[Line], str]


def lines(rows: Sequence[Row], facts: Sequence[Facts]) -> list[Line]:
    """Return rows with facets and fronts; a row that is alone in its group is on no front."""
    fronts = {cost: _on_front(rows, cost) for cost in COSTS}
    return [
        Line(row, fact, frozenset(cost for cost in COSTS if row.number in fronts[cost]))
        for row, fact in zip(rows, facts, strict=True)
    ]


def _on_front(rows: Sequence[Row], cost: Cost) -> set[int]:
    placed = points(rows, cost)
    members = Counter(point.group for point in placed)
    return {p.row.number for p in placed if p.on_front and members[p.group] > 1}


def columns(shown: Sequence[Line], images: int) -> list[Column]:
    """Return the columns that these rows need; ``images`` is the number of test images."""
    rows = [line.row for line in shown]
    scale = bars.scale_of(rows, images)
    shown_columns = [
        Column("number", "#", "row number", True, lambda x: x.row.number, _number),
        Column("rank", "Rank", "1 + number of significantly better rows", True, _rank, _show_rank),
        Column(
            "ties", "Ties", "compared rows without a significant difference", True,
            lambda x: len(x.row.ties_with) if x.row.compared_with else None,
            lambda x: _show_ties(x, rows),
        ),
        Column("recipe", "Recipe", "recipe name", False, lambda x: x.row.recipe, _recipe),
        _text("backbone", "Backbone", lambda x: short(x.row.backbone)),
        _text("optimizer", "Optimizer", lambda x: short(x.row.optimizer)),
        _text("scheduler", "Scheduler", lambda x: short(x.row.scheduler)),
        Column(
            "accuracy", "Accuracy, %", "mean test accuracy with 95% interval", True,
            lambda x: x.row.accuracy_percent, lambda x: _accuracy(x, scale),
        ),
        Column(
            "latency", "Latency, ms", "p50 latency of one image, fewest threads measured", True,
            lambda x: cost_of(x.row, "latency_ms"), _latency,
        ),
        Column(
            "size", "Size, MB", "size of the saved weights or ONNX file, megabytes", True,
            lambda x: x.row.size_bytes,
            lambda x: _cost(x, "size_bytes", number(x.row.size_bytes, 2, 1e6)),
        ),
        Column(
            "training", "Training, s", "training time, median over seeds", True,
            lambda x: x.row.train_s, lambda x: _cost(x, "train_s", number(x.row.train_s, 1)),
        ),
        Column(
            "parameters", "Params, M", "parameters, millions", True, lambda x: x.row.parameters,
            lambda x: number(x.row.parameters, 2, 1e6),
        ),
        Column(
            "macs", "MACs, M", "multiply-accumulates per image, millions", True,
            lambda x: x.row.macs, lambda x: number(x.row.macs, 1, 1e6),
        ),
        _text("hardware", "Hardware", lambda x: x.row.hardware_class),
    ]  # fmt: skip
    if any(row.ece_percent is not None for row in rows):
        shown_columns.insert(
            -1, _figure("ece", "ECE, %", "expected calibration error", lambda x: x.row.ece_percent)
        )
    if any(row.corrupted_percent is not None for row in rows):
        title = "mean accuracy over all corruptions and severities"
        shown_columns.insert(
            -1, _figure("corrupted", "Corrupted, %", title, lambda x: x.row.corrupted_percent)
        )
    if any(line.facts.compression != UNCOMPRESSED for line in shown):
        shown_columns.insert(7, _text("compression", "Compression", lambda x: x.facts.compression))
    return shown_columns


def _text(key: str, head: str, value: Callable[[Line], str]) -> Column:
    return Column(key, head, head.lower(), False, value, lambda line: breakable(value(line)))


def _figure(key: str, head: str, title: str, value: Callable[[Line], float | None]) -> Column:
    return Column(key, head, title, True, value, lambda line: number(value(line), 2))


def breakable(name: str) -> str:
    """Return a name as HTML with line-break opportunities after punctuation."""
    return "".join(f"{c}<wbr>" if c in "_-/:+" else safe(c) for c in name)


def _number(line: Line) -> str:
    return str(line.row.number)


def _rank(line: Line) -> float | None:
    return line.row.rank


def _show_rank(line: Line) -> str:
    return NONE if line.row.rank is None else str(line.row.rank)


def _show_ties(line: Line, rows: Sequence[Row]) -> str:
    if not line.row.compared_with:
        return NONE
    tied = line.row.ties_with
    listed = ranges(tied)
    if listed.count(",") < LISTED:
        return bars.ties(line.row, rows) + element("span", listed, class_="oz-list")
    counted = element("span", f"{len(tied)} rows", class_="oz-list", title=listed)
    return bars.ties(line.row, rows) + counted


def _recipe(line: Line) -> str:
    row = line.row
    marks = row.marks
    if row.failures:
        marks.append("failed" if not row.seeds else f"{row.failures} failed")
    if row.seeds and row.seeds < MIN_COMMON_SEEDS:
        rough = ", rough interval" if row.seeds > 1 else ", no interval"
        marks.append(f"{row.seeds} seed{'s' * (row.seeds > 1)}{rough}")
    badges = "".join(" " + element("span", safe(mark), class_="oz-mark") for mark in marks)
    return element("span", breakable(row.recipe), class_="oz-name") + badges


def _accuracy(line: Line, scale: bars.Scale) -> str:
    row = line.row
    if row.accuracy_percent is None:
        return NONE
    figure = element("span", number(row.accuracy_percent, 2), class_="oz-figure")
    bounds = ""
    if row.ci95_low_percent is not None:
        low, high = number(row.ci95_low_percent, 1), number(row.ci95_high_percent, 1)
        spread = number(row.seed_std_points, 2)
        bounds = element("span", f"{low} to {high}, SD {spread}", class_="oz-ends")
    return figure + bars.interval(row, scale) + bounds


def _latency(line: Line) -> str:
    latency = line.row.latency
    if latency is None:
        return NONE
    setting = f"{latency.runtime} {latency.precision}"
    cell = _cost(line, "latency_ms", number(latency.p50_ms, 2))
    return cell + element("span", safe(setting), class_="oz-setting")


def _cost(line: Line, cost: str, figure: str) -> str:
    if cost not in line.fronts:
        return figure
    label = "on the Pareto front: no comparable row is as accurate at this cost"
    return (
        element("span", "◆", class_="oz-best", title=label, role="img", aria_label=label) + figure
    )
