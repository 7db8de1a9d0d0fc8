"""Ledger: how many distinct recipes have been scored on a test split, here.

Every look at test images makes the best of many recipes look better than it is; the ledger counts
the looks. It is a file of JSON lines that is only ever appended to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from oraclezoo.result import timestamp

FILE = "ledger.jsonl"


def record(folder: Path, *, track: str, data_key: str, recipe_hash: str) -> None:
    """Note that a recipe was scored on the test split of a track.

    ``data_key`` is that of :class:`oraclezoo.result.Track`. One write in append mode, so that
    processes at work in one folder do not overwrite each other's lines.
    """
    entry = {
        "track": track.removeprefix("oraclezoo:"),
        "data_key": data_key,
        "recipe_hash": recipe_hash,
        "time": timestamp(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    line = json.dumps(entry) + "\n"
    if _is_torn(path):
        line = "\n" + line
    descriptor = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        os.write(descriptor, line.encode("ascii"))
    finally:
        os.close(descriptor)


def note(folder: Path, *, track: str, data_key: str, recipe_hash: str) -> None:
    """As :func:`record`, unless it is noted already."""
    if recipe_hash not in recipes(folder, track, data_key):
        record(folder, track=track, data_key=data_key, recipe_hash=recipe_hash)


def recipes(folder: Path, track: str, data_key: str) -> set[str]:
    """Hashes of the recipes noted for a track with these data; lines cut short are passed over."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    found = set()
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # torn by a crash in the middle of a write
        if not isinstance(entry, dict) or not isinstance(entry.get("recipe_hash"), str):
            continue
        if (entry.get("track"), entry.get("data_key")) == (
            track.removeprefix("oraclezoo:"),
            data_key,
        ):
            found.add(entry["recipe_hash"])
    return found


def count(folders: Path | Iterable[Path], track: str, data_key: str) -> int:
    """Number of distinct recipes noted in one folder, or in several taken together."""
    several = [folders] if isinstance(folders, Path) else folders
    return len(set().union(*(recipes(folder, track, data_key) for folder in several)))


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # not there, or empty
        return False
