"""Trackers are told the course of a training; whatever they do, the training is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import oraclezoo as oz
from oraclezoo.benching.recipe import Progress
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    UnknownNameError,
    UnknownOptionError,
    UsageError,
)
from oraclezoo.jobs import Message
from oraclezoo.plugins.registry import build_registry
from oraclezoo.training import stacked, tracking
from oraclezoo.training.tracking import choose

TINY: dict[str, object] = {"budget.epochs": 3, "budget.batch_size": 16, "data.track": "idx"}

PLUGIN = """
import json
import time
from pathlib import Path

import torch

NOTES = Path({notes!r})


@hookimpl
def oraclezoo_trackers():
    options = (Option("fails", "str", "never"),)
    return [Spec("tracker", "diary", __name__ + ":Diary", "a tracker", options)]


class Diary:
    def __init__(self, *, run_name, folder, config, fails):
        self.fails = fails
        self.note("begin", run_name, folder.name, config["resumed_step"])

    def note(self, *what):
        with NOTES.open("a") as file:
            file.write(json.dumps(what) + "\\n")
        if self.fails == what[0]:
            raise RuntimeError("no\\nmore paper")
        if self.fails == "sleep" and what[0] == "log":
            time.sleep(60)
        if self.fails == "exit" and what[0] == "log":
            raise SystemExit(3)

    def log(self, step, values):
        torch.manual_seed(0)  # rude
        self.note("log", step, values)

    def artifact(self, path):
        self.note("artifact", path.name, sorted(p.name for p in path.glob("*")))

    def finish(self, status):
        self.note("finish", status)
"""


@pytest.fixture
def diary(site: Any, tmp_path: Path) -> Callable[[], list[Any]]:
    """A tracker from a plugin, ``diary``; gives what it was told so far."""
    notes = tmp_path / "notes.jsonl"
    site.add("zoo-diary", PLUGIN.replace("{notes!r}", repr(str(notes))))
    return lambda: [json.loads(line) for line in notes.read_text().splitlines()]


def train(data: Path, out: Path, changes: dict[str, object] | None = None, **more: Any) -> oz.Run:
    """A tiny training of a small net."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, **(changes or {})})
    return oz.train(recipe, data_dir=data, out=out, device="cpu", **more)


def test_a_tracker_is_told_all_of_a_training(
    diary: Callable[[], list[Any]], tiny_idx: Path, tmp_path: Path
) -> None:
    """The recipe first, figures an epoch with those of the system, the model, and the end."""
    run = train(tiny_idx, tmp_path / "runs", trackers="diary")
    begun, recipe, *logged, outcome, model, finish = diary()
    assert begun == ["begin", run.folder.name, run.folder.name, 0]
    assert recipe == ["artifact", "recipe.toml", []]
    assert [step for _, step, _ in logged] == [9, 18, 27]
    for (_, _, values), row in zip(logged, run.metrics, strict=True):
        assert values["train/loss"] == row.train_loss
        assert values["validation/accuracy"] == row.validation_accuracy
        assert values["system/cpu_percent"] > 0
    assert outcome[2]["outcome/train_s"] == run.outcome.train_s
    assert model == ["artifact", "model", ["model.json", "model.safetensors"]]
    assert finish == ["finish", "done"]
    images = np.zeros((2, 16, 16), np.uint8)
    kept = oz.load(run.folder / "model").predict(images)
    np.testing.assert_array_equal(kept.probabilities, run.model().predict(images).probabilities)


def test_trackers_change_neither_hash_nor_weights(
    diary: Callable[[], list[Any]], tiny_idx: Path, tmp_path: Path
) -> None:
    """Even one that reseeds torch: dropout draws the same masks as without it."""
    dropped: dict[str, object] = {"backbone.name": "mlp", "backbone.drop_rate": 0.5}
    plain = train(tiny_idx, tmp_path / "plain", dropped)
    tracked = train(tiny_idx, tmp_path / "told", dropped, trackers=["diary", "jsonl"])
    assert tracked.folder.name == plain.folder.name
    first, second = (load_file(run.folder / "last.safetensors") for run in (plain, tracked))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize(
    ("fails", "what", "told"),
    [
        ("begin", "begin: tracker 'zoo-diary:diary' (zoo-diary 1.0) cannot be built: Run", 1),
        ("artifact", "take the recipe: RuntimeError", 2),
        ("log", "log: RuntimeError", 3),
        ("exit", "log: SystemExit: 3", 3),
        ("sleep", "log: no response within 0.3 s", 3),
        ("finish", "finish: RuntimeError", 8),
    ],
)
def test_one_that_fails_is_named_once_and_left_out(
    diary: Callable[[], list[Any]],
    tiny_idx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
    what: str,
    told: int,
) -> None:
    """At its start, in the middle, at its end, or for ever; the run is done, others are told."""
    if fails == "sleep":
        monkeypatch.setattr(tracking, "PATIENCE_S", 0.3)
    messages: list[str] = []
    run = train(
        tiny_idx,
        tmp_path / "runs",
        trackers={"diary": {"fails": fails}, "jsonl": {}},
        progress=messages.append,
    )
    assert run.record.status == "done"
    (line,) = messages
    assert line.startswith(f"tracker zoo-diary:diary failed to {what}")
    assert len(diary()) == told, "it is not called again"
    last = (run.folder / "tracker.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["status"] == "done"


def test_interrupted_and_resumed(
    diary: Callable[[], list[Any]], tiny_idx: Path, tmp_path: Path
) -> None:
    """The end says so; the next part begins with the step that it goes on from."""
    steps = iter(range(100))
    with pytest.raises(InterruptedRunError):
        train(tiny_idx, tmp_path, trackers="diary", should_stop=lambda: next(steps) == 9)
    assert diary()[-1] == ["finish", "interrupted"]
    run = train(tiny_idx, tmp_path, trackers="diary,jsonl", resume=True)
    begun = [note for note in diary() if note[0] == "begin"]
    assert [note[3] for note in begun] == [0, 10]
    assert diary()[-1] == ["finish", "done"]
    again = train(tiny_idx, tmp_path, trackers="diary", resume=True)
    assert again.folder == run.folder
    assert len([note for note in diary() if note[0] == "begin"]) == 2, "nothing was trained"


def test_a_diverged_run_says_so(
    diary: Callable[[], list[Any]], tiny_idx: Path, tmp_path: Path
) -> None:
    """And no model is handed on."""
    wild: dict[str, object] = {"optimizer.lr": 100.0, "optimizer.weight_decay": 1.0}
    with pytest.raises(DivergedError):
        train(tiny_idx, tmp_path, wild, trackers="diary")
    assert diary()[-1] == ["finish", "diverged"]
    assert ["artifact", "model"] not in [note[:2] for note in diary()]


def test_a_model_of_an_earlier_run_does_not_stay(tiny_idx: Path, tmp_path: Path) -> None:
    """Trained anew without trackers, the folder holds no other run's model."""
    run = train(tiny_idx, tmp_path, trackers="jsonl")
    assert (run.folder / "model").is_dir()
    train(tiny_idx, tmp_path, overwrite=True)
    assert not (run.folder / "model").exists()


def test_names_and_options_are_checked_before_anything_is_trained(
    diary: Callable[[], list[Any]], tiny_idx: Path, tmp_path: Path
) -> None:
    """Unknown names, unknown options, and one tracker twice."""
    registry = build_registry()
    chosen = choose("jsonl, diary", registry)
    assert chosen == {"oraclezoo:jsonl": {"path": None}, "zoo-diary:diary": {"fails": "never"}}
    assert choose((), registry) == {}
    for wrong, error in (
        ("jsnol", UnknownNameError),
        ({"jsonl": {"pth": "x"}}, UnknownOptionError),
        (["jsonl", "oraclezoo:jsonl"], UsageError),
    ):
        with pytest.raises(error):
            train(tiny_idx, tmp_path / "runs", trackers=wrong)
    assert not (tmp_path / "runs").exists()


def test_a_benchmark_has_trackers_for_each_job(tiny_idx: Path, tmp_path: Path) -> None:
    """Each seed's run has its own; the message of one that cannot write reaches the user."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    events: list[Progress] = []
    oz.bench(
        [oz.Recipe.load("authors-cnn", TINY)],
        data_dir=tiny_idx,
        seeds=1,
        device="cpu",
        out=tmp_path / "results",
        runs=tmp_path / "runs",
        trackers={"tensorboard": {}, "jsonl": {"path": str(blocked / "all.jsonl")}},
        report=events.append,
    )
    (run,) = (tmp_path / "runs").glob("*-s0")
    assert list((run / "tensorboard").iterdir())
    (message,) = (event for event in events if event.event == "message")
    assert isinstance(message.detail, Message)
    assert "oraclezoo:jsonl failed to begin" in message.detail.text


def test_seeds_trained_as_one_have_trackers_of_their_own(tiny_idx: Path, tmp_path: Path) -> None:
    """The stacked strategy too: a file that two runs share holds both, each to its end."""
    shared, registry = tmp_path / "all.jsonl", build_registry()
    stacked.train(
        oz.Recipe.load("authors-cnn", TINY),
        [0, 1],
        registry=registry,
        execution=Execution(
            data_dir=tiny_idx,
            device="cpu",
            trackers=choose({"jsonl": {"path": str(shared)}}, registry),
        ),
        out=tmp_path / "runs",
    )
    rows = [json.loads(line) for line in shared.read_text().splitlines()]
    for seed in ("s0", "s1"):
        events = [row["event"] for row in rows if row["run"].endswith(seed)]
        assert events[:2] == ["start", "artifact"]
        assert events.count("log") == 4
        assert events[-1] == "finish"
