"""The README's blocks: few rows and columns, and figures of the files they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Script = Callable[[str], ModuleType]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of a Markdown table, without its header."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_has_five_rows_and_four_columns(script: Script) -> None:
    """It shows the most accurate row of each chosen recipe, best first."""
    cells = rows(script("readme").table())
    assert len(cells) == 5
    assert {len(row) for row in cells} == {4}
    accuracies = [float(re.findall(r"\*\*([\d.]+)", row[1])[0]) for row in cells]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_best_row_of_a_recipe_is_shown(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recipes that are not chosen, and recipes without results, are left out."""
    ranking, readme = script("ranking"), script("readme")
    ranking.write(tmp_path, 6)
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    monkeypatch.setattr(readme, "PICKS", ("made-up-0003", "made-up-0001", "missing"))
    names = [row[0].strip("`") for row in rows(readme.table())]
    assert sorted(names) == ["made-up-0001", "made-up-0003"]


def test_ties_are_stated(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of rows is called a tie exactly if the leaderboard does so."""
    ranking, readme = script("ranking"), script("readme")
    ranking.write(tmp_path, 6)
    (board,) = readme.tables(readme.load_results([tmp_path]), track=readme.TRACK)
    first, second = board.rows[0], board.rows[-1]
    (sentence,) = readme.ties([(board, first), (board, second)])
    assert ("do not differ" in sentence) == (second.number in first.ties_with)


def test_long_outputs_are_cut(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README shows the first lines of an output, and says that there are more."""
    readme = script("readme")
    data = {"quantize": {"command": "oraclezoo x", "output": [str(n) for n in range(40)]}}
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"data": data}))
    monkeypatch.setattr(readme, "MEASURED", path)
    lines = readme.output("quantize").split("\n")
    assert lines[:2] == ["```console", "$ oraclezoo x"]
    assert len(lines) == readme.LONGEST["quantize"] + 4
    assert lines[-2:] == ["...", "```"]


def test_a_readme_without_a_block_is_refused(script: Script) -> None:
    """A block that is missing, or that nothing generates, is an error."""
    readme = script("readme")
    with pytest.raises(SystemExit, match="table"):
        readme.fill("<!-- table:begin -->\n<!-- table:end -->\n")


def test_the_banner_is_that_of_the_written_forms(script: Script) -> None:
    """The committed file is byte-equal, and refers to nothing outside it."""
    banner = script("banner")
    text = banner.BANNER.read_text(encoding="utf-8")
    assert text == banner.banner(), "python benchmarks/banner.py --write draws it again"
    assert not re.search(r"(?:href|src)=|url\((?!#)", text)
