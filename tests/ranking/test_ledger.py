"""The ledger of recipes scored on a test split."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oraclezoo.ranking.ledger import FILE, count, recipes, record


def test_counts_distinct_recipes_of_a_split(tmp_path: Path) -> None:
    """A repeated recipe counts once; other tracks and data are counted separately."""
    for track, key, recipe in [
        ("a", "k", "1"), ("a", "k", "2"), ("a", "k", "1"), ("a", "other", "3"), ("b", "k", "4"),
    ]:  # fmt: skip
        record(tmp_path, track=track, data_key=key, recipe_hash=recipe)
    assert recipes(tmp_path, "a", "k") == {"1", "2"}
    assert count(tmp_path, "a", "k") == 2
    assert count(tmp_path, "b", "k") == 1
    assert len((tmp_path / FILE).read_text().splitlines()) == 5  # append-only


def test_built_in_tracks_have_one_name(tmp_path: Path) -> None:
    """A track counts the same by its bare and by its qualified name."""
    record(tmp_path, track="oraclezoo:glyphs", data_key="k", recipe_hash="1")
    assert count(tmp_path, "glyphs", "k") == count(tmp_path, "oraclezoo:glyphs", "k") == 1


def test_several_folders_count_as_their_union(tmp_path: Path) -> None:
    """A recipe recorded in two folders counts once."""
    for folder, recipe in (("x", "1"), ("x", "2"), ("y", "2"), ("y", "3")):
        record(tmp_path / folder, track="a", data_key="k", recipe_hash=recipe)
    assert count([tmp_path / "x", tmp_path / "y", tmp_path / "none"], "a", "k") == 3


def test_without_a_ledger_nothing_is_counted(tmp_path: Path) -> None:
    """A folder without a ledger and a missing folder count zero."""
    assert count(tmp_path, "a", "k") == 0
    assert count(tmp_path / "none", "a", "k") == 0


def test_a_truncated_line_is_skipped_and_affects_no_other(tmp_path: Path) -> None:
    """A torn line is skipped, and the next record starts on a new line."""
    record(tmp_path, track="a", data_key="k", recipe_hash="1")
    record(tmp_path, track="a", data_key="k", recipe_hash="2")
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert count(tmp_path, "a", "k") == 1
    record(tmp_path, track="a", data_key="k", recipe_hash="3")
    assert recipes(tmp_path, "a", "k") == {"1", "3"}


def test_lines_that_are_not_records_are_skipped(tmp_path: Path) -> None:
    """Other content of the file does not affect the count."""
    (tmp_path / FILE).write_bytes(b'\xff\xfe\n[]\n3\n{"track": "a"}\n' + b"[" * 50_000 + b"\n")
    record(tmp_path, track="a", data_key="k", recipe_hash="1")
    assert count(tmp_path, "a", "k") == 1


def test_concurrent_records_are_all_kept(tmp_path: Path) -> None:
    """With concurrent writers every line is complete."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(
                record, tmp_path, track="a", data_key="k" * 500, recipe_hash=f"{number:064d}"
            )
    assert count(tmp_path, "a", "k" * 500) == 200
    for line in (tmp_path / FILE).read_text().splitlines():
        if line:
            assert set(json.loads(line)) == {"track", "data_key", "recipe_hash", "time"}
