"""Ledger of test-set evaluations: the distinct recipes scored on a test split.

Selecting the best of many recipes on the same test images overestimates its accuracy; the ledger
records how many recipes were scored. It is an append-only JSON Lines file in the results folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from oraclezoo.documents import read_rows
from oraclezoo.errors import ResultError
from oraclezoo.result import timestamp
from oraclezoo.storage import append_line

FILE = "ledger.jsonl"


def record(folder: Path, *, track: str, data_key: str, recipe_hash: str) -> None:
    """Record that a recipe was evaluated on the test split of a track.

    Appends the record in a single write, so that concurrent processes do not overwrite each other.

    Args:
        folder: Folder with the results; created if missing.
        track: Name of the track.
        data_key: The ``data_key`` of the :class:`oraclezoo.result.Track`.
        recipe_hash: Hash of the recipe.
    """
    entry = {
        "track": track.removeprefix("oraclezoo:"),
        "data_key": data_key,
        "recipe_hash": recipe_hash,
        "time": timestamp(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    append_line(folder / FILE, json.dumps(entry))


def note(folder: Path, *, track: str, data_key: str, recipe_hash: str) -> None:
    """Call :func:`record` unless the recipe is already recorded."""
    if recipe_hash not in recipes(folder, track, data_key):
        record(folder, track=track, data_key=data_key, recipe_hash=recipe_hash)


def recipes(folder: Path, track: str, data_key: str) -> set[str]:
    """Return the hashes of the recipes recorded for a track and its data.

    Skips lines that a crash left incomplete. Raises ResultError if the ledger cannot be read.
    """
    path, name = folder / FILE, track.removeprefix("oraclezoo:")
    try:
        return {
            row["recipe_hash"]
            for row in read_rows(path)
            if (row.get("track"), row.get("data_key")) == (name, data_key)
            and isinstance(row.get("recipe_hash"), str)
        }
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read ({error})") from error


def count(folders: Path | Iterable[Path], track: str, data_key: str) -> int:
    """Return the number of distinct recipes recorded in one folder, or in several combined."""
    listed = [folders] if isinstance(folders, Path) else folders
    return len(set().union(*(recipes(folder, track, data_key) for folder in listed)))
