"""Columns of a table on the page: cell contents and sort keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS
from oraclezoo.ranking.compression import UNCOMPRESSED
from oraclezoo.ranking.page import bars
from oraclezoo.ranking.page.facts import Facts
from oraclezoo.ranking.page.links import Links, linked
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.pareto import COSTS, Cost, cost_of, points
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.text import NONE, clean, ranges, short

LISTED = 4
"""Maximum number of ranges for which ties are listed; above it, they are counted instead."""
KINDS = ("backbone", "optimizer", "scheduler")


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its facets, and the costs for which it is on the Pareto front of its group."""

    row: Row
    facts: Facts
    fronts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A table column; ``value`` returns a number or None if ``numeric``, and text otherwise.

    ``falls`` says that the best value is the largest. ``extra`` columns are hidden until a visitor
    chooses them.
    """

    key: str
    head: str
    title: str
    value: Callable[[Line], float | str | None]
    show: Callable[[Line], str]
    numeric: bool = True
    falls: bool = False
    extra: bool = False


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


def columns(shown: Sequence[Line], images: int, links: Links) -> list[Column]:
    """Return the columns of a table: five that are always shown, and those on demand.

    Args:
        shown: The rows of the table.
        images: Number of test images.
        links: Pages of rows and components.
    """
    rows = [line.row for line in shown]
    scale = bars.scale_of(rows, images)
    fixed = [
        Column(
            "rank", "Rank",
            "One plus the number of significantly better rows, in paired tests over images and "
            "seeds (Holm-corrected at 5%). Select a rank to see why.",
            lambda x: x.row.rank, lambda x: NONE if x.row.rank is None else str(x.row.rank),
        ),
        Column(
            "recipe", "Recipe",
            "The name of the recipe and its backbone, optimizer and scheduler. Refit: trained on "
            "the training and validation images, so it has no validation accuracy.",
            lambda x: x.row.label, lambda x: _recipe(x, links), numeric=False,
        ),
        Column(
            "accuracy", "Accuracy, %",
            "Mean test accuracy over seeds with its 95% interval, which covers the sampling of "
            "images and the variation between seeds. The bars share one scale, logarithmic in the "
            "error.",
            lambda x: x.row.accuracy_percent, lambda x: _accuracy(x, scale), falls=True,
        ),
        Column(
            "latency", "Latency, ms",
            "Median (p50) latency of one image on the fewest threads measured. Comparable within "
            "one hardware class and runtime only. ◆: no comparable row is as accurate at this "
            "latency.",
            lambda x: cost_of(x.row, "latency_ms"), _latency,
        ),
        Column(
            "size", "Size, MB",
            "Size of the saved weights or, for a compressed model, of its ONNX file. ◆: no other "
            "row is as accurate at this size.",
            lambda x: x.row.size_bytes,
            lambda x: _cost(x, "size_bytes", number(x.row.size_bytes, 2, 1e6)),
        ),
    ]  # fmt: skip
    return fixed + _extra(rows)


def _extra(rows: Sequence[Row]) -> list[Column]:
    """Return the columns on demand that these rows need."""
    ece = "Expected calibration error, 15 bins of equal width."
    corrupted = "Mean accuracy over all corruptions and severities."
    extra = [
        _figure("number", "#", "Position by mean accuracy.", 0, lambda r: r.number),
        Column(
            "ties", "Ties",
            "Compared rows without a significant difference, by position. Not transitive.",
            lambda x: len(x.row.ties_with) if x.row.compared_with else None,
            lambda x: _show_ties(x, rows),
        ),
        _figure(
            "spread", "SD, points", "Sample standard deviation of accuracy over seeds.", 2,
            lambda r: r.seed_std_points,
        ),
        Column(
            "training", "Training, s", "Training time, median over seeds, with compilation.",
            lambda x: x.row.train_s,
            lambda x: _cost(x, "train_s", number(x.row.train_s, 1)),
        ),
        _figure("parameters", "Params, M", "Parameters, millions.", 2, lambda r: r.parameters, 1e6),
        _figure("macs", "MACs, M", "Multiply-accumulates per image, millions.", 1, _macs, 1e6),
        _figure("ece", "ECE, %", ece, 2, lambda r: r.ece_percent),
        _figure(
            "corrupted", "Corrupted, %", corrupted, 2,
            lambda r: r.corrupted_percent, falls=True,
        ),
        Column(
            "hardware", "Hardware", "Hardware class; times are comparable within one class.",
            lambda x: x.row.hardware_class, lambda x: breakable(x.row.hardware_class),
            numeric=False,
        ),
    ]  # fmt: skip
    measured = {"ece": "ece_percent", "corrupted": "corrupted_percent"}
    return [
        replace(column, extra=True)
        for column in extra
        if column.key not in measured
        or any(getattr(row, measured[column.key]) is not None for row in rows)
    ]


def _macs(row: Row) -> float | None:
    return row.macs


def _figure(
    key: str,
    head: str,
    title: str,
    digits: int,
    value: Callable[[Row], float | None],
    unit: float = 1.0,
    *,
    falls: bool = False,
) -> Column:
    def show(line: Line) -> str:
        return number(value(line.row), digits, unit)

    return Column(key, head, title, lambda line: value(line.row), show, falls=falls)


def breakable(name: str) -> str:
    """Return a name as HTML with line-break opportunities after punctuation."""
    return "".join(f"{c}<wbr>" if c in "_-/:+" else safe(c) for c in name)


def _show_ties(line: Line, rows: Sequence[Row]) -> str:
    if not line.row.compared_with:
        return NONE
    tied = line.row.ties_with
    listed = ranges(tied)
    if listed.count(",") < LISTED:
        return bars.ties(line.row, rows) + element("span", listed, class_="oz-list")
    counted = element("span", f"{len(tied)} rows", class_="oz-list", title=listed)
    return bars.ties(line.row, rows) + counted


def chips(row: Row) -> str:
    """Return the compression and the remarks of a row as small labels."""
    marks = row.marks
    if row.failures:
        marks.append("failed" if not row.seeds else f"{row.failures} failed")
    if row.seeds and row.seeds < MIN_COMMON_SEEDS:
        rough = ", rough interval" if row.seeds > 1 else ", no interval"
        marks.append(f"{row.seeds} seed{'s' * (row.seeds > 1)}{rough}")
    text = "".join(" " + element("span", safe(mark), class_="oz-mark") for mark in marks)
    if row.compression == UNCOMPRESSED:
        return text
    return " " + element("span", safe(clean(row.compression, 40)), class_="oz-mark oz-small") + text


def components(row: Row, links: Links) -> str:
    """Return backbone, optimizer and scheduler, with links to their pages, and their plugins."""
    names = [(kind, getattr(row, kind)) for kind in KINDS]
    parts = [linked(links.component(kind, name), breakable(short(name))) for kind, name in names]
    plugins = f" ({safe(row.plugins)})" if row.plugins else ""
    return " · ".join(parts) + plugins


def _recipe(line: Line, links: Links) -> str:
    row = line.row
    cost = [f"{number(cost_of(row, 'latency_ms'), 2)} ms", f"{number(row.size_bytes, 2, 1e6)} MB"]
    return (
        links.to_row(row, breakable(row.recipe), class_="oz-name")
        + chips(row)
        + element("span", components(row, links), class_="oz-parts")
        + element("span", " · ".join(cost), class_="oz-brief")
    )


def _accuracy(line: Line, scale: bars.Scale) -> str:
    row = line.row
    failed = element("span", safe(f"failed: {row.failed}"), class_="oz-ends")
    if row.accuracy_percent is None:
        return failed
    figure = element("span", number(row.accuracy_percent, 2), class_="oz-figure")
    bounds = ""
    if row.ci95_low_percent is not None:
        low, high = number(row.ci95_low_percent, 1), number(row.ci95_high_percent, 1)
        bounds = element("span", f"{low}–{high}", class_="oz-ends")
    return figure + bars.interval(row, scale) + bounds + (failed if row.failures else "")


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
