"""Benchmarks of accuracy alone: many seeds at once, runs that no timed result takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from helpers.runs import run_record
from oraclezoo.benching import seeds as seeds_module
from oraclezoo.benching.progress import Progress
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.benching.seeds import Concurrent
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import InterruptedRunError, UsageError
from oraclezoo.jobs import Failed, Message
from oraclezoo.plugins.registry import build_registry
from oraclezoo.result import Result
from oraclezoo.training.stacked import SeedCallbacks, marking, train

TINY: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "backbone.name": "lenet5"}


def bench(
    place: Path, data: Path | None, changes: dict[str, object] | None = None, **options: Any
) -> tuple[oz.Result, list[Progress]]:
    """Two seeds of the tiny recipe; the result and all events."""
    events: list[Progress] = []
    (result,) = oz.bench(
        [oz.Recipe.load("authors-cnn", {**TINY, **(changes or {})})],
        track=options.pop("track", "idx"),
        data_dir=data,
        seeds=options.pop("seeds", 2),
        device="cpu",
        out=place / "results",
        runs=place / "runs",
        report=events.append,
        **options,
    )
    return result, events


def counted(events: list[Progress]) -> Counter[str]:
    """How many there are of each kind but epochs."""
    return Counter(event.event for event in events if event.event not in ("epoch", "step"))


def records(place: Path) -> dict[int, dict[str, Any]]:
    """All run records by seed."""
    documents = [json.loads(path.read_text()) for path in place.glob("runs/*/run.json")]
    return {record["seed"]: record for record in documents}


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks without their last job, which is not what is tested."""
    monkeypatch.setattr(RecipeBench, "_measure", lambda self: None)


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an accelerator gets, here on the CPU."""
    monkeypatch.setattr(Concurrent, "in_processes", Concurrent.stacked)


def test_processes_side_by_side_leave_untimed_runs(tiny_idx: Path, tmp_path: Path) -> None:
    """They make a result without times, and are kept for the next one."""
    result, events = bench(tmp_path, tiny_idx, accuracy_only=True, jobs=2)
    assert counted(events) == {"start": 2, "done": 2, "measure": 1, "measured": 1}
    assert [score.seed for score in result.seeds] == [0, 1]
    assert {(s.train_s, s.compile_s, s.peak_memory_bytes) for s in result.seeds} == {(None,) * 3}
    assert result.hardware.calibration_s is None
    assert result.latency == ()
    assert result.model is not None
    assert {(r["together"], r["strategy"]) for r in records(tmp_path).values()} == {
        (2, "processes")
    }
    assert max(event.done for event in events) == 3
    (row,) = oz.leaderboard([result]).rows
    assert (row.train_s, row.latency) == (None, None)
    text = oz.leaderboard([result]).to_markdown()
    assert "| – |" in text
    assert "--accuracy-only" in text


def test_a_timed_result_takes_no_untimed_run_but_serves_for_accuracy(
    unmeasured: None, tiny_idx: Path, tmp_path: Path
) -> None:
    """A timed benchmark trains anew, and its runs and result survive an untimed one."""
    result, events = bench(tmp_path, tiny_idx, accuracy_only=True, jobs=2)
    again, events = bench(tmp_path, tiny_idx, accuracy_only=True, jobs=2)
    assert counted(events) == {"kept": 2}
    assert again.id == result.id
    timed, events = bench(tmp_path, tiny_idx)
    assert counted(events)["done"] == 2
    assert all(score.train_s is not None for score in timed.seeds)
    assert not any("together" in record for record in records(tmp_path).values())
    assert [s.accuracy for s in timed.seeds] == [s.accuracy for s in result.seeds]

    served, events = bench(tmp_path, tiny_idx, accuracy_only=True)
    assert counted(events) == {"kept": 2}
    assert {score.train_s for score in served.seeds} == {None}
    assert served.id == f"{timed.id}-2"
    assert Result.load(tmp_path / "results" / f"{timed.id}.json").seeds[0].train_s is not None
    (row,) = oz.leaderboard([served, timed]).rows
    assert row.train_s is not None


def test_stacked_seeds_are_those_of_lone_runs(
    stacked: None, unmeasured: None, tiny_idx: Path, tmp_path: Path
) -> None:
    """On a net without batch norm, seed by seed, within float32's rounding; two at a time."""
    result, events = bench(tmp_path / "joint", tiny_idx, accuracy_only=True, jobs=2, seeds=3)
    assert counted(events) == {"start": 3, "done": 3}
    assert [score.seed for score in result.seeds] == [0, 1, 2]
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "data.track": "idx"})
    for seed in range(3):
        lone = oz.train(recipe, data_dir=tiny_idx, seed=seed, device="cpu", out=tmp_path / "lone")
        (joint,) = (oz.Run.load(path) for path in tmp_path.glob(f"joint/runs/*-s{seed}"))
        for one, other in zip(joint.metrics, lone.metrics, strict=True):
            for key in ("epoch", "step", "lr", "train_loss", "validation_loss"):
                assert getattr(one, key) == pytest.approx(getattr(other, key), abs=1e-4), key
        assert joint.outcome.examples == lone.outcome.examples
    actual = records(tmp_path / "joint")
    assert [actual[seed]["together"] for seed in range(3)] == [2, 2, 1]
    assert {record["strategy"] for record in actual.values()} == {"stacked"}
    run = oz.Run.load(next((tmp_path / "joint" / "runs").glob("*-s1")))
    assert len(run.metrics) == 2
    images = np.zeros((2, 16, 16), np.uint8)
    assert run.model().predict(images).probabilities.shape == (2, 4)
    _, events = bench(tmp_path / "joint", tiny_idx, accuracy_only=True, seeds=3)
    assert counted(events) == {"kept": 3}


def test_what_cannot_be_stacked_is_trained_one_by_one(
    stacked: None, unmeasured: None, tiny_idx: Path, tmp_path: Path
) -> None:
    """With one line that says why; such runs are timed ones."""
    _, events = bench(tmp_path, tiny_idx, accuracy_only=True, deterministic=True, seeds=2)
    assert counted(events)["apart"] == 1
    assert counted(events)["done"] == 2
    (message,) = [event.detail for event in events if event.event == "apart"]
    assert isinstance(message, Message)
    assert message.text.startswith("its seeds are trained one by one: --deterministic")
    assert not any("together" in record for record in records(tmp_path).values())


def test_seeds_that_diverge_are_failures(stacked: None, tiny_idx: Path, tmp_path: Path) -> None:
    """Each is told and recorded as a lone one is."""
    wild: dict[str, object] = {"optimizer.lr": 100.0, "optimizer.weight_decay": 1.0}
    result, events = bench(tmp_path, tiny_idx, {**wild, "budget.epochs": 10}, accuracy_only=True)
    assert [failure.reason for failure in result.failures] == ["diverged"] * 2
    assert counted(events)["failed"] == 2
    assert {record["status"] for record in records(tmp_path).values()} == {"diverged"}


def test_a_run_that_is_begun_anew_is_marked_again(tmp_path: Path) -> None:
    """Its record is written after pre-training, which asks as well; nothing is made before."""
    run = oz.Run(tmp_path)
    ask = marking(tmp_path, 3, lambda: True)
    assert ask()
    assert not (tmp_path / "run.json").exists()
    for status in ("running", "again"):
        (tmp_path / "run.json").unlink(missing_ok=True)
        record = run_record(status=status)
        run.write(record)
        assert ask()
        assert run.record == replace(record, concurrent=3, strategy="processes")
        before = (tmp_path / "run.json").stat()
        assert ask()
        assert (tmp_path / "run.json").stat() == before


def test_too_many_at_once_is_a_failure_that_says_so(
    stacked: None,
    unmeasured: None,
    tiny_idx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every seed is recorded, and nothing is shrunk in silence."""
    died = Failed("out-of-memory", "no room")
    monkeypatch.setattr(seeds_module, "run_job", lambda request, note: died)
    result, events = bench(tmp_path, tiny_idx, accuracy_only=True)
    assert counted(events) == {"start": 2, "failed": 2}
    assert {(f.reason, f.message) for f in result.failures} == {
        ("out-of-memory", "no room; train fewer seeds at a time, e.g. --jobs 4")
    }


def test_seeds_at_different_steps_go_on_in_groups(tiny_idx: Path, tmp_path: Path) -> None:
    """Two were further than the third when all were stopped; they end as if they had not been."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "data.track": "idx", "budget.epochs": 3})
    options: dict[str, Any] = {
        "registry": build_registry(),
        "execution": Execution(data_dir=tiny_idx, device="cpu"),
        "stack_size": 3,
    }
    whole = train(recipe, [4, 5, 6], out=tmp_path / "whole", **options)
    for seeds, steps in (([4, 5], 12), ([6], 5)):
        counter = iter(range(1, 100))
        with pytest.raises(InterruptedRunError):
            train(
                recipe,
                seeds,
                out=tmp_path / "parts",
                callbacks=SeedCallbacks(
                    should_stop=lambda steps=steps, counter=counter: next(counter) >= steps  # type: ignore[misc]  # bound now
                ),
                **options,
            )
    epochs: list[int] = []
    ended = train(
        recipe,
        [4, 5, 6],
        out=tmp_path / "parts",
        resume=[4, 5, 6],
        callbacks=SeedCallbacks(on_epoch=lambda seed, epoch: epochs.append(seed)),
        **options,
    )
    assert Counter(epochs) == {4: 2, 5: 2, 6: 3}
    for one, other in zip(ended, whole, strict=True):
        assert len(one.metrics) == 3
        for key in ("train_loss", "validation_loss"):
            assert getattr(one.metrics[-1], key) == pytest.approx(
                getattr(other.metrics[-1], key), abs=1e-4
            )


def test_a_stacked_run_that_is_resumed_alone_stays_marked(tiny_idx: Path, tmp_path: Path) -> None:
    """Part of it was trained beside others, so no timed benchmark may reuse it."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "data.track": "idx"})
    counter = iter(range(1, 100))
    with pytest.raises(InterruptedRunError):
        train(
            recipe,
            [4, 5],
            registry=build_registry(),
            execution=Execution(data_dir=tiny_idx, device="cpu"),
            out=tmp_path,
            callbacks=SeedCallbacks(should_stop=lambda: next(counter) >= 5),
        )
    run = oz.train(recipe, seed=4, data_dir=tiny_idx, device="cpu", out=tmp_path, resume=True)
    assert (run.record.status, run.record.concurrent, run.record.strategy) == ("done", 2, "stacked")


def test_at_once_goes_with_accuracy_only(tmp_path: Path, tiny_idx: Path) -> None:
    """Else it would mean nothing."""
    with pytest.raises(UsageError, match="accuracy_only"):
        bench(tmp_path, tiny_idx, jobs=2)


def test_as_many_processes_as_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a core, a gigabyte each, never none."""
    free = 3 << 30
    monkeypatch.setattr(seeds_module, "free_memory_bytes", lambda device: free)
    assert seeds_module.processes(2) == 2
    assert seeds_module.processes(16) == 3
    free = 100
    assert seeds_module.processes(16) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_ctrl_c_keeps_the_work_of_all_processes(tiny_idx: Path, tmp_path: Path) -> None:
    """The benchmark ends with 130 and a line; the same command goes on with every seed."""
    (tmp_path / "long.toml").write_text(
        oz.Recipe.load("authors-cnn", {**TINY, "budget.epochs": 120, "name": "long"}).to_toml()
    )
    command = [sys.executable, "-m", "oraclezoo", "bench", "long.toml", "--track", "idx"]
    command += ["--data-dir", str(tiny_idx), "--seeds", "2", "--device", "cpu", "--json"]
    command += ["--accuracy-only", "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    stop_at = time.monotonic() + 300
    while time.monotonic() < stop_at:
        files = list(tmp_path.glob("runs/*/metrics.jsonl"))
        if len(files) == 2 and all(path.read_text() for path in files):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "2 of its 2 seeds unfinished" in stderr
    done = {path: len(path.read_text().splitlines()) for path in files}
    assert all(0 < count < 120 for count in done.values())
    assert {record["status"] for record in records(tmp_path).values()} == {"interrupted"}
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    for path in files:
        epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        assert epochs == list(range(1, 121))
    seeds = json.loads(finished.stdout)["data"][0]["seeds"]
    assert [row["train_s"] for row in seeds] == [None, None]


@pytest.mark.full
def test_the_house_net_on_generated_characters(stacked: None, tmp_path: Path) -> None:
    """End to end: bench --accuracy-only of a net with batch norm, two epochs of glyphs-3k."""
    (result,) = oz.bench(
        [oz.Recipe.load("quick", {"budget.epochs": 2, "backbone.name": "oraclenet_n"})],
        track="glyphs-3k",
        seeds=2,
        device="cpu",
        accuracy_only=True,
        out=tmp_path / "results",
        runs=tmp_path / "runs",
    )
    assert [score.train_s for score in result.seeds] == [None, None]
    assert all(score.accuracy > 0.2 for score in result.seeds)


@pytest.mark.full
@pytest.mark.realdata
def test_real_accuracies_are_those_of_lone_runs(oracle_dir: Path, tmp_path: Path) -> None:
    """Four seeds of the quick recipe, joint and lone, on validation images: equal within noise."""
    changes = {"data.track": "oracle-mnist-3k", "budget.epochs": 3, "backbone.name": "oraclenet_n"}
    recipe = oz.Recipe.load("quick", changes)
    joint = train(
        recipe,
        range(4),
        registry=build_registry(),
        execution=Execution(data_dir=oracle_dir, device="cpu"),
        out=tmp_path / "joint",
    )
    lone = [
        oz.train(recipe, data_dir=oracle_dir, seed=seed, device="cpu", out=tmp_path / "lone")
        for seed in range(4)
    ]
    one, other = (
        np.array([run.outcome.validation_accuracy for run in runs]) for runs in (joint, lone)
    )
    assert min(one.min(), other.min()) > 0.4
    spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 4 + 2 * 0.2 / (4 * 200))
    assert abs(one.mean() - other.mean()) < 3 * spread
