"""Sweeps: every trial runs once, survives interruption, and never uses a test image."""

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.cli import cli
from oraclezoo.cli.sweep import seconds
from oraclezoo.contracts import Split
from oraclezoo.data.dataset import ArrayDataset
from oraclezoo.errors import (
    InterruptedRunError,
    OracleZooError,
    RecipeError,
    ResultError,
    UsageError,
)
from oraclezoo.sweeping.file import read_sweep
from oraclezoo.sweeping.records import Part, Settings, Trial
from oraclezoo.sweeping.space import Axis, Choices, Range
from oraclezoo.sweeping.study import Study, quiet
from oraclezoo.sweeping.sweep import Sweep, sweep

optuna = pytest.importorskip("optuna")

TINY: dict[str, object] = {"data.track": "idx", "budget.epochs": 2, "budget.batch_size": 16}
KILLS = int(os.environ.get("ORACLEZOO_TEST_KILLS", "2"))
"""How many in the full suite."""
NEW_TRIAL, TRIAL_STATE, TRIAL_ATTRIBUTE = 4, 6, 8
"""Codes of operations in Optuna's journal."""
SPACE: dict[str, object] = {"optimizer.lr": "log:0.001:0.1", "optimizer.momentum": [0.0, 0.5]}
AXES = (
    Range("budget.epochs", 1, 4, False, None, True),
    Choices("budget.batch_size", (8, 16)),
)


def run(data: Path, out: Path, space: dict[str, object] | None = None, **more: Any) -> Sweep:
    """Run a sweep of a tiny recipe."""
    recipe = more.pop("recipe", None) or oz.Recipe.load("authors-cnn", TINY)
    return oz.sweep(recipe, space or SPACE, data_dir=data, device="cpu", out=out, **more)


def operations(out: Path, code: int) -> list[dict[str, Any]]:
    """Return the journal's records of one operation of Optuna."""
    text = (out / "journal.log").read_text()
    return [row for row in map(json.loads, text.splitlines()) if row["op_code"] == code]


def parts(out: Path) -> list[tuple[int, str]]:
    """Return trial and name of each training run in the journal."""
    rows = operations(out, TRIAL_ATTRIBUTE)
    return [
        (row["trial_id"], name)
        for row in rows
        for name in row["user_attr"]
        if name.startswith("training_")
    ]


def outcomes(sweep: Sweep) -> list[tuple[Any, ...]]:
    """Return each trial's outcome without times."""
    return [
        (t.number, t.status, t.point, [(p.accuracy, p.loss) for p in t.parts.values()])
        for t in sweep.trials
    ]


def test_a_sweep_finds_the_best_and_writes_its_recipe(tiny_idx: Path, tmp_path: Path) -> None:
    """The best is chosen by accuracy, then loss; its recipe is trainable and keeps ``refit``."""
    recipe = oz.Recipe.load("authors-cnn", {**TINY, "data.refit": True})
    actual = run(tiny_idx, tmp_path / "s", trials=4, recipe=recipe)
    assert actual.complete
    assert [trial.status for trial in actual.trials] == ["done"] * 4
    best = actual.best
    assert best is not None
    assert best.accuracy == max(trial.accuracy for trial in actual.trials)
    written = actual.best_recipe()
    assert written.data.refit
    assert written.optimizer.options["lr"] == best.point["optimizer.lr"]
    assert "best of 4 trials" in written.summary
    assert not (tmp_path / "s" / "runs").exists(), "trials' runs are not kept unless asked for"
    lone = oz.train(
        written.override({"data.refit": False}), data_dir=tiny_idx, out=tmp_path, device="cpu"
    )
    assert lone.outcome.validation_accuracy == best.accuracy


def test_more_trials_go_on_and_others_are_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """Finished trials are kept; another space, seed or recipe is an error."""
    first = run(tiny_idx, tmp_path, trials=2)
    more = run(tiny_idx, tmp_path, trials=3)
    assert outcomes(more)[:2] == outcomes(first)
    assert len(parts(tmp_path)) == 3
    for changed in ({"seed": 1}, {"space": {"optimizer.lr": "0.1:1"}}, {"metric": "loss"}):
        with pytest.raises(UsageError, match="another"):
            run(tiny_idx, tmp_path, trials=3, **changed)
    assert len(parts(tmp_path)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [pytest.param("random", "none", marks=pytest.mark.full), ("tpe", "median")],
)
def test_stopped_and_started_again_it_ends_as_if_it_had_not_been(
    tiny_idx: Path, tmp_path: Path, sampler: str, pruner: str
) -> None:
    """Trials, metrics and prunings are bit-identical after a resume."""
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
            pieces = run(
                tiny_idx,
                tmp_path / "pieces",
                should_stop=lambda: next(stops) % 97 == 96,
                **settings,
            )
            break
        except InterruptedRunError:
            continue
    assert outcomes(pieces) == outcomes(whole)
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
@pytest.mark.parametrize("kills", [1, pytest.param(KILLS, marks=pytest.mark.full)])
def test_twenty_trials_killed_in_the_middle_are_finished_none_twice(
    tiny_idx: Path, tmp_path: Path, kills: int
) -> None:
    """A sweep killed at random times ends with the result of an uninterrupted one."""
    moments = random.Random(os.environ.get("ORACLEZOO_TEST_SEED", "0"))
    command = [sys.executable, "-c", SCRIPT, str(tiny_idx), str(tmp_path / "killed")]
    journal = tmp_path / "killed" / "journal.log"
    for kill in range(kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        want = moments.randint(1 + 15 * kill // kills, 15 * (kill + 1) // kills)
        while process.poll() is None:
            done = journal.read_text().count('"op_code":6') if journal.exists() else 0
            if done >= want:
                time.sleep(moments.random() * 0.2)
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was at work when it was killed"
    with journal.open("a") as file:
        file.write('{"op_code":8,"tri')  # as a kill in the middle of a write leaves it
    journal.with_name("journal.log.lock").touch()  # and in the middle of Optuna's lock
    killed = run(tiny_idx, tmp_path / "killed", {"optimizer.lr": "log:0.001:0.1"}, trials=20)
    assert killed.complete
    assert len(operations(tmp_path / "killed", NEW_TRIAL)) == 20
    ended = Counter(row["trial_id"] for row in operations(tmp_path / "killed", TRIAL_STATE))
    assert ended == dict.fromkeys(range(20), 1)
    assert Counter(parts(tmp_path / "killed")) == {(n, "training_0"): 1 for n in range(20)}
    assert len({trial.hash for trial in killed.trials}) == 20
    alone = run(tiny_idx, tmp_path / "alone", {"optimizer.lr": "log:0.001:0.1"}, trials=20)
    assert outcomes(killed) == outcomes(alone)


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_no_point_comes_up_twice(tmp_path: Path, sampler: str) -> None:
    """In a finite space, points do not repeat; their order depends on the seed only."""

    def points(seed: int, out: str) -> list[str]:
        study = Study(tmp_path / out, AXES, Settings(sampler=sampler, seed=seed), {})
        for number in range(8):
            study.start(study.propose(), "")
            study.add_part(number, 0, Part(0.5, 1.0, 1.0))
            study.end(number, "failed" if number == 3 else "done", "x" if number == 3 else "")
        return [repr(trial.point) for trial in study.trials()]

    first = points(0, "a")
    assert len(set(first)) == 8
    assert first == points(0, "b") != points(1, "c")


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_points_lie_in_the_space(tmp_path: Path, sampler: str) -> None:
    """All samplers stay within the space; values have six significant digits."""
    axes: tuple[Axis, ...] = (
        Range("optimizer.lr", 0.001, 0.1, True, None, False),
        Range("budget.epochs", 3, 30, False, None, True),
        Choices("optimizer.name", ("sgd", "adamw")),
        Range("augment.rotate", 0, 20, False, 5, False),
    )
    study = Study(tmp_path / "journal.log", axes, Settings(sampler=sampler), {})
    for number in range(13):
        with quiet():
            point = study.propose()
        assert 0.001 <= point["optimizer.lr"] <= 0.1
        assert point["optimizer.lr"] == float(f"{point['optimizer.lr']:.6g}")
        assert type(point["budget.epochs"]) is int
        assert point["augment.rotate"] in (0, 5, 10, 15, 20)
        assert study.start(point, "").point == point
        study.add_part(number, 0, Part(point["optimizer.lr"], 1.0, 1.0))
        study.end(number, "done")


def test_the_journal_is_optunas(tiny_idx: Path, tmp_path: Path) -> None:
    """Optuna's API can open it, as optuna-dashboard does."""
    result = run(tiny_idx, tmp_path, trials=2)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    )
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    assert [trial.params for trial in study.trials] == [trial.point for trial in result.trials]
    assert study.best_value == max(trial.accuracy for trial in result.trials)
    assert all(trial.intermediate_values for trial in study.trials)


OLD = [
    {"event": "sweep", "schema": "oraclezoo/sweep-journal/1", "recipe": {}, "space": {}},
    {"event": "trial", "trial": 0, "point": {"optimizer.lr": 0.1}, "hash": "h"},
]


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.log"])
def test_a_sweep_of_another_version_is_refused(tiny_idx: Path, tmp_path: Path, name: str) -> None:
    """A one-line error says what to do; the old journal is not changed."""
    text = "".join(json.dumps({"time": "2026-01-01T00:00:00Z", **row}) + "\n" for row in OLD)
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=r"oraclezoo 0\.1\.0.*delete it.*--out") as caught:
        run(tiny_idx, tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"\xff\x00",
        b"[" * 100_000,
        b'{"op_code":99,"worker_id":"x"}',
        b'{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":null}',
        b'{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":1e400,"state":0}',
        b'{"op_code":8,"worker_id":"x","trial_id":0,"user_attr":{"training_0":{"accuracy":"x"}}}',
        b'{"op_code":8,"worker_id":"x","trial_id":0,"user_attr":{"training_x":{}}}',
        b'{"op_code":8,"worker_id":"x","trial_id":0,"user_attr":'
        b'{"training_0":{"accuracy":1e999,"loss":1,"train_s":1}}}',
        b'{"op_code":7,"worker_id":"x","trial_id":0,"step":"x","intermediate_value":null}',
        b'{"op_code":6,"worker_id":"x","trial_id":0,"state":1,"values":null,'
        b'"datetime_complete":"2026-01-01"}',
        b'{"op_code":2,"worker_id":"x","study_id":0,"user_attr":{"definition":3}}',
    ],
    ids=range(13),
)
def test_a_damaged_journal_is_named_in_one_line(tmp_path: Path, line: bytes) -> None:
    """Any invalid record raises an error that names the journal and the remedy."""
    path = tmp_path / "journal.log"
    study = Study(path, AXES, Settings(), {"seed": 0})
    study.start(study.propose(), "h")
    before = path.read_bytes()
    path.write_bytes(before + line + b"\n" + before.splitlines(True)[-1])
    with pytest.raises(OracleZooError) as caught:
        Study(path, AXES, Settings(), {"seed": 0})
    assert isinstance(caught.value, ResultError), caught.value
    (text,) = str(caught.value).splitlines()
    assert text.startswith(f"{path}: corrupt sweep journal")
    assert text.endswith("choose another --out")


def test_another_file_is_not_truncated(tmp_path: Path) -> None:
    """A torn record is removed; a torn line of another file is not."""
    path = tmp_path / "journal.log"
    for text in ("my notes", "many\nlines of notes"):
        path.write_text(text)
        with pytest.raises(ResultError, match="corrupt sweep journal"):
            Study(path, AXES, Settings(), {})
        assert path.read_text() == text
    path.unlink()
    Study(path, AXES, Settings(), {})
    whole = path.read_bytes()
    for cut in (1, 11, 20):
        path.write_bytes(whole + whole[:cut])
        Study(path, AXES, Settings(), {})
        assert path.read_bytes().startswith(whole)
        assert all(json.loads(line) for line in path.read_text().splitlines())


def test_without_optuna_the_extra_is_named(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds for a grid too, and nothing is written."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OracleZooError, match=r"pip install 'oraclezoo\[sweep\]'") as caught:
        run(tiny_idx, tmp_path / "s", sampler="grid", space={"optimizer.lr": [0.1]})
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "s").exists()


OFFLINE = """
import socket, sys
from pathlib import Path

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
import optuna
import oraclezoo as oz

before = optuna.logging.get_verbosity()
recipe = oz.Recipe.load("authors-cnn", {"data.track": "idx", "budget.epochs": 1,
                                        "budget.batch_size": 16})
found = oz.sweep(recipe, {"optimizer.lr": "log:0.001:0.1"}, trials=5, sampler="tpe",
                 pruner="median", data_dir=Path(sys.argv[1]), out=Path(sys.argv[2]), device="cpu")
assert found.importance is not None
assert optuna.logging.get_verbosity() == before
"""


def test_a_sweep_prints_nothing_and_sends_nothing(tiny_idx: Path, tmp_path: Path) -> None:
    """Optuna prints nothing and opens no connection; the user's verbosity is restored."""
    command = [sys.executable, "-c", OFFLINE, str(tiny_idx), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_folds_and_seeds_are_trained_in_turn(tiny_idx: Path, tmp_path: Path) -> None:
    """Two folds at two seeds give four training runs and a standard error per trial."""
    actual = run(
        tiny_idx, tmp_path, {"optimizer.lr": [0.01, 0.1]}, sampler="grid", folds=2, seeds=2
    )
    assert [len(trial.parts) for trial in actual.trials] == [4, 4]
    assert all(trial.accuracy_se is not None for trial in actual.trials)
    assert "2-fold cross-validation" in actual.judged
    assert not (tmp_path / "folds").exists()
    assert actual.best_recipe().data.track == "idx"


def test_the_test_split_is_never_read(
    tmp_path: Path, tiny_idx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither validation nor cross-validation reads it."""
    real = ArrayDataset.split

    def guarded(self: ArrayDataset, name: str) -> Split:
        assert name != "test"
        return real(self, name)

    monkeypatch.setattr(ArrayDataset, "split", guarded)
    for folds in (0, 2):
        run(tiny_idx, tmp_path / str(folds), trials=1, folds=folds)


def test_a_failed_trial_is_recorded_and_the_others_run(tiny_idx: Path, tmp_path: Path) -> None:
    """Divergence and too large batches are recorded with their reasons."""
    loaded = run(
        tiny_idx,
        tmp_path,
        {"optimizer.lr": [0.01, 100.0], "budget.batch_size": [16, 4096]},
        sampler="grid",
        recipe=oz.Recipe.load("authors-cnn", {**TINY, "optimizer.weight_decay": 1.0}),
    )
    ends = {tuple(t.point.values()): (t.status, t.reason.partition(":")[0]) for t in loaded.trials}
    assert ends == {
        (0.01, 16): ("done", ""),
        (100.0, 16): ("failed", "DivergedError"),
        (0.01, 4096): ("failed", "UsageError"),
        (100.0, 4096): ("failed", "UsageError"),
    }


def test_time_that_is_over_leaves_the_rest_for_later(tiny_idx: Path, tmp_path: Path) -> None:
    """The time limit is not an error; a later call continues."""
    late = run(tiny_idx, tmp_path, trials=2, timeout_s=0.0)
    assert not late.complete
    assert late.best is None
    assert run(tiny_idx, tmp_path, trials=2).complete


def test_two_sweeps_do_not_share_a_folder(tiny_idx: Path, tmp_path: Path) -> None:
    """The second sweep raises an error, and the first continues."""

    with ThreadPoolExecutor() as pool:

        def second(trial: Trial) -> None:
            sweep = pool.submit(run, tiny_idx, tmp_path, trials=1)
            with pytest.raises(UsageError, match="in use by another process"):
                sweep.result()

        assert run(tiny_idx, tmp_path, trials=1, on_trial=second).complete


def test_importance_names_the_key_that_matters(tmp_path: Path) -> None:
    """fANOVA needs at least four trials with different results."""
    axes = (
        Range("optimizer.lr", 0.001, 1, True, None, False),
        Choices("budget.batch_size", (8, 16)),
    )

    def study(count: int, step: float) -> Study:
        result = Study(tmp_path / f"{count}-{step}", axes, Settings(), {})
        for number in range(count):
            point = {"optimizer.lr": 0.001 * 1.19**number, "budget.batch_size": (8, 16)[number % 2]}
            result.start(point, str(number))
            result.add_part(number, 0, Part(0.5 + step * number, 1.0, 1.0))
            result.end(number, "done")
        return result

    importance = study(39, 0.01).importance()
    assert importance is not None
    assert "fANOVA" in importance.method
    assert next(iter(importance.shares)) == "optimizer.lr"
    assert importance.shares["optimizer.lr"] > 0.8 > 0.2 > importance.shares["budget.batch_size"]
    assert study(3, 0.01).importance() is None
    assert study(4, 0.0).importance() is None


def test_a_sweep_file_and_the_command(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options override the file; the output is a table and figures, or one JSON document."""
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
        ('trials = "many"', "wrong type"),
        ("trials = true", "wrong type"),
        ("= 3", "sweep"),
    ],
)
def test_a_broken_sweep_file_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    """Unknown keys (with suggestions), wrong types and invalid TOML raise one-line errors."""
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_sweep(path)


@pytest.mark.parametrize(
    "wrong",
    [{"sampler": "tpee"}, {"pruner": "x"}, {"metric": "f1"}, {"seeds": 0}, {"folds": 1}],
)
def test_settings_that_cannot_be(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Invalid settings are rejected before files are written."""
    with pytest.raises(UsageError):
        sweep(oz.Recipe.load("quick"), SPACE, out=tmp_path / "s", **wrong)
    assert not (tmp_path / "s").exists()


def test_times_are_read() -> None:
    """Times are parsed with and without a unit."""
    assert [seconds(text) for text in ("90", "1.5m", "2h", "3 s")] == [90, 90, 7200, 3]
    with pytest.raises(UsageError, match="30m"):
        seconds("soon")
