"""Runs that were trained on the validation images report no validation accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli

TINY = ("budget.epochs=2", "budget.batch_size=16", "data.track=idx", "augment.cutout=0")


def train(data: Path, out: Path, refit: bool) -> tuple[Path, str, str]:
    """Return the folder of a run, and what ``train`` wrote to stdout and stderr."""
    changes = (*TINY, f"data.refit={str(refit).lower()}")
    settings = [item for each in changes for item in ("-s", each)]
    command = ["train", "tiny", *settings, "--data-dir", str(data), "--out", str(out)]
    done = CliRunner().invoke(cli, [*command, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return Path(done.stdout.splitlines()[0]), done.stdout, done.stderr


@pytest.fixture(scope="module")
def refit_run(tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    return train(tiny_idx, tmp_path_factory.mktemp("refit"), refit=True)


def test_train_says_that_nothing_was_held_out(refit_run: tuple[Path, str, str]) -> None:
    """Neither while it trains nor at the end is there a percentage."""
    _, stdout, stderr = refit_run
    assert "no validation: its 16 images were trained on (data.refit)" in stdout
    assert "%" not in stdout
    assert "validation" not in stderr


def test_evaluate_marks_images_that_were_trained_on(
    refit_run: tuple[Path, str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """The validation split of a refit run; neither its test split nor that of another run."""

    def evaluated(run: Path, split: str, *more: str) -> str:
        command = ["evaluate", str(run), "--split", split, "--data-dir", str(tiny_idx), *more]
        done = CliRunner().invoke(cli, [*command, "--results", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    run = refit_run[0]
    assert "[trained on these images]" in evaluated(run, "validation")
    assert json.loads(evaluated(run, "validation", "--json"))["data"]["trained_on"] is True
    assert "trained on" not in evaluated(run, "test")
    other, stdout, stderr = train(tiny_idx, tmp_path, refit=False)
    assert "% on 16 images" in stdout
    assert "validation" in stderr
    assert "trained on" not in evaluated(other, "validation")


def test_plots_mark_them_too(
    refit_run: tuple[Path, str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """The curves have no validation, even of a run of 0.1.0, which recorded it."""
    pytest.importorskip("matplotlib")
    run = refit_run[0]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"validation_accuracy": 1.0, "validation_loss": 0.01}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["plot", str(run), "--data-dir", str(tiny_idx), "--out", str(tmp_path)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    curves = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert "all trained on" in curves
    assert "no images held out" in curves
    assert "100.0%" not in curves
    assert "trained on" in (tmp_path / "validation-confusion.svg").read_text(encoding="utf-8")
