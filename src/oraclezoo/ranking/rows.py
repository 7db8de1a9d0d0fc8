"""Rows of a leaderboard: the figures of each recipe."""

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
    """One recipe of a leaderboard.

    ``ties_with`` holds the ``number`` of each row that was compared with this one and is not
    significantly different, ``beaten_by`` that of each significantly better row (``rank`` is one
    more than their count). ``rank`` is None if the row was not compared with any other.

    Percentages are of test images; ``seed_std_points`` is the sample standard deviation over seeds
    in percentage points. ``accuracy_percent`` is None if every seed failed, and ``failed`` gives
    the reasons. Training times are medians over seeds with their range, ``latency`` is of batch
    size 1. ``replicates`` counts further results of the same recipe.

    ``ece_percent`` (15 bins of equal width), ``ece_equal_mass_percent`` and ``nll_nats`` are
    computed from the stored probabilities. ``corrupted_percent`` is the mean accuracy on corrupted
    images, None if not measured. ``reproductions`` counts environments that reproduced the result
    exactly or within its spread, ``reproductions_differing`` those that did not. ``plugins`` lists
    the distributions, with versions, of components that are not built in. ``compression`` is
    ``none``, or the compression steps applied to the model.
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
        """Short remarks to show next to the recipe's name."""
        remarks = (
            ("refit", self.refit),
            (f"{self.replicates} replicate{'s' * (self.replicates > 1)}", self.replicates),
            (f"reproduced {self.reproductions}×", self.reproductions),
            (f"differed {self.reproductions_differing}×", self.reproductions_differing),
        )
        return [text for text, shown in remarks if shown]

    @property
    def label(self) -> str:
        """The recipe's name with its compression in parentheses, e.g. ``tiny (int8)``."""
        steps = clean(self.compression, 40)
        return self.recipe if steps == UNCOMPRESSED else f"{self.recipe} ({steps})"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one track and division on the same data files.

    ``test`` is the number of test images. ``recipes_scored`` counts the distinct recipes in the
    ledgers of the results' folders for this test split, None without a ledger. ``data`` is the
    name of a user's data set, or identifies the data files if a track has tables for several
    versions of them; it is empty otherwise.
    """

    track: str
    division: str
    synthetic: bool
    test: int
    rows: tuple[Row, ...]
    recipes_scored: int | None = None
    data: str = ""


def row_of(result: Result) -> Row:
    """Return the row of a result, without the figures that need predictions or other results."""
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
        plugins=_plugins(result),
        compression=compression(result.recipe.content),
    )


def _plugins(result: Result) -> str:
    """Return ``distribution version (code)`` of a result's plugins, separated by commas."""
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
    """Return the lowest latency of batch size 1 on the fewest threads measured."""
    single = [row for row in latency if row.batch_size == 1]
    return min(single, key=lambda row: (row.threads, row.p50_ms), default=None)
