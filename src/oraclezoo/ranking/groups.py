"""Group results into tables, and merge results of the same recipe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from oraclezoo.errors import ResultError
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.text import short
from oraclezoo.result import Result, Track


class Group(NamedTuple):
    """Properties shared by the results in a table; ``data_key`` identifies the data files."""

    track: str
    division: str
    data_key: str


def split(entries: list[Entry]) -> dict[Group, list[Entry]]:
    """Group entries by track, division and data files."""
    groups: dict[Group, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: e.predictions is None):  # failed results last
        track = entry.result.track
        key = Group(short(track.name), track.division, track.data_key)
        if entry.predictions is None:  # its list of data files may be incomplete
            matching = (
                k
                for k, (first, *_) in groups.items()
                if k[:2] == key[:2] and _agree(first.result.track, track)
            )
            key = min(matching, default=key)
        groups[key].append(entry)
    return groups


def _agree(a: Track, b: Track) -> bool:
    common = set(a.data_sha256) & set(b.data_sha256)
    return bool(common) and all(a.data_sha256[name] == b.data_sha256[name] for name in common)


def merge(entries: list[Entry]) -> tuple[list[Entry], Mapping[str, int]]:
    """Return one entry per recipe, and the number of further results, keyed by the entry's ID.

    A recipe gets a separate row for each version of a plugin's code. Of several results for a row,
    the one with the most seeds is chosen; ties go to a result with training times, then to the
    earliest.
    """
    by_hash: dict[tuple[str, object], list[Entry]] = defaultdict(list)
    for entry in entries:
        by_hash[entry.result.recipe.hash, entry.result.plugin_key].append(entry)
    best, replicates = [], {}
    for members in by_hash.values():
        first = min(members, key=precedence)
        best.append(first)
        replicates[first.result.id] = len(members) - 1
    return best, replicates


def precedence(entry: Entry) -> tuple[int, bool, datetime, str, str]:
    """Return the sort key of results of the same recipe: the result to show comes first."""
    result = entry.result
    sha256 = result.predictions.sha256 if result.predictions else ""
    untimed = any(score.train_s is None for score in result.seeds)
    return -len(result.seeds), untimed, datetime.fromisoformat(result.created), result.id, sha256


def check_same_test(scored: list[tuple[Result, Predictions]]) -> None:
    """Raise ResultError unless all predictions have the same test labels."""
    for result, predictions in scored[1:]:
        if not np.array_equal(predictions.labels, scored[0][1].labels):
            raise ResultError(
                f"results {scored[0][0].id} and {result.id} list the same data files but have "
                "different test labels; remove the wrong one"
            )
