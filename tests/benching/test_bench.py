"""The benchmark: jobs in processes of their own, failures told, finished work kept."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from oraclezoo.benching.recipe import Progress
from oraclezoo.benching.requests import Scoring, Training
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import DataError, UsageError
from oraclezoo.jobs import Event, Failed, run_job
from oraclezoo.plugins.registry import build_registry
from oraclezoo.ranking.load import load_results
from oraclezoo.recipe.resolve import resolve
from oraclezoo.result import Result

TINY: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "backbone.name": "lenet5"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's results and runs go."""
    return tmp_path_factory.mktemp("bench")


def bench(
    place: Path, data: Path, *changes: dict[str, object], **options: Any
) -> tuple[list[oz.Result], list[Progress]]:
    """Two seeds of the tiny recipe, once for each set of changes; the results and all events."""
    recipes = [oz.Recipe.load("authors-cnn", {**TINY, **change}) for change in changes]
    events: list[Progress] = []
    results = oz.bench(
        recipes,
        track="idx",
        data_dir=data,
        seeds=options.pop("seeds", 2),
        device="cpu",
        out=place / "results",
        runs=place / "runs",
        report=events.append,
        **options,
    )
    return results, events


@pytest.fixture(scope="module")
def first(place: Path, tiny_idx: Path) -> list[oz.Result]:
    """The first benchmark of this module."""
    return bench(place, tiny_idx, {}, {"name": "slow", "optimizer.lr": 0.01})[0]


def test_a_result_tells_what_it_rests_on(first: list[oz.Result], place: Path) -> None:
    """Saved, valid, with predictions that give its accuracies, and complete provenance."""
    result = first[0]
    loaded = Result.load(place / "results" / f"{result.id}.json")
    assert loaded == result
    (entry,) = (e for e in load_results([place / "results"]) if e.result.id == result.id)
    assert entry.predictions is not None
    assert entry.predictions.correct.mean(1).tolist() == [s.accuracy for s in result.seeds]
    assert result.track.division == "closed"
    assert (result.track.train, result.track.validation, result.track.test) == (144, 16, 40)
    assert len(result.track.data_sha256) == 4
    assert result.examples == 2 * 144
    assert result.model is not None
    assert result.model.parameters > 10_000
    assert result.model.macs > 100_000
    assert {(row.batch_size, row.threads) for row in result.latency} >= {(1, 1)}
    assert result.hardware.calibration_s is not None
    assert result.components["optimizer"].name == "oraclezoo:sgd"
    assert result.libraries["torch"]


def test_the_table_has_a_row_a_recipe(first: list[oz.Result]) -> None:
    """The public API goes from results to a table; two seeds are too few for a rank."""
    table = oz.leaderboard(first)
    assert {row.recipe for row in table.rows} == {"authors-cnn", "slow"}
    assert all(row.rank is None for row in table.rows)
    assert "authors-cnn" in table.to_markdown()


def test_finished_jobs_are_kept_and_fresh_ones_agree(
    first: list[oz.Result], place: Path, tiny_idx: Path
) -> None:
    """A second call trains nothing; ``overwrite`` trains everything, to the same figures."""
    again, events = bench(place, tiny_idx, {})
    assert [e.event for e in events] == ["kept", "kept", "measure", "measured"]
    assert [s.accuracy for s in again[0].seeds] == [s.accuracy for s in first[0].seeds]
    anew, events = bench(place, tiny_idx, {}, overwrite=True)
    assert [e.event for e in events].count("done") == 2
    for one, other in zip(anew[0].seeds, first[0].seeds, strict=True):
        assert (one.accuracy, one.loss, one.validation_accuracy) == (
            other.accuracy,
            other.loss,
            other.validation_accuracy,
        )


def test_the_ledger_counts_distinct_recipes(
    first: list[oz.Result], place: Path, tiny_idx: Path
) -> None:
    """Scoring one recipe at many seeds is one look at the test split, two recipes are two."""
    lines = [json.loads(x) for x in (place / "results" / "ledger.jsonl").read_text().splitlines()]
    assert {line["recipe_hash"] for line in lines} == {r.recipe.hash for r in first}
    assert oz.leaderboard(first).recipes_scored == 2


def test_a_failure_is_recorded_and_never_cached(place: Path, tiny_idx: Path) -> None:
    """A diverging recipe becomes failures with their reason; the next run tries it again."""
    wild: dict[str, object] = {"name": "wild", "optimizer.lr": 100.0, "optimizer.weight_decay": 1.0}
    wild["budget.epochs"] = 10
    results, events = bench(place, tiny_idx, wild)
    assert results[0].seeds == ()
    assert [f.reason for f in results[0].failures] == ["diverged", "diverged"]
    assert results[0].predictions is None
    assert [e.event for e in events if e.event not in ("epoch", "step")] == ["start", "failed"] * 2
    _, events = bench(place, tiny_idx, wild, seeds=[1])
    assert "kept" not in [e.event for e in events]
    assert "diverged" in oz.leaderboard(results).to_markdown()


def test_a_killed_job_is_a_failure_with_its_signal(
    place: Path, tiny_idx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that dies without a word is told from one that failed."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "budget.epochs": 10_000, "data.track": "idx"})
    request = Training(
        recipe=resolve(recipe, build_registry()),
        seed=0,
        runs=place / "killed",
        resume=False,
        execution=Execution(data_dir=tiny_idx, device="cpu"),
        scoring=Scoring(place / "results"),
    )
    pids: list[int] = []

    def kill(event: Event) -> None:
        if not pids:
            (folder,) = (place / "killed").iterdir()
            pids.append(json.loads((folder / "run.json").read_text())["pid"])
            os.kill(pids[0], signal.SIGKILL)

    ended = run_job(request, kill)
    assert isinstance(ended, Failed)
    assert ended.reason == "killed"
    assert "SIGKILL" in ended.message


def test_nothing_is_trained_when_the_data_is_not_there(place: Path, tmp_path: Path) -> None:
    """Errors that can be known beforehand come before any work."""
    with pytest.raises(DataError):
        bench(tmp_path, tmp_path / "none", {})
    with pytest.raises(UsageError, match="at least one seed"):
        bench(tmp_path, tmp_path, {}, seeds=[])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_ctrl_c_keeps_the_work_and_the_same_command_goes_on(tiny_idx: Path, tmp_path: Path) -> None:
    """Interrupted in a job the benchmark ends with 130; run again it resumes that job."""
    (tmp_path / "long.toml").write_text(
        oz.Recipe.load("authors-cnn", {**TINY, "budget.epochs": 200, "name": "long"}).to_toml()
    )
    command = [sys.executable, "-m", "oraclezoo", "bench", "long.toml", "--track", "idx"]
    command += ["--data-dir", str(tiny_idx), "--seeds", "1", "--device", "cpu"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    stop_at = time.monotonic() + 300
    while time.monotonic() < stop_at and not list(tmp_path.glob("runs/*/metrics.jsonl")):
        time.sleep(0.05)
    (metrics,) = tmp_path.glob("runs/*/metrics.jsonl")
    while time.monotonic() < stop_at and not metrics.read_text():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "run the same command again" in stderr
    done = len(metrics.read_text().splitlines())
    assert 0 < done < 200
    finished = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert document["schema"] == "oraclezoo/bench/1"
    assert len(metrics.read_text().splitlines()) == 200
    whole = oz.train(
        oz.Recipe.load(tmp_path / "long.toml", {"data.track": "idx"}),
        data_dir=tiny_idx,
        device="cpu",
        out=tmp_path / "whole",
    )
    row = document["data"][0]["seeds"][0]
    assert row["validation_accuracy"] == whole.outcome.validation_accuracy
    last = json.loads(metrics.read_text().splitlines()[-1])
    assert last["train_loss"] == whole.metrics[-1].train_loss


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_a_killed_benchmark_leaves_no_orphan_and_goes_on(tiny_idx: Path, tmp_path: Path) -> None:
    """After SIGKILL its job stops by itself, with the state kept, and the same command goes on."""
    (tmp_path / "long.toml").write_text(
        oz.Recipe.load("authors-cnn", {**TINY, "budget.epochs": 600, "name": "long"}).to_toml()
    )
    command = [sys.executable, "-m", "oraclezoo", "bench", "long.toml", "--track", "idx"]
    command += ["--data-dir", str(tiny_idx), "--seeds", "1", "--device", "cpu", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    stop_at = time.monotonic() + 300
    while time.monotonic() < stop_at and not (
        (files := list(tmp_path.glob("runs/*/metrics.jsonl"))) and files[0].read_text()
    ):
        time.sleep(0.05)
    process.kill()
    process.wait()
    (record,) = tmp_path.glob("runs/*/run.json")
    while time.monotonic() < stop_at and json.loads(record.read_text())["status"] == "running":
        time.sleep(0.05)
    assert json.loads(record.read_text())["status"] == "interrupted"
    done = len((record.parent / "metrics.jsonl").read_text().splitlines())
    assert 0 < done < 600
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    epochs = [json.loads(line)["epoch"] for line in files[0].read_text().splitlines()]
    assert epochs == list(range(1, 601))


def test_fewer_seeds_do_not_replace_a_fuller_result(
    first: list[oz.Result], place: Path, tiny_idx: Path
) -> None:
    """What was published stays; the smaller result lies beside it and is merged into its row."""
    (smaller,), _ = bench(place, tiny_idx, {}, seeds=[1])
    assert smaller.id == f"{first[0].id}-2"
    assert len(Result.load(place / "results" / f"{first[0].id}.json").seeds) == 2
    (row,) = oz.leaderboard([smaller, first[0]]).rows
    assert (row.seeds, row.replicates) == (2, 1)
    (again,), _ = bench(place, tiny_idx, {}, seeds=[1, 0])
    assert again.id == first[0].id


def test_kept_runs_are_in_the_ledger_of_any_results_folder(
    first: list[oz.Result], place: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """A look at the test split counts wherever its result is written."""
    recipe = oz.Recipe.load("authors-cnn", TINY)
    (result,) = oz.bench(
        [recipe],
        track="idx",
        data_dir=tiny_idx,
        seeds=2,
        device="cpu",
        out=tmp_path,
        runs=place / "runs",
    )
    assert oz.leaderboard([result]).recipes_scored == 1


@pytest.mark.realdata
def test_real_characters_are_read(oracle_dir: Path, tmp_path: Path) -> None:
    """A few epochs on the real low-data track, far above the chance of one in ten."""
    (result,) = oz.bench(
        [oz.Recipe.load("quick", {"budget.epochs": 3})],
        track="oracle-mnist-3k",
        data_dir=oracle_dir,
        seeds=1,
        device="cpu",
        out=tmp_path / "results",
        runs=tmp_path / "runs",
    )
    assert not result.track.synthetic
    assert (result.track.train, result.track.validation, result.track.test) == (1800, 200, 1000)
    assert result.seeds[0].accuracy > 0.6


def test_a_run_on_other_data_is_not_replaced(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is trained; --overwrite replaces it."""
    other = shutil.copytree(tiny_idx, tmp_path / "other")
    images = next(path for path in other.iterdir() if "train-images" in path.name)
    content = gzip.decompress(images.read_bytes())
    images.write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    recipe = oz.Recipe.load(
        "plain", {"backbone.name": "mlp", "budget.epochs": 1, "budget.batch_size": 16}
    )
    run = oz.train(recipe.override({"data.track": "idx"}), data_dir=tiny_idx, out=tmp_path / "runs")
    before = (run.folder / "run.json").read_bytes()
    with pytest.raises(
        UsageError, match=r"was trained on different data: .* --runs, or .*--overwrite"
    ):
        oz.bench(
            [recipe],
            track="idx",
            seeds=1,
            data_dir=other,
            out=tmp_path / "results",
            runs=tmp_path / "runs",
        )
    assert (run.folder / "run.json").read_bytes() == before
    assert not (tmp_path / "results").exists()
