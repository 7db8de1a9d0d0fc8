"""HTML of the leaderboard page; a script adds sorting and filtering."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from oraclezoo.ranking import groups, render
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.page import chart
from oraclezoo.ranking.page.columns import Column, Line, columns, lines
from oraclezoo.ranking.page.commands import training_command
from oraclezoo.ranking.page.facts import FACETS, choices, facts_of
from oraclezoo.ranking.page.links import Key, Links, key
from oraclezoo.ranking.page.notes import rank_note
from oraclezoo.ranking.page.text import element, safe
from oraclezoo.ranking.pareto import COSTS, Cost, points
from oraclezoo.ranking.rows import Row, plugins_of
from oraclezoo.ranking.table import Table, tables

CHARTS: dict[Cost, str] = {
    "latency_ms": "Accuracy and latency",
    "size_bytes": "Accuracy and size",
    "train_s": "Accuracy and training time",
}
READING = (
    "Filled: on the Pareto front of its group, i.e. no row of the group is as accurate and as "
    "cheap. Hollow: off the front, but no row that costs as much or less is significantly more "
    "accurate. Faded: significantly worse than such a row. Vertical lines are 95% intervals."
)


def board(
    entries: Sequence[Entry],
    *,
    links: Links | None = None,
    downloads: Mapping[str, str] | None = None,
    track: str | None = None,
    division: str | None = None,
) -> str:
    """Return the HTML of the page: links to the tables, a filter form and a section for each table.

    The form stays hidden until the script of the page shows it.

    Args:
        entries: Results with their predictions.
        links: Addresses of the pages of rows and components, and of files.
        downloads: URLs of downloadable files, keyed by label.
        track: Keep only results of this track.
        division: Keep only results of this division.

    Raises:
        UsageError, ResultError: See :func:`oraclezoo.ranking.table.tables`.
    """
    ranked = in_order(tables(entries, track=track, division=division))
    links = links or Links()
    by_row = entries_by_row(entries)
    facts = [[facts_of(row, by_row[key(row)].result) for row in t.rows] for t in ranked]
    bodies = [lines(table.rows, each) for table, each in zip(ranked, facts, strict=True)]
    shown = {
        column.key: column
        for table, body in zip(ranked, bodies, strict=True)
        for column in columns(body, table.test, links)
    }
    parts = [
        _contents(ranked),
        _tools(choices(each for several in facts for each in several), list(shown.values())),
    ]
    parts += [
        _section(table, body, by_row, links) for table, body in zip(ranked, bodies, strict=True)
    ]
    if downloads:
        parts.append(_downloads(downloads))
    return element("div", "".join(parts), class_="oz-board")


def in_order(ranked: Sequence[Table]) -> list[Table]:
    """Return tables in the order of the page: real data first, large tables first."""
    return sorted(ranked, key=lambda table: (table.synthetic, table.track, -len(table.rows)))


def entries_by_row(entries: Sequence[Entry]) -> dict[Key, Entry]:
    """Return the entry that each row shows; among replicates, the one that the table selected."""
    by_row: dict[Key, Entry] = {}
    for entry in sorted(entries, key=groups.precedence, reverse=True):
        by_row[entry.result.id, plugins_of(entry.result)] = entry
    return by_row


def slug(table: Table) -> str:
    """Return the name of a table as a URL fragment."""
    return re.sub(r"[^a-z0-9]+", "-", f"{table.track}-{table.division}-{table.data}".lower()).strip(
        "-"
    )


def anchor(table: Table, row: Row) -> str:
    """Return the id of a row on the page."""
    return f"{slug(table)}-{row.hash12}"


def heading(table: Table) -> str:
    """Return track, division and data of a table."""
    data = f", data {table.data}" if table.data else ""
    return f"{table.track}, {table.division} division{data}"


def _contents(shown: Sequence[Table]) -> str:
    """Return links to the tables if there is more than one."""
    if len(shown) < 2:
        return ""
    links = [
        element(
            "li",
            element(
                "a",
                f"{safe(t.track)} {element('span', f'{safe(t.division)}', class_='oz-quiet')} "
                + (element("span", "synthetic", class_="oz-mark") if t.synthetic else "")
                + element("span", str(len(t.rows)), class_="oz-count"),
                href=f"#board-{slug(t)}",
                data_table=slug(t),
            ),
        )
        for t in shown
    ]
    return element("nav", element("ul", "".join(links)), class_="oz-tabs", aria_label="Tables")


def _tools(facets: Mapping[str, Sequence[str]], shown: Sequence[Column]) -> str:
    """Return the filter form, and the list of columns, which works without a script."""
    boxes = "".join(
        element(
            "label",
            f'<input type="checkbox" name="columns" value="{column.key}">' + safe(column.head),
            title=column.title,
        )
        for column in shown
        if column.extra
    )
    chosen = element("summary", "Columns") + element("div", boxes, class_="oz-menu")
    picker = element("details", chosen, class_="oz-columns")
    return element("div", _form(facets) + picker, class_="oz-tools")


def _form(facets: Mapping[str, Sequence[str]]) -> str:
    search = '<input type="search" name="words" placeholder="Filter by name" autocomplete="off">'
    label = element("span", "Filter by name", class_="oz-hidden")
    parts = [element("label", label + search, class_="oz-search")]
    parts.append(
        element("button", "Filters", type="button", class_="oz-more", aria_expanded="false")
    )
    for name, values in facets.items():
        if name in ("track", "division"):  # a table has one of each
            continue
        options = element("option", "all", value="")
        options += "".join(element("option", safe(v), value=v) for v in values)
        select = element("select", options, name=name)
        parts.append(element("label", element("span", FACETS[name]) + select, class_="oz-facet"))
    sort = element("select", "", name="sort")
    parts.append(element("label", element("span", "Sort by") + sort, class_="oz-facet oz-sort"))
    parts.append(element("button", "Clear", type="reset"))
    parts.append(element("p", "", role="status", class_="oz-status"))
    return element("form", "".join(parts), class_="oz-form", hidden=True, aria_label="Filter rows")


def _section(table: Table, body: Sequence[Line], by_row: Mapping[Key, Entry], links: Links) -> str:
    name = slug(table)
    mark = element("span", "synthetic data", class_="oz-mark oz-synthetic")
    title = f"{safe(heading(table))} {mark if table.synthetic else ''}"
    notes = "".join(element("li", safe(note)) for note in _notes(table))
    parts = [
        element("h2", title.strip(), id=f"board-{name}"),
        element("p", safe(_about(table)), class_="oz-about"),
        _table(table, name, body, by_row, links),
        element("ul", notes, class_="oz-notes") if notes else "",
        _charts(table),
    ]
    return element(
        "section", "".join(parts), class_="oz-table", aria_labelledby=f"board-{name}",
        data_table=name, data_track=table.track, data_division=table.division,
    )  # fmt: skip


def _about(table: Table) -> str:
    text = f"Accuracy on {table.test:,} test images."
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


def _table(
    table: Table, name: str, body: Sequence[Line], by_row: Mapping[Key, Entry], links: Links
) -> str:
    shown = columns(body, table.test, links)
    head = "".join(_head(column, name) for column in shown)
    head += element("th", "Command", scope="col")
    rows = "".join(_row(line, shown, table, by_row[key(line.row)], links) for line in body)
    caption = element("caption", safe(render.title(table)))
    parts = caption + element("thead", element("tr", head)) + element("tbody", rows)
    clear = element("button", "Clear the filters", type="button", class_="oz-copy")
    nothing = element("p", f"No row matches. {clear}", class_="oz-nothing", hidden=True)
    return element("div", element("table", parts) + nothing, class_="oz-scroll")


def _head(column: Column, name: str) -> str:
    about, title = f"{name}-about-{column.key}", element("span", safe(column.head), class_="oz-top")
    info = element(
        "button", "?", type="button", class_="oz-info", popovertarget=about,
        aria_label=f"About {column.head}",
    )  # fmt: skip
    note = element("div", element("p", safe(column.title)), id=about, popover="", class_="oz-note")
    return element(
        "th", title + info + note, scope="col", data_key=column.key,
        data_type="number" if column.numeric else "text",
        data_best="falls" if column.falls else "rises", data_extra=column.extra,
        aria_sort="descending" if column.key == "accuracy" else None,
    )  # fmt: skip


def _row(line: Line, shown: Sequence[Column], table: Table, entry: Entry, links: Links) -> str:
    row = line.row
    identity = anchor(table, row)
    cells = "".join(_cell(column, line, table) for column in shown)
    command = training_command(entry.result, row) or links.reproduce(entry.result)
    copy = element(
        "button", "Copy", type="button", class_="oz-copy", data_command=command, hidden=True,
        aria_label=f"Copy the command of {row.label}", title=command,
    )  # fmt: skip
    cells += element("td", copy, class_="oz-last")
    facets = {f"data_{name}": getattr(line.facts, name) for name in FACETS}
    return element(
        "tr", cells, id=identity, data_row=row.number, data_ties=" ".join(map(str, row.ties_with)),
        data_beaten=" ".join(map(str, row.beaten_by)), **facets,
    )  # fmt: skip


def _cell(column: Column, line: Line, table: Table) -> str:
    value = column.value(line)
    content = column.show(line)
    if column.key == "rank":
        note = f"{slug(table)}-why-{line.row.number}"
        content = element(
            "button", content, type="button", class_="oz-rank", popovertarget=note,
            aria_label=f"Rank {content}, {line.row.label}: reasons",
        ) + element(
            "div", rank_note(line.row, table.rows), id=note, popover="", class_="oz-note"
        )  # fmt: skip
    attributes: dict[str, object] = {"data_key": column.key, "data_extra": column.extra}
    attributes["class_"] = "oz-number" if column.numeric else None
    attributes["data_value"] = value if isinstance(value, str | None) else f"{value!r}"
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
        caption = element("figcaption", element("strong", CHARTS[cost]))
        figures.append(element("figure", caption + plot + legend))
    if not figures:
        return ""
    figures.append(element("p", safe(READING), class_="oz-reading"))
    return element("div", "".join(figures), class_="oz-charts")


def _downloads(files: Mapping[str, str]) -> str:
    links = ", ".join(
        element("a", safe(name), href=where, download="") for name, where in files.items()
    )
    return element("p", f"Download: {links}.", class_="oz-downloads")
