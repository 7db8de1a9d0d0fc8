"""Notes that explain the rank of a row, in words."""

from __future__ import annotations

from collections.abc import Sequence

from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.rows import Row

NAMED = 3
"""Maximum number of rows that a note lists by name."""


def rank_note(row: Row, rows: Sequence[Row]) -> str:
    """Return paragraphs that explain the rank of a row.

    The table is sorted by mean accuracy. If a row with a lower mean has a better rank, or one with
    a higher mean has a worse rank, the note says which comparisons cause it.

    Args:
        row: The row.
        rows: All rows of the table; ``rows[i].number`` is ``i + 1``.
    """
    if row.rank is None:
        why = "every seed failed" if row.accuracy_percent is None else "too few common seeds"
        return _paragraph(f"No rank: {why}, so the row was not compared with another.")
    others = row.compared_with
    if row.beaten_by:
        better = _names([rows[number - 1] for number in row.beaten_by])
        count = len(row.beaten_by)
        text = f"Rank {row.rank}: {count} of {others} compared rows {_is(count)} significantly "
        parts = [_paragraph(f"{text}better: {better}.")]
    else:
        parts = [_paragraph(f"Rank 1: none of {others} compared rows is significantly better.")]
    tied = len(row.ties_with)
    if tied:
        nearby = sorted(row.ties_with, key=lambda other: abs(other - row.number))[:NAMED]
        named = _names([rows[n - 1] for n in sorted(nearby)])
        more = f", and {tied - len(nearby)} more" if tied > len(nearby) else ""
        parts.append(_paragraph(f"Not separated from {named}{more}."))
    inverted = _inversion(row, rows)
    if inverted:
        parts.append(_paragraph(inverted))
    return "".join(parts)


def _inversion(row: Row, rows: Sequence[Row]) -> str:
    """Return why a neighbor stands on the other side of its rank; empty if none does."""
    above = [r for r in rows[: row.number - 1] if r.rank is not None and r.rank > (row.rank or 0)]
    if above:
        return _why(row, above[-1], "above", "higher", "worse")
    below = [r for r in rows[row.number :] if r.rank is not None and r.rank < (row.rank or 0)]
    if below:
        return _why(row, below[0], "below", "lower", "better")
    return ""


def _why(row: Row, other: Row, place: str, mean: str, rank: str) -> str:
    """Explain why ``other``, which stands above or below ``row``, has a worse or better rank."""
    text = (
        f"{other.label} stands {place} with the {mean} mean, "
        f"{number(other.accuracy_percent, 2)}% against {number(row.accuracy_percent, 2)}%, yet has "
        f"the {rank} rank, {other.rank}. Ranks count paired tests on the same images and seeds, "
        "not means"
    )
    upper, lower = (other, row) if place == "above" else (row, other)
    only = len([n for n in upper.beaten_by if n not in lower.beaten_by])
    if not only:
        return f"{text}."
    names = {id(row): "this row", id(other): other.label}
    text += (
        f": {only} row{'s' * (only > 1)} {_is(only)} significantly better than "
        f"{names[id(upper)]} but not than {names[id(lower)]}"
    )
    spread, steady = lower.seed_std_points, upper.seed_std_points
    if spread is not None and steady is not None and spread > steady:
        text += (
            f", whose accuracy varies more between seeds (SD {spread:.2f} against "
            f"{steady:.2f} points)"
        )
    return f"{text}."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _names(rows: Sequence[Row]) -> str:
    """Return the names of a few rows, and the number of the others."""
    names = [row.label for row in rows[:NAMED]]
    if len(rows) > NAMED:
        return f"{', '.join(names)} and {len(rows) - NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _paragraph(text: str) -> str:
    return element("p", safe(text))
