"""Groups: which results belong in one table, and which are the same recipe again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from oraclezoo.errors import ResultError
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.text import short
from oraclezoo.result import Result, Track


def split(entries: list[Entry]) -> dict[tuple[str, str, str], list[Entry]]:
    """Entries by track, division and data."""
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: e.predictions is None):  # failed ones last
        track = entry.result.track
        key = (short(track.name), track.division, track.data_key)
        if entry.predictions is None:  # its list of files may end where the failure came
            same = (
                k
                for k, (first, *_) in groups.items()
                if k[:2] == key[:2] and _agree(first.result.track, track)
            )
            key = min(same, default=key)
        groups[key].append(entry)
    return groups


def _agree(a: Track, b: Track) -> bool:
    common = set(a.data_sha256) & set(b.data_sha256)
    return bool(common) and all(a.data_sha256[name] == b.data_sha256[name] for name in common)


def merge(entries: list[Entry]) -> tuple[list[Entry], Mapping[str, int]]:
    """One entry a recipe, and by its id how many others it stands for.

    Of several results of a recipe, the one with most seeds stands for all, then one with times,
    then the earliest.
    """
    by_hash: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_hash[entry.result.recipe.hash].append(entry)
    best, replicates = [], {}
    for same in by_hash.values():
        first = min(same, key=_precedence)
        best.append(first)
        replicates[first.result.id] = len(same) - 1
    return best, replicates


def _precedence(entry: Entry) -> tuple[int, bool, datetime, str, str]:
    result = entry.result
    kept = result.predictions.sha256 if result.predictions else ""
    untimed = any(score.train_s is None for score in result.seeds)
    return -len(result.seeds), untimed, datetime.fromisoformat(result.created), result.id, kept


def check_same_test(scored: list[tuple[Result, Predictions]]) -> None:
    """Raise ResultError unless all predictions are of the same labels."""
    for result, predictions in scored[1:]:
        if not np.array_equal(predictions.labels, scored[0][1].labels):
            raise ResultError(
                f"results {scored[0][0].id} and {result.id} name the same data but their test "
                "labels differ; one of them was made wrongly: remove it"
            )
