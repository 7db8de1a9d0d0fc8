"""Table: results of one track and division, ranked; ties said to be ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from oraclezoo.errors import ResultError, UsageError, nearest
from oraclezoo.ranking import groups, ledger, render, stats
from oraclezoo.ranking.calibration import calibration
from oraclezoo.ranking.compression import UNCOMPRESSED, compression
from oraclezoo.ranking.load import Entry, entry_of
from oraclezoo.ranking.reproduction import record
from oraclezoo.result import Failure, Latency, Result

if TYPE_CHECKING:
    import rich.table

    from oraclezoo.ranking.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe. ``ties_with`` holds the ``number`` of each row it is not separated from.

    ``beaten_by`` holds the number of each row that is significantly better: ``rank`` less one.

    Percentages are of test images; ``seed_std_points`` is the sample standard deviation over seeds,
    in percentage points. ``rank`` is None where nothing could be compared, ``accuracy_percent``
    where every training failed (``failed`` says how). Times are medians over seeds with their
    range, ``latency`` a batch of one. ``replicates`` counts further results of the same recipe.

    ``ece_percent`` (15 bins of equal width), ``ece_equal_mass_percent`` and ``nll_nats`` are of the
    stored probabilities; ``corrupted_percent`` is the mean accuracy on corrupted images, None where
    it was not measured. ``reproductions`` counts environments in which the result was run again and
    came out the same or within its spread, ``reproductions_differing`` those where it did not.
    ``plugins`` names each distribution, with its version, that is behind a part and is not
    oraclezoo itself. ``compression`` is ``none``, or the steps that made a variant of the net.
    """

    number: int
    rank: int | None
    ties_with: tuple[int, ...]
    beaten_by: tuple[int, ...]
    compared_with: int
    recipe: str
    hash12: str
    backbone: str
    optimizer: str
    scheduler: str
    accuracy_percent: float | None
    ci95_low_percent: float | None
    ci95_high_percent: float | None
    seed_std_points: float | None
    seeds: int
    failures: int
    failed: str
    train_s: float | None
    train_min_s: float | None
    train_max_s: float | None
    parameters: int | None
    macs: int | None
    size_bytes: int | None
    latency: Latency | None
    hardware_class: str
    calibration_s: float | None
    synthetic: bool
    refit: bool
    replicates: int
    id: str
    ece_percent: float | None = None
    ece_equal_mass_percent: float | None = None
    nll_nats: float | None = None
    corrupted_percent: float | None = None
    corruptions_version: str = ""
    reproductions: int = 0
    reproductions_differing: int = 0
    plugins: str = ""
    compression: str = UNCOMPRESSED

    @property
    def label(self) -> str:
        """The recipe's name and, in brackets, what compresses its net: ``tiny (int8)``."""
        steps = render.clean(self.compression, 40)
        return self.recipe if steps == UNCOMPRESSED else f"{self.recipe} ({steps})"


@dataclass(frozen=True, slots=True)
class Table:
    """The leaderboard of one track and division on the same data.

    ``test`` is the number of test images. ``recipes_scored`` counts the distinct recipes that the
    ledgers beside the results know for this test split; None without a ledger. ``data`` tells
    tables of one track apart that were made on different files; else it is empty.
    """

    track: str
    division: str
    synthetic: bool
    test: int
    rows: tuple[Row, ...]
    recipes_scored: int | None = None
    data: str = ""

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
    known = sorted({render.short(e.result.track.name) for e in entries})
    if track is not None and render.short(track) not in known:
        raise UsageError(f"no result is of track '{track}'{nearest(track, known)}")
    chosen = [
        e
        for e in entries
        if (track is None or render.short(e.result.track.name) == render.short(track))
        and (division is None or e.result.track.division == division)
    ]
    if not chosen:
        raise UsageError(f"no result is of the {division} division of {track or 'any track'}")
    by_data = groups.split(chosen)
    per_track = Counter((name, kind) for name, kind, _ in by_data)
    made = []
    for (name, kind, key), members in sorted(by_data.items()):
        several = per_track[name, kind] > 1
        made.append(_table(members, render.digest8(key) if several else ""))
    return made


def _table(entries: list[Entry], data: str) -> Table:
    best, replicates = groups.merge(entries)
    scored = [(e.result, e.predictions) for e in best if e.predictions is not None]
    groups.check_same_test(scored)
    rows = _ranked(scored)
    rows += sorted(
        (_row(e.result) for e in best if e.predictions is None), key=lambda r: (r.recipe, r.id)
    )
    track = best[0].result.track
    return Table(
        track=render.short(track.name),
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
        row = _row(scored[index][0])
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


def _row(result: Result) -> Row:
    """What a row has of the result alone."""
    again = record.count(record.of_result(result.path) if result.path else ())
    worn = result.robustness
    times = [score.train_s for score in result.seeds if score.train_s is not None]
    return Row(
        number=0,
        rank=None,
        ties_with=(),
        beaten_by=(),
        compared_with=0,
        recipe=result.recipe.name,
        hash12=result.recipe.hash12,
        backbone=result.components["backbone"].name,
        optimizer=result.components["optimizer"].name,
        scheduler=result.components["scheduler"].name,
        accuracy_percent=None,
        ci95_low_percent=None,
        ci95_high_percent=None,
        seed_std_points=None,
        seeds=len(result.seeds),
        failures=len(result.failures),
        failed=_reasons(result.failures, spell_out=not result.seeds),
        train_s=median(times) if times else None,
        train_min_s=min(times, default=None),
        train_max_s=max(times, default=None),
        parameters=result.model.parameters if result.model else None,
        macs=result.model.macs if result.model else None,
        size_bytes=result.model.size_bytes if result.model else None,
        latency=_batch_one(result.latency),
        hardware_class=result.hardware.class_,
        calibration_s=result.hardware.calibration_s,
        synthetic=result.track.synthetic,
        refit=result.recipe.refit,
        replicates=0,
        id=result.id,
        corrupted_percent=None if worn is None else 100 * worn.mean_accuracy,
        corruptions_version="" if worn is None else worn.version,
        reproductions=again.confirmed,
        reproductions_differing=again.differing,
        plugins=_plugins(result),
        compression=compression(result.recipe.content),
    )


def _plugins(result: Result) -> str:
    """``distribution version`` of the plugins behind a result, joined by commas."""
    parts = [result.components[kind] for kind in ("backbone", "optimizer", "scheduler", "dataset")]
    others = {f"{p.distribution} {p.version}": None for p in parts if p.distribution != "oraclezoo"}
    return ", ".join(others)


def _reasons(failures: tuple[Failure, ...], *, spell_out: bool) -> str:
    """Each reason and how often, e.g. ``2 diverged, 1 killed``; and what the first one said."""
    counts = Counter(failure.reason for failure in failures)
    text = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    said = render.clean(failures[0].message) if failures and spell_out else ""
    return f"{text}: {said}" if said else text


def _batch_one(latency: tuple[Latency, ...]) -> Latency | None:
    """The latency of one image: on the fewest threads, there the fastest."""
    single = [row for row in latency if row.batch_size == 1]
    return min(single, key=lambda row: (row.threads, row.p50_ms), default=None)


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
