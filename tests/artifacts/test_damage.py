"""Damage on disk: said in a line, never in the way of what can still be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import oraclezoo as oz
from oraclezoo.cli import cli
from oraclezoo.data.idx import read_idx, write_idx
from oraclezoo.errors import DataError, ResultError

SMALL = ["-s", "budget.epochs=1", "-s", "budget.batch_size=16", "--device", "cpu"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(data: Path, *more: str) -> Result:
    """Bench one seed of a small recipe."""
    command = ["bench", "authors-cnn", "--track", "idx", "--data-dir", str(data), "--seeds", "1"]
    return CliRunner().invoke(cli, [*command, *SMALL, *more])


def test_a_damaged_run_is_trained_again(here: Path, tiny_idx: Path) -> None:
    """Scores, weights or records that cannot be read do not block the benchmark."""
    assert bench(tiny_idx).exit_code == 0
    (folder,) = (path for path in (here / "runs").iterdir() if path.is_dir())
    for name, again in (
        ("score.safetensors", "done"),
        ("last.safetensors", "start"),
        ("run.json", "start"),
    ):
        (folder / name).write_text("junk")
        result = bench(tiny_idx)
        assert result.exit_code == 0, result.output
        assert "reused" not in result.stderr, name
        lines = (here / "runs" / "journal.jsonl").read_text().splitlines()
        assert again in [json.loads(line)["event"] for line in lines[-4:]]
    assert "reused" in bench(tiny_idx).stderr


def test_train_says_how_to_get_out_of_a_damaged_run(here: Path, tiny_idx: Path) -> None:
    """--resume on broken files names --overwrite."""
    command = ["train", "authors-cnn", "--track", "idx", "--data-dir", str(tiny_idx), *SMALL]
    assert CliRunner().invoke(cli, command).exit_code == 0
    (folder,) = (here / "runs").iterdir()
    for name in ("last.safetensors", "run.json"):
        (folder / name).write_text("junk")
        result = CliRunner().invoke(cli, [*command, "--resume"])
        assert result.exit_code == 1
        assert "--overwrite" in result.stderr
    assert CliRunner().invoke(cli, [*command, "--overwrite"]).exit_code == 0


def test_a_broken_file_among_the_results_does_not_hide_new_ones(here: Path, tiny_idx: Path) -> None:
    """It is named, and the table shows what was measured; the leaderboard refuses it."""
    (here / "results").mkdir()
    (here / "results" / "broken.json").write_text("{")
    (here / "results" / "folder.json").mkdir()
    result = bench(tiny_idx)
    assert result.exit_code == 0, result.output
    assert "broken.json" in result.stderr
    assert "authors-cnn" in result.stdout
    shown = CliRunner().invoke(cli, ["leaderboard"])
    assert shown.exit_code == 1
    assert "broken.json" in shown.stderr


def test_folders_that_cannot_be_written_are_found_before_training(
    here: Path, tiny_idx: Path
) -> None:
    """One line, and no seed trained for nothing."""
    (here / "afile").write_text("")
    for more in (["--out", "afile"], ["--runs", "afile"]):
        result = bench(tiny_idx, *more)
        assert result.exit_code == 1
        assert "afile: cannot be written" in result.stderr
        assert "unexpected" not in result.stderr
        assert not list(here.glob("runs/*"))
    with pytest.raises(ResultError, match="cannot be written"):
        oz.train(
            oz.Recipe.load("authors-cnn", {"data.track": "idx", "budget.batch_size": 16}),
            data_dir=tiny_idx,
            out=here / "afile",
        )


def test_labels_with_gaps_are_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """A class that no training image shows is a mistake in the data."""
    for path in tiny_idx.iterdir():
        array = read_idx(path)
        write_idx(tmp_path / path.name, array * 2 if array.ndim == 1 else array)
    with pytest.raises(DataError, match="no training image has label 1, 3, 5"):
        oz.registry().create("dataset", "idx", data_dir=tmp_path)
