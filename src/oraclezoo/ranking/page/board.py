"""HTML of the leaderboard page; a script adds sorting and filtering."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from oraclezoo.ranking import render
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.page import chart
from oraclezoo.ranking.page.columns import Column, Line, columns, lines
from oraclezoo.ranking.page.details import details
from oraclezoo.ranking.page.facts import FACETS, Facts, choices, facts_of
from oraclezoo.ranking.page.text import element, safe
from oraclezoo.ranking.pareto import COSTS, Cost, points
from oraclezoo.ranking.table import Table, tables
from oraclezoo.result import Result

CHARTS: dict[Cost, str] = {
    "latency_ms": "Accuracy and latency",
    "size_bytes": "Accuracy and size",
    "train_s": "Accuracy and training time",
}


def board(
    entries: Sequence[Entry],
    *,
    downloads: Mapping[str, str] | None = None,
    track: str | None = None,
    division: str | None = None,
) -> str:
    """Return the HTML of the page: a filter form, then a section for each table.

    The form stays hidden until the script of the page shows it.

    Args:
        entries: Results with their predictions.
        downloads: URLs of downloadable files, keyed by label.
        track: Keep only results of this track.
        division: Keep only results of this division.

    Raises:
        UsageError, ResultError: See :func:`oraclezoo.ranking.table.tables`.
    """
    sorted_tables = sorted(
        tables(entries, track=track, division=division), key=lambda table: table.synthetic
    )  # tables on real data first
    results = {entry.result.id: entry.result for entry in reversed(entries)}
    facts = [[facts_of(row, results[row.id]) for row in table.rows] for table in sorted_tables]
    parts = [
        _form(choices(each for several in facts for each in several)),
        _contents(sorted_tables),
    ]
    parts += [
        _section(table, each, results) for table, each in zip(sorted_tables, facts, strict=True)
    ]
    if downloads:
        parts.append(_downloads(downloads))
    return element("div", "".join(parts), class_="oz-board")


def slug(table: Table) -> str:
    """Return the name of a table as a URL fragment."""
    return re.sub(r"[^a-z0-9]+", "-", f"{table.track}-{table.division}-{table.data}".lower()).strip(
        "-"
    )


def _contents(shown: Sequence[Table]) -> str:
    """Return links to the tables if there is more than one."""
    links = [
        element("li", element("a", safe(f"{t.track}, {t.division}"), href=f"#board-{slug(t)}"))
        for t in shown
    ]
    listed = element("ul", "".join(links))
    return element("nav", listed, aria_label="Tables") if len(shown) > 1 else ""


def _form(facets: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for name, values in facets.items():
        options = element("option", "all", value="")
        options += "".join(element("option", safe(v), value=v) for v in values)
        select = element("select", options, name=name)
        parts.append(element("label", element("span", FACETS[name]) + select))
    search = '<input type="search" name="words" placeholder="any part of a name">'
    parts.append(element("label", element("span", "Name contains") + search))
    sort = element("select", "", name="sort")
    parts.append(element("label", element("span", "Sort by") + sort, class_="oz-sort"))
    parts.append(element("button", "Show all", type="reset"))
    parts.append(element("p", "", role="status", class_="oz-status"))
    return element("form", "".join(parts), class_="oz-form", hidden=True, aria_label="Filter rows")


def _section(table: Table, facts: Sequence[Facts], results: Mapping[str, Result]) -> str:
    name, body = slug(table), lines(table.rows, facts)
    mark = element("span", "synthetic data", class_="oz-mark oz-synthetic")
    data = f", data {table.data}" if table.data else ""
    title = (
        f"{safe(table.track)}, {table.division} division{data} {mark if table.synthetic else ''}"
    )
    parts = [
        element("h3", title.strip(), id=f"board-{name}"),
        element("p", safe(_about(table))),
        _charts(table),
        _table(table, name, body, results),
        element("ul", "".join(element("li", safe(note)) for note in _notes(table))),
    ]
    return element(
        "section", "".join(parts), class_="oz-table", aria_labelledby=f"board-{name}",
        data_track=table.track, data_division=table.division,
    )  # fmt: skip


def _about(table: Table) -> str:
    rows = f"{len(table.rows)} row{'s' * (len(table.rows) != 1)}"
    text = f"{rows}, evaluated on {table.test:,} test images."
    if table.recipes_scored is not None:
        text += (
            f" {table.recipes_scored} distinct recipes have been scored on this test split; the "
            "best of many looks better than it is."
        )
    if table.synthetic:
        text += " Generated characters, not real ones."
    return text


def _notes(table: Table) -> list[str]:
    """Return the notes in the caption that are specific to this table."""
    return [line for line in render.caption(table) if re.match("(Refit|No times|Replicates)", line)]


def _table(table: Table, name: str, rows: Sequence[Line], results: Mapping[str, Result]) -> str:
    table_columns = columns(rows, table.test)
    head = "".join(
        element(
            "th", safe(column.head), scope="col", title=column.title, data_key=column.key,
            data_type="number" if column.numeric else "text",
        )
        for column in table_columns
    )  # fmt: skip
    body = "".join(_row(line, table_columns, name, results[line.row.id]) for line in rows)
    caption = element("caption", safe(render.title(table)))
    rendered = element("table", caption + element("thead", element("tr", head)) + body)
    return element(
        "div", rendered, class_="oz-scroll", tabindex=0, role="region",
        aria_label=f"{table.track}, {table.division} division",
    )  # fmt: skip


def _row(line: Line, shown: Sequence[Column], name: str, result: Result) -> str:
    row, identity = line.row, f"{name}-{line.row.hash12}"
    cells = "".join(_cell(column, line) for column in shown)
    summary = element("summary", f"Command and provenance of {safe(row.label)} {row.hash12}")
    behind = element("details", summary + details(result), id=f"{identity}-made")
    details_cell = element("td", behind, colspan=len(shown))
    facets = {f"data_{key}": getattr(line.facts, key) for key in FACETS}
    return element(
        "tbody", element("tr", cells) + element("tr", details_cell, class_="oz-more"), id=identity,
        data_row=row.number, data_ties=" ".join(map(str, row.ties_with)), **facets,
    )  # fmt: skip


def _cell(column: Column, line: Line) -> str:
    value = column.value(line)
    kind = "oz-number" if column.numeric else None
    content = column.show(line)
    attributes = {"class_": kind, "data_key": column.key, "data_head": column.head}
    if column.numeric:
        attributes["data_value"] = None if value is None else f"{value!r}"
    if column.key == "recipe":
        return element("th", content, scope="row", **attributes)
    return element("td", content, **attributes)


def _charts(table: Table) -> str:
    figures = []
    for cost in COSTS:
        placed = points(table.rows, cost)
        if len(placed) < 2:
            continue
        plot = chart.scatter(placed, cost, images=table.test)
        keys = "".join(
            element("li", symbol + " " + safe(group)) for symbol, group in chart.legend(placed)
        )
        legend = element("ul", keys, class_="oz-legend")
        caption = element("figcaption", element("strong", CHARTS[cost]) + legend)
        figures.append(element("figure", plot + caption))
    return element("div", "".join(figures), class_="oz-charts") if figures else ""


def _downloads(files: Mapping[str, str]) -> str:
    links = ", ".join(
        element("a", safe(name), href=where, download="") for name, where in files.items()
    )
    return element("p", f"Download: {links}.", class_="oz-downloads")
