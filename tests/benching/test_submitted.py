"""Benchmarks on an executor: the same results, wherever and however often jobs are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import oraclezoo as oz
from helpers.commands import oraclezoo
from oraclezoo.benching.progress import Progress
from oraclezoo.errors import UsageError
from oraclezoo.executors.campaign import Campaign, campaigns
from oraclezoo.jobs.task import Task

TINY: dict[str, object] = {
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "backbone.name": "lenet5",
    "data.track": "idx",
}
ARGUMENTS = (
    *("authors-cnn", "--track", "idx", "--device", "cpu", "--seeds", "2"),
    *("-s", "budget.batch_size=16"),
)


@pytest.fixture
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the executor fork its workers from a process that has imported torch."""
    from helpers import forked_jobs

    if forked_jobs.SUPPORTED:
        monkeypatch.setattr("oraclezoo.executors.local.subprocess", forked_jobs.WorkerSubprocess)


def bench(
    place: Path, data: Path, *changes: dict[str, object], **options: object
) -> tuple[list[oz.Result], list[Progress]]:
    """Two seeds of the tiny recipe, once for each set of changes."""
    events: list[Progress] = []
    results = oz.bench(
        [oz.Recipe.load("authors-cnn", {**TINY, **change}) for change in changes],
        data_dir=data,
        seeds=2,
        device="cpu",
        out=place / "results",
        runs=place / "runs",
        report=events.append,
        **options,  # type: ignore[arg-type]  # keyword arguments of bench
    )
    return results, events


def predictions(place: Path, result: oz.Result) -> dict[str, bytes]:
    """Return the bytes of a result's predictions."""
    arrays = load_file(place / "results" / f"{result.id}.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.usefixtures("_forked", "_one_thread")
def test_an_executor_gives_the_results_of_the_usual_way(tiny_idx: Path, tmp_path: Path) -> None:
    """Equal predictions, also of several workers; times only of one worker."""
    here, alone, four = tmp_path / "here", tmp_path / "alone", tmp_path / "four"
    (usual,), _ = bench(here, tiny_idx, {})
    (timed,), events = bench(alone, tiny_idx, {}, on="local")
    (untimed,), _ = bench(
        four, tiny_idx, {}, on="local", executor_options={"workers": 4, "threads": 1}
    )
    assert predictions(alone, timed) == predictions(here, usual)
    assert predictions(four, untimed) == predictions(here, usual)
    assert [seed.accuracy for seed in timed.seeds] == [seed.accuracy for seed in usual.seeds]
    assert all(seed.train_s is not None for seed in timed.seeds)
    assert timed.latency
    assert timed.hardware == usual.hardware
    assert all(seed.train_s is None for seed in untimed.seeds)
    assert not untimed.latency
    kinds = [event.event for event in events if event.event not in ("epoch", "step")]
    assert sorted(kinds) == sorted([*["start", "done"] * 2, "measure", "measured"])
    assert events[-1].done == events[-1].total == 3


@pytest.mark.usefixtures("_forked")
def test_a_campaign_does_what_is_missing(tiny_idx: Path, tmp_path: Path) -> None:
    """Finished runs are kept, failed jobs are tried again, and the others go on."""
    wild: dict[str, object] = {"name": "wild", "optimizer.lr": 100.0, "budget.epochs": 10}
    wild["optimizer.weight_decay"] = 1.0
    results, _ = bench(tmp_path, tiny_idx, {}, wild, on="local")
    assert [len(result.seeds) for result in results] == [2, 0]
    assert [failure.reason for failure in results[1].failures] == ["diverged", "diverged"]
    (campaign,) = campaigns(tmp_path / "runs")
    counts = campaign.counts()
    assert (counts.complete, counts.total, counts.done) == (True, 6, 3)
    assert [failure.job for failure in counts.failed] == ["wild seed 0", "wild seed 1"]
    assert len(list(campaign.tasks.iterdir())) == 2
    _, events = bench(tmp_path, tiny_idx, {}, wild, on="local")
    kinds = [event.event for event in events]
    assert (kinds.count("kept"), kinds.count("start"), kinds.count("failed")) == (2, 2, 2)
    listed = json.loads(oraclezoo("bench", "status", "--runs", tmp_path / "runs", "--json").stdout)[
        "data"
    ]
    assert [(row["state"], row["kept"], len(row["failed"])) for row in listed] == [
        ("complete", 2, 2)
    ]


@pytest.mark.usefixtures("_forked")
def test_variants_follow_their_trainings(tiny_idx: Path, tmp_path: Path) -> None:
    """A compressed row is made of the runs of its source, and equals that of the usual way."""
    options: dict[str, object] = {"compress": ["int8"], "accuracy_only": True}
    results, _ = bench(
        tmp_path, tiny_idx, {}, on="local", executor_options={"workers": 2}, **options
    )
    steps = [result.recipe.content.get("compress", {}).get("steps", "") for result in results]
    assert steps == ["", "int8"]
    assert [len(result.seeds) for result in results] == [2, 2]
    assert all(result.model is not None for result in results)


@pytest.mark.usefixtures("_forked")
def test_overwrite_runs_everything_again(tiny_idx: Path, tmp_path: Path) -> None:
    """To the same figures."""
    (first,), _ = bench(tmp_path, tiny_idx, {}, on="local")
    (again,), events = bench(tmp_path, tiny_idx, {}, on="local", overwrite=True)
    assert [event.event for event in events].count("start") == 2
    assert predictions(tmp_path, again) == predictions(tmp_path, first)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on": "locale"}, "local"),
        ({"on": "local", "executor_options": {"worker": 2}}, "workers"),
        ({"on": "local", "executor_options": {"workers": 0}}, "workers"),
        ({"on": "local", "accuracy_only": True, "jobs": 2}, "without an executor"),
    ],
)
def test_wrong_options_are_refused_before_any_training(
    options: dict[str, object], says: str, tiny_idx: Path, tmp_path: Path
) -> None:
    """Unknown names suggest similar ones."""
    with pytest.raises(UsageError, match=says):
        bench(tmp_path, tiny_idx, {}, **options)
    assert not (tmp_path / "runs").exists()


def test_subcommands_of_bench_take_json_and_no_recipe_hides_them() -> None:
    """``bench status`` is a subcommand; a file of that name is ``./status``."""
    from oraclezoo.cli.bench import SUBCOMMANDS, command
    from oraclezoo.recipe import shipped

    assert not SUBCOMMANDS.keys() & set(shipped())
    for name in SUBCOMMANDS:
        assert "as_json" in {parameter.name for parameter in command.subcommand(name).params}
        assert f"$ oraclezoo bench {name}" in oraclezoo("bench", name, "--help").output
    assert oraclezoo("bench", "collect", "--quiet", "--runs", "nowhere").output.count("\n") == 1
    shown = oraclezoo("bench", "--help")
    assert "RECIPES" in shown.output
    assert all(f"bench {name}" in shown.output for name in SUBCOMMANDS)
    assert "CAMPAIGN" in oraclezoo("bench", "status", "--help").output
    assert oraclezoo("bench", "status", "--runs", "nowhere").exit_code == 0
    refused = oraclezoo("bench", "collect", "--runs", "nowhere")
    assert (refused.exit_code, "no campaign" in refused.output) == (2, True)
    alone = oraclezoo("bench", "--executor-option", "workers=2")
    assert (alone.exit_code, "requires --on" in alone.output) == (2, True)


def test_options_of_subcommands_come_from_the_environment(tmp_path: Path) -> None:
    """Named after the command and its subcommand."""
    runs = tmp_path / "elsewhere"
    result = oraclezoo("bench", "status", ORACLEZOO_BENCH_STATUS_RUNS=str(runs))
    assert str(runs) in result.output


def _wait(campaign: Campaign, condition: str) -> None:
    until = time.monotonic() + 500
    while time.monotonic() < until:
        counts = campaign.counts()
        if counts.running if condition == "running" else counts.complete:
            return
        time.sleep(0.2)
    pytest.fail(f"the campaign is not {condition}")


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="needs sessions")
def test_a_detached_campaign_is_collected_after_its_process_died(
    tiny_idx: Path, tmp_path: Path
) -> None:
    """Another process finishes it; predictions equal those of an undisturbed benchmark."""
    program = [sys.executable, "-m", "oraclezoo", "bench"]
    recipe = [*ARGUMENTS, "--data-dir", str(tiny_idx), "-s", "budget.epochs=20"]
    started = subprocess.run(
        [*program, *recipe, "--detach", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    campaign = Campaign(Path(json.loads(started.stdout)["data"]["folder"]))
    _wait(campaign, "running")
    owner = json.loads(next(iter((campaign.folder / "submitter").glob("*.json"))).read_bytes())
    os.kill(int(owner["process"].rpartition("/")[2].partition("-")[0]), 9)
    collected = subprocess.run(
        [*program, "collect", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert collected.returncode == 0, collected.stderr
    (document,) = json.loads(collected.stdout)["data"]
    plain = subprocess.run(
        [*program, *recipe, "--json", "--out", "plain", "--runs", "plain-runs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (expected,) = json.loads(plain.stdout)["data"]
    assert document["predictions"]["sha256"] == expected["predictions"]["sha256"]


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="needs sessions")
def test_a_cancelled_campaign_keeps_its_state(tiny_idx: Path, tmp_path: Path) -> None:
    """Its process and its jobs end; the status says so."""
    program = [sys.executable, "-m", "oraclezoo", "bench"]
    started = subprocess.run(
        [
            *program,
            *ARGUMENTS,
            *("--data-dir", str(tiny_idx), "-s", "budget.epochs=2000", "--detach", "--json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    campaign = Campaign(Path(json.loads(started.stdout)["data"]["folder"]))
    _wait(campaign, "running")
    subprocess.run([*program, "cancel"], cwd=tmp_path, check=True)
    assert not campaign.is_supervised()
    shown = oraclezoo("bench", "status", campaign.folder, "--json")
    (row,) = json.loads(shown.stdout)["data"]
    assert (row["state"], row["running"], row["failed"]) == ("cancelled", 0, [])


def test_the_identity_of_a_training_has_no_paths(tiny_idx: Path, tmp_path: Path) -> None:
    """The same training in other folders, or resumed, is the same task."""
    from oraclezoo.benching.requests import Scoring, Training
    from oraclezoo.engine.execution import Execution

    recipe = oz.Recipe.load("authors-cnn", TINY)
    requests = [
        Training(
            recipe, 0, folder / "runs", resume, Execution(folder, "cpu"), Scoring(folder / "out")
        )
        for folder, resume in ((tmp_path, False), (tiny_idx, True))
    ]
    first, second = (Task(request, "label").id for request in requests)
    assert first == second
