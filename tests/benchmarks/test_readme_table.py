"""The README's table stays short with many results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Script = Callable[[str], ModuleType]


def test_a_long_table_is_cut_to_the_best_and_the_reference(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long tables show the first five rows and the reference recipes, with their numbers."""
    ranking, readme = script("ranking"), script("readme")
    ranking.write(tmp_path, 12)
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    monkeypatch.setattr(readme, "HOUSE", ("made-up-0003",))
    text = readme.table()
    rows = re.findall(r"^\| (\d+) \| \d+ \| (.*?) \| (made-up-\d+),", text, re.MULTILINE)
    assert "5 of 12 rows**" in text or "6 of 12 rows**" in text
    assert [int(number) for number, *_ in rows[:5]] == [1, 2, 3, 4, 5]
    assert "made-up-0003" in {name for *_, name in rows}
    assert len(rows) <= 6
    shown = {int(number) for number, *_ in rows}
    for _, ties, _ in rows:
        assert re.fullmatch(r"none|[\d, -]+( and \d+ not shown)?|\d+ not shown", ties)
        named = re.sub(r"(and )?\d+ not shown|none", "", ties)
        ends = [int(end) for end in re.findall(r"\d+", named)]
        assert set(ends) <= shown


def test_a_short_table_is_whole(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short table is complete, without a note."""
    ranking, readme = script("ranking"), script("readme")
    ranking.write(tmp_path, 6)
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    text = readme.table()
    assert len(re.findall(r"^\| \d+ \|", text, re.MULTILINE)) == 6
    assert "rows**" not in text
    assert "not shown" not in text
