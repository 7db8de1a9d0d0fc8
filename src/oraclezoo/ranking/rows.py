"""Rows of a leaderboard: the figures for each recipe."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.ranking.compression import UNCOMPRESSED, compression
from oraclezoo.ranking.reproduction import record
from oraclezoo.ranking.text import clean
from oraclezoo.result import Failure, Result


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a leaderboard, for one recipe.

    ``ties_with`` holds the ``number`` of each row that was compared with this one and does not
    differ significantly, ``beaten_by`` the number of each significantly better row (``rank`` is one
    more than their count). ``rank`` is None if the row was not compared with any other row.

    Percentages refer to test images; ``seed_std_points`` is the sample standard deviation over
    seeds in percentage points. ``accuracy_percent`` is None if every seed failed, and ``failed``
    states the reasons. Training times are medians over seeds with their range, and ``latency`` is
    for batch size 1. ``replicates`` is the number of further results for the same recipe.

    ``ece_percent`` (15 bins of equal width), ``ece_equal_mass_percent`` and ``nll_nats`` are
    computed from the stored probabilities. ``corrupted_percent`` is the mean accuracy on corrupted
    images, or None if not measured. ``reproductions`` counts the environments that reproduced the
    result exactly or within its spread, ``reproductions_differing`` those with a different result.
    ``plugins`` lists the distributions, with versions, of components that are not built in.
    ``compression`` is ``none`` or the compression steps applied to the model.
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
    latency: LatencyRow | None
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
    def marks(self) -> list[str]:
        """Short remarks shown next to the name of the recipe."""
        remarks = (
            ("refit", self.refit),
            (f"{self.replicates} replicate{'s' * (self.replicates > 1)}", self.replicates),
            (f"reproduced {self.reproductions}×", self.reproductions),
            (f"differed {self.reproductions_differing}×", self.reproductions_differing),
        )
        return [text for text, shown in remarks if shown]

    @property
    def label(self) -> str:
        """Name of the recipe with its compression in parentheses, e.g. ``tiny (int8)``."""
        steps = clean(self.compression, 40)
        return self.recipe if steps == UNCOMPRESSED else f"{self.recipe} ({steps})"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one track and division on the same data files.

    ``test`` is the number of test images. ``recipes_scored`` counts the distinct recipes recorded
    for this test split in the ledgers of the results folders, or is None without a ledger. ``data``
    is the name of a user's data set, or identifies the data files if a track has tables for several
    versions of them; otherwise it is empty.
    """

    track: str
    division: str
    synthetic: bool
    test: int
    rows: tuple[Row, ...]
    recipes_scored: int | None = None
    data: str = ""


def row_of(result: Result) -> Row:
    """Return the row for a result, without figures that need predictions or other results."""
    reproductions = record.count(record.of_result(result.path) if result.path else ())
    robustness = result.robustness
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
        corrupted_percent=None if robustness is None else 100 * robustness.mean_accuracy,
        corruptions_version="" if robustness is None else robustness.version,
        reproductions=reproductions.confirmed,
        reproductions_differing=reproductions.differing,
        plugins=plugins_of(result),
        compression=compression(result.recipe.content),
    )


def plugins_of(result: Result) -> str:
    """Return ``distribution version (code)`` for each plugin of a result, separated by commas."""
    return ", ".join(
        f"{name} {version}" + (f" ({sha256[:8]})" if sha256 else "")
        for name, version, sha256 in result.plugin_key
    )


def _reasons(failures: tuple[Failure, ...], *, spell_out: bool) -> str:
    """Return the reasons with counts, e.g. ``2 diverged, 1 killed``, and the first message."""
    counts = Counter(failure.reason for failure in failures)
    text = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    message = clean(failures[0].message) if failures and spell_out else ""
    return f"{text}: {message}" if message else text


def _batch_one(latency: tuple[LatencyRow, ...]) -> LatencyRow | None:
    """Return the lowest latency at batch size 1, with the smallest number of threads measured."""
    single = [row for row in latency if row.batch_size == 1]
    return min(single, key=lambda row: (row.threads, row.p50_ms), default=None)
