"""Table: results of one track and division, ranked; ties said to be ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oraclezoo.errors import ResultError, UsageError, nearest
from oraclezoo.ranking import groups, ledger, render, stats
from oraclezoo.ranking.calibration import calibration
from oraclezoo.ranking.load import Entry, entry_of
from oraclezoo.ranking.rows import Row, Rows, row_of
from oraclezoo.ranking.text import digest8, short
from oraclezoo.result import Result

if TYPE_CHECKING:
    import rich.table

    from oraclezoo.ranking.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Table(Rows):
    """The leaderboard of one track and division on the same data; the fields are those of Rows."""

    def to_markdown(self, *, robust: bool = False) -> str:
        """A GitHub-flavoured Markdown table with its title and caption.

        ``robust`` adds columns of calibration and of accuracy on corrupted images.
        """
        return render.markdown(self, robust=robust)

    def to_rich(self, *, robust: bool = False) -> rich.table.Table:
        """A table that rich prints on a terminal; ``robust`` as for :meth:`to_markdown`."""
        return render.rich_table(self, robust=robust)

    def to_csv(self, *, header: bool = True) -> str:
        """One line a row, every field; units are in the names of the columns."""
        return render.csv_text(self, header=header)

    def to_json(self) -> dict[str, Any]:
        """All fields as plain dicts, lists, numbers and strings."""
        return render.json_dict(self)

    def _repr_html_(self) -> str:
        return render.html_text(self)


def leaderboard(
    results: Iterable[Result | Entry], *, track: str | None = None, division: str | None = None
) -> Table:
    """The one table that results of a track and division make.

    Raises UsageError if they belong to several, or to none that was asked for; ResultError if a
    result's predictions are not what it says they are.
    """
    found = tables(results, track=track, division=division)
    if len(found) > 1:
        listed = "; ".join(f"{t.track}, {t.division}{t.data and ', data ' + t.data}" for t in found)
        raise UsageError(
            f"these results make several tables, choose by track and division: {listed}"
        )
    return found[0]


def tables(
    results: Iterable[Result | Entry], *, track: str | None = None, division: str | None = None
) -> list[Table]:
    """One table for each track, division and set of data files; never mixed. Raises as above."""
    entries = [r if isinstance(r, Entry) else entry_of(r) for r in results]
    if not entries:
        raise ResultError("no results to show; run 'oraclezoo bench' to make some")
    known = sorted({short(e.result.track.name) for e in entries})
    if track is not None and short(track) not in known:
        raise UsageError(f"no result is of track '{track}'{nearest(track, known)}")
    chosen = [
        e
        for e in entries
        if (track is None or short(e.result.track.name) == short(track))
        and (division is None or e.result.track.division == division)
    ]
    if not chosen:
        raise UsageError(f"no result is of the {division} division of {track or 'any track'}")
    by_data = groups.split(chosen)
    per_track = Counter((name, kind) for name, kind, _ in by_data)
    made = []
    for (name, kind, key), members in sorted(by_data.items()):
        several = per_track[name, kind] > 1
        made.append(_table(members, digest8(key) if several else ""))
    return made


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
    """Rows by mean accuracy, those that were compared first; with rank, ties and interval.

    Not by rank: a row that varies much over seeds is separated from few, and would stand too high.
    """
    correct = [predictions.correct for _, predictions in scored]
    pairs = stats.compare(correct, [[s.seed for s in result.seeds] for result, _ in scored])
    compared, rank = pairs.compared, pairs.rank
    ranks: list[int | None] = []
    for index, (result, _) in enumerate(scored):
        alone = len(scored) == 1 and len(result.seeds) >= stats.MIN_COMMON_SEEDS
        ranks.append(int(rank[index]) if compared[index].any() or alone else None)
    intervals = [stats.interval(row) for row in correct]
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
        found, trust = intervals[index], calibration(scored[index][1])
        row = row_of(scored[index][0])
        rows.append(
            replace(
                row,
                rank=ranks[index],
                ties_with=tuple(sorted(position[ties[index]].tolist())),
                beaten_by=tuple(sorted(position[better[index]].tolist())),
                compared_with=int(compared[index].sum()),
                accuracy_percent=100 * found.mean,
                ci95_low_percent=_percent(found.low),
                ci95_high_percent=_percent(found.high),
                seed_std_points=_percent(found.seed_std),
                ece_percent=100 * trust.ece,
                ece_equal_mass_percent=100 * trust.ece_equal_mass,
                nll_nats=trust.nll,
            )
        )
    return rows


def _recipes_scored(entries: list[Entry]) -> int | None:
    """What the ledgers in the results' folders say, or None if there are none."""
    track = entries[0].result.track
    folders = {e.result.path.parent for e in entries if e.result.path is not None}
    kept = [folder for folder in folders if _has_ledger(folder)]
    return ledger.count(kept, track.name, track.data_key) if kept else None


def _has_ledger(folder: Path) -> bool:
    return (folder / ledger.FILE).is_file()


def _percent(share: float) -> float | None:
    return None if math.isnan(share) else 100 * share
