"""Sweeps on an executor: the same trials as without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from helpers import forked_jobs
from oraclezoo.errors import UsageError

pytest.importorskip("optuna")

TINY: dict[str, object] = {"data.track": "idx", "budget.epochs": 2, "budget.batch_size": 16}


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the executor fork its workers from a process that has imported torch."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if forked_jobs.SUPPORTED:
        monkeypatch.setattr("oraclezoo.executors.local.subprocess", forked_jobs.WorkerSubprocess)


def sweep(data: Path, out: Path, **more: Any) -> Any:
    """Run a sweep over four points, one of which diverges."""
    return oz.sweep(
        oz.Recipe.load("authors-cnn", {**TINY, "optimizer.weight_decay": 1.0}),
        {"optimizer.lr": [0.01, 100.0], "optimizer.momentum": [0.0, 0.5]},
        data_dir=data,
        device="cpu",
        out=out,
        sampler="grid",
        **more,
    )


def test_trials_run_at_the_same_time(tiny_idx: Path, tmp_path: Path) -> None:
    """Every point is tried once, failures are recorded, and nothing but the sweep's files is left.

    A second call changes nothing.
    """
    placed = sweep(tiny_idx, tmp_path / "placed", on="local", executor_options={"workers": 2})
    points = {(t.point["optimizer.lr"], t.point["optimizer.momentum"]) for t in placed.trials}
    assert (len(placed.trials), len(points)) == (4, 4)
    assert {trial.status for trial in placed.trials if trial.point["optimizer.lr"] == 100.0} <= {
        "failed",
        "done",
    }
    assert placed.complete
    alone = {
        tuple(trial.point.values()): (trial.status, dict(trial.parts))
        for trial in sweep(tiny_idx, tmp_path / "alone").trials
    }
    for trial in placed.trials:
        status, parts = alone[tuple(trial.point.values())]
        assert trial.status == status
        for number, part in trial.parts.items():
            assert (part.accuracy, part.loss) == (parts[number].accuracy, parts[number].loss)
    assert not {"tasks", "executor", "runs", "folds"} & {
        path.name for path in (tmp_path / "placed").iterdir()
    }
    again = sweep(tiny_idx, tmp_path / "placed", on="local")
    assert again.trials == placed.trials


def test_a_pruner_is_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """Trainings that run at the same time cannot be stopped by each other's results."""
    with pytest.raises(UsageError, match="pruner"):
        sweep(tiny_idx, tmp_path, on="local", pruner="median")
