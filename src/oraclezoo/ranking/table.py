"""Leaderboard tables: results for one track and division, ranked with ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from oraclezoo.errors import ResultError, UsageError, nearest
from oraclezoo.ranking import comparison, groups, ledger, render, terminal
from oraclezoo.ranking.calibration import calibration
from oraclezoo.ranking.load import Entry, entry_of
from oraclezoo.ranking.rows import Row, Rows, row_of
from oraclezoo.ranking.text import digest8, short
from oraclezoo.result import Result
from oraclezoo.result.own_track import own_track

if TYPE_CHECKING:
    import rich.table

    from oraclezoo.ranking.predictions import Predictions


@dataclass(frozen=True, slots=True, repr=False)
class Table(Rows):
    """The leaderboard for one track and division on the same data files.

    For the fields see :class:`~oraclezoo.ranking.rows.Rows`.
    """

    def to_markdown(self, *, robust: bool = False) -> str:
        """Return a GitHub-Flavored Markdown table with title and caption.

        Args:
            robust: Whether to add columns for calibration and for accuracy on corrupted images.
        """
        return render.markdown(self, robust=robust)

    def to_rich(
        self, *, robust: bool = False, columns: Collection[str] = (), explain: bool = False
    ) -> rich.table.Table:
        """Return a rich table with one line per row at 80 columns.

        Args:
            robust: Whether to add columns for calibration and for accuracy on corrupted images.
            columns: Groups of columns to add: ``components``, ``cost``, ``ties``, ``robust``.
            explain: Whether to define the figures below the table.

        Raises:
            UsageError: There is no such group of columns.
        """
        for name in columns:
            if name not in terminal.GROUPS:
                raise UsageError(f"no columns '{name}'{nearest(name, terminal.GROUPS)}")
        more = {*columns, "robust"} if robust else set(columns)
        return render.rich_table(self, more=more, explain=explain)

    def to_csv(self, *, header: bool = True) -> str:
        """Return CSV text with one line per row and all fields; column names include units."""
        return render.csv_text(self, header=header)

    def to_json(self) -> dict[str, Any]:
        """Return all fields as a JSON-serializable dictionary."""
        return render.json_dict(self)

    def __repr__(self) -> str:
        return (
            f"Table(track={self.track!r}, division={self.division!r}, test_images={self.test}, "
            f"rows={len(self.rows)})"
        )

    def _repr_html_(self) -> str:
        return render.html_text(self)


def leaderboard(
    results: Iterable[Result | Entry], *, track: str | None = None, division: str | None = None
) -> Table:
    """Return the table of results for one track and division.

    Args:
        results: Results, or entries whose predictions are already loaded.
        track: Keep only results of this track.
        division: Keep only results of this division.

    Raises:
        UsageError: The results belong to several tables, or none of them matches.
        ResultError: There are no results, or predictions are missing or invalid.
    """
    several = tables(results, track=track, division=division)
    if len(several) > 1:
        names = "; ".join(
            f"{t.track}, {t.division}{t.data and ', data ' + t.data}" for t in several
        )
        raise UsageError(f"these results belong to several tables, choose one: {names}")
    return several[0]


def tables(
    results: Iterable[Result | Entry], *, track: str | None = None, division: str | None = None
) -> list[Table]:
    """Return one table for each track, division and version of the data files.

    For arguments and exceptions see :func:`leaderboard`, which expects a single table.
    """
    entries = [r if isinstance(r, Entry) else entry_of(r) for r in results]
    if not entries:
        raise ResultError("no results to show; run 'oraclezoo bench' to create some")
    known = sorted({short(e.result.track.name) for e in entries})
    if track is not None and short(track) not in known:
        raise UsageError(f"no results for track '{track}'{nearest(track, known)}")
    selected = [
        e
        for e in entries
        if (track is None or short(e.result.track.name) == short(track))
        and (division is None or e.result.track.division == division)
    ]
    if not selected:
        raise UsageError(f"no results in the {division} division of {track or 'any track'}")
    by_data = groups.split(selected)
    versions = Counter((group.track, group.division) for group in by_data)
    ranked = []
    for group, members in sorted(by_data.items(), key=lambda item: item[0]):
        several = versions[group.track, group.division] > 1
        data = _name(members) or (digest8(group.data_key) if several else "")
        ranked.append(_table(members, data))
    return ranked


def _name(entries: list[Entry]) -> str:
    """Return the name of a user's data set; empty for other tracks or without a record."""
    for entry in entries:
        path = entry.result.path
        record = None if path is None else own_track(entry.result, path.parent)
        if record is not None:
            return record.name
    return ""


def _table(entries: list[Entry], data: str) -> Table:
    best, replicates = groups.merge(entries)
    scored = [(e.result, e.predictions) for e in best if e.predictions is not None]
    groups.check_same_test(scored)
    rows = _ranked(scored)
    rows += sorted(
        (row_of(e.result) for e in best if e.predictions is None), key=lambda r: (r.recipe, r.id)
    )
    track = best[0].result.track
    return Table(
        track=short(track.name),
        division=track.division,
        synthetic=any(e.result.track.synthetic for e in entries),
        test=max(e.result.track.test for e in best),
        rows=tuple(
            replace(row, number=number, replicates=replicates[row.id])
            for number, row in enumerate(rows, 1)
        ),
        recipes_scored=_recipes_scored(entries),
        data=data,
    )


def _ranked(scored: list[tuple[Result, Predictions]]) -> list[Row]:
    """Return the rows sorted by mean accuracy, compared rows first, with rank, ties and interval.

    Rows are not sorted by rank: few rows are significantly better than a row with a large variance
    over seeds, so sorting by rank would place it too high.
    """
    correct = [predictions.correct for _, predictions in scored]
    pairs = comparison.compare(correct, [[s.seed for s in result.seeds] for result, _ in scored])
    compared, rank = pairs.compared, pairs.rank
    ranks: list[int | None] = []
    for index, (result, _) in enumerate(scored):
        alone = len(scored) == 1 and len(result.seeds) >= comparison.MIN_COMMON_SEEDS
        ranks.append(int(rank[index]) if compared[index].any() or alone else None)
    intervals = [comparison.interval(row) for row in correct]
    order = sorted(
        range(len(scored)),
        key=lambda i: (
            ranks[i] is None,
            -intervals[i].mean,
            ranks[i] or 0,
            scored[i][0].recipe.hash,
            scored[i][0].id,
        ),
    )
    ties = compared & ~pairs.separated
    better = pairs.separated & (np.nan_to_num(pairs.difference) < 0)
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(1, len(order) + 1)
    rows = []
    for index in order:
        interval, errors = intervals[index], calibration(scored[index][1])
        row = row_of(scored[index][0])
        rows.append(
            replace(
                row,
                rank=ranks[index],
                ties_with=tuple(sorted(position[ties[index]].tolist())),
                beaten_by=tuple(sorted(position[better[index]].tolist())),
                compared_with=int(compared[index].sum()),
                accuracy_percent=100 * interval.mean,
                ci95_low_percent=_percent(interval.low),
                ci95_high_percent=_percent(interval.high),
                seed_std_points=_percent(interval.seed_std),
                ece_percent=100 * errors.ece,
                ece_equal_mass_percent=100 * errors.ece_equal_mass,
                nll_nats=errors.nll,
            )
        )
    return rows


def _recipes_scored(entries: list[Entry]) -> int | None:
    """Return how many recipes the ledgers beside the results list; None without a ledger."""
    track = entries[0].result.track
    folders = {e.result.path.parent for e in entries if e.result.path is not None}
    folders = {folder for folder in folders if (folder / ledger.FILE).is_file()}
    return ledger.count(folders, track.name, track.data_key) if folders else None


def _percent(fraction: float) -> float | None:
    return None if math.isnan(fraction) else 100 * fraction
