"""Sweeps: every trial once, whatever happens, judged without a test image."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.cli import cli
from oraclezoo.cli.sweep import seconds
from oraclezoo.contracts import Split
from oraclezoo.data.dataset import ArrayDataset
from oraclezoo.errors import InterruptedRunError, RecipeError, UsageError
from oraclezoo.pipeline import sweep_importance
from oraclezoo.pipeline.sweep import Sweep, sweep
from oraclezoo.pipeline.sweep_file import read_sweep
from oraclezoo.pipeline.sweep_importance import explained, importance
from oraclezoo.pipeline.sweep_journal import Part, Trial
from oraclezoo.pipeline.sweep_space import Choices, Range

TINY: dict[str, object] = {"data.track": "idx", "budget.epochs": 2, "budget.batch_size": 16}
SPACE: dict[str, object] = {"optimizer.lr": "log:0.001:0.1", "optimizer.momentum": [0.0, 0.5]}


def run(data: Path, out: Path, space: dict[str, object] | None = None, **more: Any) -> Sweep:
    """A sweep of a tiny recipe."""
    recipe = more.pop("recipe", None) or oz.Recipe.load("authors-cnn", TINY)
    return oz.sweep(recipe, space or SPACE, data_dir=data, device="cpu", out=out, **more)


def lines(out: Path, event: str) -> list[dict[str, Any]]:
    """The journal's whole lines of one kind."""
    found = []
    for text in (out / "journal.jsonl").read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return [line for line in found if line["event"] == event]


def told(sweep: Sweep) -> list[tuple[Any, ...]]:
    """What came of each trial, without times."""
    return [
        (t.number, t.status, t.point, [(p.accuracy, p.loss) for p in t.parts.values()])
        for t in sweep.trials
    ]


def test_a_sweep_finds_the_best_and_writes_its_recipe(tiny_idx: Path, tmp_path: Path) -> None:
    """The best by accuracy, ties by loss; the recipe can be trained and keeps its own refit."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "data.refit": True})
    found = run(tiny_idx, tmp_path / "s", trials=4, recipe=recipe)
    assert found.complete
    assert [trial.status for trial in found.trials] == ["done"] * 4
    best = found.best
    assert best is not None
    assert best.accuracy == max(trial.accuracy for trial in found.trials)
    written = found.best_recipe()
    assert written.data.refit
    assert written.optimizer.options["lr"] == best.point["optimizer.lr"]
    assert "best of 4 trials" in written.summary
    assert not (tmp_path / "s" / "runs").exists(), "trials' runs are not kept unless asked for"
    lone = oz.train(
        written.override({"data.refit": False}), data_dir=tiny_idx, out=tmp_path, device="cpu"
    )
    assert lone.record["outcome"]["validation_accuracy"] == best.accuracy


def test_more_trials_go_on_and_others_are_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """The first ones are not trained again; another space, seed or recipe is an error."""
    first = run(tiny_idx, tmp_path, trials=2)
    more = run(tiny_idx, tmp_path, trials=3)
    assert told(more)[:2] == told(first)
    assert len(lines(tmp_path, "part")) == 3
    for changed in ({"seed": 1}, {"space": {"optimizer.lr": "0.1:1"}}, {"metric": "loss"}):
        with pytest.raises(UsageError, match="another"):
            run(tiny_idx, tmp_path, trials=3, **changed)
    assert len(lines(tmp_path, "part")) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "pruner"), [("random", "none"), ("tpe", "median")])
def test_stopped_and_started_again_it_ends_as_if_it_had_not_been(
    tiny_idx: Path, tmp_path: Path, sampler: str, pruner: str
) -> None:
    """The same trials with the same figures, bit for bit; also Optuna's, and its prunings."""
    pytest.importorskip("optuna")
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "budget.epochs": 3})
    settings: dict[str, Any] = {
        "sampler": sampler,
        "pruner": pruner,
        "trials": 13,
        "recipe": recipe,
    }
    whole = run(tiny_idx, tmp_path / "whole", **settings)
    stops = iter(range(10_000))
    for _ in range(100):
        try:
            parts = run(
                tiny_idx, tmp_path / "parts", should_stop=lambda: next(stops) % 97 == 96, **settings
            )
            break
        except InterruptedRunError:
            continue
    assert told(parts) == told(whole)
    if pruner != "none":
        assert {trial.status for trial in whole.trials} == {"done", "pruned"}
        assert all(trial.curve for trial in whole.trials)


SCRIPT = """
import sys
from pathlib import Path
import oraclezoo as oz

recipe = oz.Recipe.load("authors-cnn", {"data.track": "idx", "budget.epochs": 2,
                                        "budget.batch_size": 16})
oz.sweep(recipe, {"optimizer.lr": "log:0.001:0.1"}, trials=20, data_dir=Path(sys.argv[1]),
         out=Path(sys.argv[2]), device="cpu")
"""


@pytest.mark.slow
def test_twenty_trials_killed_in_the_middle_are_finished_none_twice(
    tiny_idx: Path, tmp_path: Path
) -> None:
    """By SIGKILL at random moments, until it gets to its end; what came out is what would have."""
    kills = int(os.environ.get("ORACLEZOO_TEST_KILLS", "2"))
    moments = random.Random(os.environ.get("ORACLEZOO_TEST_SEED", "0"))
    command = [sys.executable, "-c", SCRIPT, str(tiny_idx), str(tmp_path / "killed")]
    journal = tmp_path / "killed" / "journal.jsonl"
    for kill in range(kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        want = moments.randint(1 + 15 * kill // kills, 15 * (kill + 1) // kills)
        while process.poll() is None:
            done = journal.read_text().count('"event": "done"') if journal.exists() else 0
            if done >= want:
                time.sleep(moments.random() * 0.2)
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was at work when it was killed"
    with journal.open("a") as file:
        file.write('{"event": "part", "tri')  # as a kill in the middle of a write leaves it
    killed = run(tiny_idx, tmp_path / "killed", {"optimizer.lr": "log:0.001:0.1"}, trials=20)
    assert killed.complete
    for event in ("trial", "part", "done"):
        counts = Counter(line["trial"] for line in lines(tmp_path / "killed", event))
        assert counts == dict.fromkeys(range(20), 1)
    assert len({trial.hash for trial in killed.trials}) == 20
    alone = run(tiny_idx, tmp_path / "alone", {"optimizer.lr": "log:0.001:0.1"}, trials=20)
    assert told(killed) == told(alone)


def test_folds_and_seeds_are_trained_in_turn(tiny_idx: Path, tmp_path: Path) -> None:
    """Two folds at two seeds: four trainings a trial, a standard error, no folds left behind."""
    found = run(tiny_idx, tmp_path, {"optimizer.lr": [0.01, 0.1]}, sampler="grid", folds=2, seeds=2)
    assert [len(trial.parts) for trial in found.trials] == [4, 4]
    assert all(trial.accuracy_se is not None for trial in found.trials)
    assert "2-fold cross-validation" in found.judged
    assert not (tmp_path / "folds").exists()
    assert found.best_recipe().data.track == "idx"


def test_the_test_split_is_never_read(
    tmp_path: Path, tiny_idx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by validation nor by folds."""
    real = ArrayDataset.split

    def guarded(self: ArrayDataset, name: str) -> Split:
        assert name != "test"
        return real(self, name)

    monkeypatch.setattr(ArrayDataset, "split", guarded)
    for folds in (0, 2):
        run(tiny_idx, tmp_path / str(folds), trials=1, folds=folds)


def test_a_trial_that_fails_is_told_and_the_others_go_on(tiny_idx: Path, tmp_path: Path) -> None:
    """Diverged, or a batch larger than the data: a reason each."""
    found = run(
        tiny_idx,
        tmp_path,
        {"optimizer.lr": [0.01, 100.0], "budget.batch_size": [16, 4096]},
        sampler="grid",
        recipe=oz.Recipe.load("authors-cnn", {**TINY, "optimizer.weight_decay": 1.0}),
    )
    assert [trial.status for trial in found.trials] == ["done", "failed", "failed", "failed"]
    assert found.trials[2].reason.startswith("DivergedError")
    assert found.trials[1].reason.startswith("UsageError")


def test_time_that_is_over_leaves_the_rest_for_later(tiny_idx: Path, tmp_path: Path) -> None:
    """No error; the same call without a limit goes on."""
    late = run(tiny_idx, tmp_path, trials=2, timeout_s=0.0)
    assert not late.complete
    assert late.best is None
    assert run(tiny_idx, tmp_path, trials=2).complete


def test_two_sweeps_do_not_share_a_folder(tiny_idx: Path, tmp_path: Path) -> None:
    """The second is told, and the first goes on."""

    def second(trial: Trial) -> None:
        with pytest.raises(UsageError, match="another sweep is at work"):
            run(tiny_idx, tmp_path, trials=1)

    assert run(tiny_idx, tmp_path, trials=1, on_trial=second).complete


@pytest.mark.parametrize("optuna_there", [True, False])
def test_importance_names_the_key_that_matters(
    monkeypatch: pytest.MonkeyPatch, optuna_there: bool
) -> None:
    """By Optuna's fANOVA, or by the share of variance explained; it says which."""
    if optuna_there:
        pytest.importorskip("optuna")
    else:
        monkeypatch.setitem(sys.modules, "optuna", None)
    axes = (
        Range("optimizer.lr", 0.001, 1, True, None, False),
        Choices("budget.batch_size", (8, 16)),
    )
    trials, values = [], []
    for number in range(40):
        point = {"optimizer.lr": 0.001 * 1.19**number, "budget.batch_size": (8, 16)[number % 2]}
        trials.append(Trial(number, point, str(number), {0: Part(0.5, 1.0, 1.0)}, "done"))
        values.append(0.5 + 0.01 * number)
    found = importance(axes, trials, values)
    assert found is not None
    assert ("fANOVA" in found.method) is optuna_there
    assert next(iter(found.shares)) == "optimizer.lr"
    assert found.shares["optimizer.lr"] > 0.8 > 0.2 > found.shares["budget.batch_size"]
    assert importance(axes, trials[:3], values[:3]) is None
    assert importance(axes, trials, [0.5] * 40) is None
    assert sweep_importance.FEWEST == 4


def test_variance_explained_is_epsilon_squared() -> None:
    """Two groups of two: worked out by hand."""
    axis = Choices("augment.flip", (True, False))
    trials = [Trial(k, {"augment.flip": k < 2}, "") for k in range(4)]
    # total 5 about 2.5 on 3 degrees of freedom, 1 inside on 2
    assert explained(axis, trials, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(1 - (1 / 2) / (5 / 3))
    assert explained(axis, trials, [1.0, 2.0, 1.0, 2.0]) == 0.0


def test_a_sweep_file_and_the_command(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options come before the file; a table, the best recipe and figures; or one document."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(
        'recipe = "authors-cnn"\nsampler = "grid"\ntrials = 1\n'
        '[set]\n"budget.epochs" = 1\n[space]\noptimizer.lr = "log:0.01:0.1:3"\n'
        '"budget.batch_size" = [16, 32]\n'
    )
    common = ["--track", "idx", "--data-dir", str(tiny_idx), "--device", "cpu"]
    command = ["sweep", "--file", "mine.toml", *common, "--trials", "4", "--json"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    assert len(data["trials"]) == 4
    assert data["folder"] == "sweeps/authors-cnn"
    assert tomllib.loads(Path(data["best_recipe"]).read_text())["budget"]["epochs"] == 1
    pytest.importorskip("matplotlib")
    assert Path("sweeps/authors-cnn/slices.svg").is_file()
    if data["importance"] is not None:
        assert Path("sweeps/authors-cnn/importance.png").is_file()
    shown = CliRunner().invoke(cli, command[:-1])
    assert shown.exit_code == 0, shown.output
    assert "the test split was not read" in shown.stdout
    assert shown.stdout.splitlines()[0].split()[:3] == ["RANK", "TRIAL", "ACCURACY"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spce = {}", "'space'"),
        ('trials = "many"', "another type"),
        ("trials = true", "another type"),
        ("= 3", "sweep"),
    ],
)
def test_a_broken_sweep_file_is_told(tmp_path: Path, text: str, says: str) -> None:
    """An unknown key with the nearest one, a wrong type, no TOML."""
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_sweep(path)


@pytest.mark.parametrize(
    "wrong",
    [{"sampler": "tpee"}, {"pruner": "x"}, {"metric": "f1"}, {"seeds": 0}, {"folds": 1}],
)
def test_settings_that_cannot_be(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Told before anything is made."""
    with pytest.raises(UsageError):
        sweep(oz.Recipe.load("quick"), SPACE, out=tmp_path / "s", **wrong)
    assert not (tmp_path / "s").exists()


def test_times_are_read() -> None:
    """With and without a unit."""
    assert [seconds(text) for text in ("90", "1.5m", "2h", "3 s")] == [90, 90, 7200, 3]
    with pytest.raises(UsageError, match="30m"):
        seconds("soon")
