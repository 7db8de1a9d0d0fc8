"""Print the README's table of published results; ``--write`` updates the README."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import Table, tables
from oraclezoo.ranking.text import ranges
from oraclezoo.recipe.suite import Suite

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TRACK = "oracle-mnist-3k"
WHOLE, BEST = 8, 5
"""Tables with more than ``WHOLE`` rows show the first ``BEST`` and the reference recipes."""
HOUSE = ("best", "default", "tiny", "speed")
PLACE = re.compile(r"(<!-- table:begin [^\n]*-->\n).*?(<!-- table:end -->)", re.DOTALL)


def table() -> str:
    """Return each division of the low-data track as Markdown with a short caption."""
    entries = load_results([RESULTS])
    boards = sorted(tables(entries, track=TRACK), key=lambda each: each.division)
    smaller = {one.result.id for one in entries if one.result.recipe.content.get("compress")}
    parts, note, classes = [], "", set()
    for full in boards:
        shortened = replace(full, rows=chosen(full, smaller))
        classes |= {row.hardware_class for row in shortened.rows}
        title, rows, _ = shortened.to_markdown().split("\n\n", 2)
        if len(shortened.rows) < len(full.rows):
            title = title.removesuffix("**") + f", {len(shortened.rows)} of {len(full.rows)} rows**"
            rows = _with_hidden_ties(rows, shortened)
            note = (
                f"Each table shows the first {BEST} rows of a division and the reference recipes. "
                "`oraclezoo leaderboard --published` prints all rows. "
            )
        parts += [title, rows]
    parts.append(
        f"{note}Accuracies are means over seeds on {boards[0].test:,} test images, with "
        f"[95% interval] and SD over seeds. Hardware class: {', '.join(sorted(classes))}. "
        "[The protocol](docs/explanation/protocol.md) defines intervals, ranks and ties."
    )
    return "\n\n".join(parts) + "\n"


def chosen(full: Table, smaller: Collection[str]) -> tuple[Row, ...]:
    """Return the rows to show in the README; ``smaller`` are ids of compressed models."""
    if len(full.rows) <= WHOLE:
        return full.rows
    names = {*HOUSE, *Suite.load("reference").recipes}
    return tuple(
        row
        for row in full.rows
        if row.number <= BEST or (row.recipe in names and row.id not in smaller)
    )


def _with_hidden_ties(rows: str, shortened: Table) -> str:
    """Return the Markdown rows of a partial table; ties with omitted rows are only counted."""
    numbers = {row.number for row in shortened.rows}
    head, rule, *lines = rows.split("\n")
    for index, row in enumerate(shortened.rows):
        near = [number for number in row.ties_with if number in numbers]
        others = len(row.ties_with) - len(near)
        if others:
            prefix = f"{ranges(near)} and " if near else ""
            ties = f"{prefix}{others} not shown"
            cells = lines[index].split(" | ")
            lines[index] = " | ".join([*cells[:2], ties, *cells[3:]])
    return "\n".join([head, rule, *lines])


def fill(text: str) -> str:
    """Return ``text`` with the table between its two markers."""
    filled, places = PLACE.subn(lambda match: f"{match[1]}\n{table()}\n{match[2]}", text)
    if places != 1:
        raise SystemExit("README.md must contain the table markers exactly once")
    return filled


def main() -> None:
    """Print the table, or write it to the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table to README.md")
    readme = ROOT / "README.md"
    if parser.parse_args().write:
        readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
