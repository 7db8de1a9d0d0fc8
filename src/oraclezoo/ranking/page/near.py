"""Paired comparisons of a row with the rows next to it, for the row's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oraclezoo.ranking import comparison
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.page.links import Key, Links, key
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.rows import Row

NEAREST = 8
"""Number of rows to list: ties first, then the nearest significantly different rows."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Another row, with this row's accuracy minus its own and the 95% interval, in points."""

    row: Row
    difference: float
    low: float
    high: float
    verdict: str


def neighbors(row: Row, rows: Sequence[Row], entries: Mapping[Key, Entry]) -> list[Neighbor]:
    """Return the nearest compared rows, in the order of the table.

    Rows that tie with ``row`` come first until :data:`NEAREST` are found, but two places are kept
    for the nearest better and the nearest worse row, so that the extent of the tie shows.
    """
    tied = sorted(row.ties_with, key=lambda n: abs(n - row.number))
    better = sorted(row.beaten_by, key=lambda n: abs(n - row.number))
    worse = [other.number for other in rows if row.number in other.beaten_by]
    worse.sort(key=lambda n: abs(n - row.number))
    chosen = tied[: NEAREST - 2] + better[:1] + worse[:1]
    rest = [
        *tied[NEAREST - 2 :],
        *sorted(better[1:] + worse[1:], key=lambda n: abs(n - row.number)),
    ]
    chosen += rest[: NEAREST - len(chosen)]
    verdicts = dict.fromkeys(tied, "tie") | dict.fromkeys(better, "better")
    return [
        _compared(row, rows[number - 1], verdicts.get(number, "worse"), entries)
        for number in sorted(chosen)
    ]


def near_table(row: Row, neighbors: Sequence[Neighbor], links: Links) -> str:
    """Return the table of neighbors, with links to their pages."""
    head = ("row", "accuracy, %", "difference, points", "95% interval", "verdict")
    top = "".join(element("th", name, scope="col") for name in head)
    words = {
        "tie": "not significant",
        "better": "significantly better",
        "worse": "significantly worse",
    }
    body = "".join(
        element(
            "tr",
            element("th", links.to_row(each.row, safe(each.row.label)), scope="row")
            + element("td", number(each.row.accuracy_percent, 2))
            + element("td", f"{each.difference:+.2f}")
            + element("td", f"{each.low:+.2f} to {each.high:+.2f}")
            + element("td", words[each.verdict], class_=f"oz-{each.verdict}"),
        )
        for each in neighbors
    )
    content = element(
        "caption", "Nearest rows; the difference is this row minus the other"
    ) + element("thead", element("tr", top))
    table = element("table", content + element("tbody", body))
    label = f"Rows near {row.label}"
    return element("div", table, class_="oz-scroll", tabindex=0, role="region", aria_label=label)


def _compared(row: Row, other: Row, verdict: str, entries: Mapping[Key, Entry]) -> Neighbor:
    mine, its = entries[key(row)], entries[key(other)]
    assert mine.predictions is not None
    assert its.predictions is not None
    of_mine = [score.seed for score in mine.result.seeds]
    of_it = [score.seed for score in its.result.seeds]
    common = sorted(set(of_mine) & set(of_it))
    change = comparison.interval_of_differences(
        mine.predictions.correct[[of_mine.index(seed) for seed in common]],
        its.predictions.correct[[of_it.index(seed) for seed in common]],
    )
    return Neighbor(other, 100 * change.mean, 100 * change.low, 100 * change.high, verdict)
