"""time_to_accuracy.py: options, rows, and a short run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from oraclezoo import recipe
from oraclezoo.ranking.load import load_results

Script = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]


def test_the_track_is_real_where_there_is_data(script: Script) -> None:
    """Without a data folder, the track is the generated one; an explicit track is kept."""
    parse = script("time_to_accuracy").parse
    assert parse([]).track == "glyphs-3k"
    assert parse(["--data-dir", "images"]).track == "oracle-mnist-3k"
    assert parse(["--data-dir", "images", "--track", "idx"]).track == "idx"
    assert parse([]).recipes == recipe.shipped()
    assert parse([]).seeds == 5
    assert parse(["--recipes", "default,quick"]).recipes == ["default", "quick"]


def test_one_seed_has_no_interval(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """One seed is rejected before hours of training."""
    with pytest.raises(SystemExit):
        script("time_to_accuracy").parse(["--seeds", "1"])
    assert "at least 2" in capsys.readouterr().err


def test_rows_are_those_of_published_results(script: Script) -> None:
    """Each recipe has a row with mean and median of a single result.

    If a recipe has results on several hardware classes, one of them provides the whole row.
    """
    results = [entry.result for entry in load_results([ROOT / "benchmarks" / "results"])]
    rows = script("time_to_accuracy").rows(results)
    assert {row["recipe"] for row in rows} == {result.recipe.name for result in results}
    for recipe_hash in {result.recipe.hash for result in results}:
        (row,) = [each for each in rows if each["recipe_hash"] == recipe_hash]
        (result,) = [
            each
            for each in results
            if each.recipe.hash == recipe_hash
            and row["train_s_min"] == pytest.approx(min(s.train_s for s in each.seeds), abs=0.01)
        ]
        accuracies = [seed.accuracy for seed in result.seeds]
        mean = sum(accuracies) / len(accuracies)
        assert row["test_accuracy_mean"] == pytest.approx(mean, abs=1e-4)
        low, high = row["test_accuracy_ci95"]
        assert low < row["test_accuracy_mean"] < high
        assert row["seeds"] == len(result.seeds)
        assert row["division"] == result.track.division
        times = sorted(seed.train_s for seed in result.seeds)
        assert row["train_s_min"] <= row["train_s_median"] <= row["train_s_max"]
        assert row["train_s_min"] == pytest.approx(times[0], abs=0.01)
        assert row["failures"] == []


@pytest.mark.slow
def test_a_quick_run_goes_on_where_it_was(
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A second run trains nothing again and gives the same figures."""
    recipe_file = tmp_path / "brief.toml"
    brief = recipe.Recipe.load("authors-cnn", {"budget.epochs": 1, "name": "brief"})
    recipe_file.write_text(brief.to_toml(), encoding="utf-8")
    options = ["--json", "--recipes", str(recipe_file), "--seeds", "2", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy.py", *options])
    monkeypatch.chdir(tmp_path)
    result = []
    for kept in (0, 2):
        script("time_to_accuracy").main()
        printed = capsys.readouterr()
        assert printed.err.count("kept") == kept
        result.append(json.loads(printed.out))
    assert result[0]["schema"] == "oraclezoo/time-to-accuracy/1"
    assert result[0]["data"]["rows"] == result[1]["data"]["rows"]
    (row,) = result[0]["data"]["rows"]
    assert row["recipe"] == "brief"
    assert row["division"] == "closed"
    assert row["seeds"] == 2
    assert 0 < row["test_accuracy_mean"] < 1
    assert row["train_s_median"] > 0
    assert result[0]["data"]["synthetic"]
