"""Bench: the protocol, from a list of recipes to results that can be ranked.

One process a job; seeds derived by axis; test images read only after training. Finished jobs are
kept in the runs folder, so that a stopped benchmark goes on where it was; failed ones never are.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oraclezoo._version import __version__
from oraclezoo.contracts import Dataset
from oraclezoo.errors import InterruptedRunError, OracleZooError, UsageError
from oraclezoo.leaderboard.ledger import record as record_in_ledger
from oraclezoo.leaderboard.predictions import save_predictions
from oraclezoo.measure import hardware
from oraclezoo.pipeline import compose
from oraclezoo.pipeline.run import Run, folder_name
from oraclezoo.pipeline.score import Score
from oraclezoo.pipeline.worker import run_job
from oraclezoo.recipe import Recipe
from oraclezoo.registry import Registry, build_registry
from oraclezoo.resolve import resolve
from oraclezoo.result import PROTOCOL, Result, data_key, make_id, timestamp
from oraclezoo.result_check import CLOSED_EPOCHS
from oraclezoo.train.device import pick


@dataclass(frozen=True)
class Progress:
    """What a benchmark tells while it runs: job ``index`` (from 1) of ``total``."""

    event: str
    recipe: str
    seed: int | None
    index: int
    total: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class _Bench:
    """What all jobs of a benchmark share."""

    registry: Registry
    data_dir: Path | None
    device: str
    results: Path
    runs: Path
    fresh: bool
    command: str
    report: Callable[[Progress], None]


def bench(
    recipes: Iterable[Recipe | str | Path],
    *,
    track: str | None = None,
    seeds: int | Sequence[int] = 5,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "results",
    runs: str | Path = "runs",
    fresh: bool = False,
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Callable[[str], None] | None = None,
    command: str | None = None,
) -> list[Result]:
    """Train and measure each recipe at each seed; one Result a recipe, saved under ``out``.

    ``track`` replaces the recipes' own. ``seeds`` is how many (0, 1, ...) or which. A job that
    fails is recorded in its recipe's result and the others go on. ``fresh`` measures again what the
    runs folder holds already.

    Raises UsageError or DataError before anything is trained, InterruptedRunError on Ctrl-C.
    """
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not chosen:
        raise UsageError("a benchmark needs at least one seed")
    registry = registry or build_registry()
    pick(device)
    changes = {} if track is None else {"data.track": track}
    resolved: dict[str, Recipe] = {}
    for item in recipes:
        recipe = item if isinstance(item, Recipe) else Recipe.load(item)
        recipe = resolve(recipe.override(changes), registry)
        resolved.setdefault(recipe.hash, recipe)
    shared = _Bench(
        registry=registry,
        data_dir=None if data_dir is None else Path(data_dir),
        device=device,
        results=Path(out),
        runs=Path(runs),
        fresh=fresh,
        command=command or shlex.join(["oraclezoo", *sys.argv[1:]]),
        report=report,
    )
    datasets: dict[str, Dataset] = {}
    for recipe in resolved.values():  # all data is found, or the error raised, before any training
        if recipe.data.track not in datasets:
            dataset = compose.open_dataset(recipe, registry, shared.data_dir, progress)
            dataset.split("train")
            datasets[recipe.data.track] = dataset
    total, done, results = len(resolved) * (len(chosen) + 1), 0, []
    for recipe in resolved.values():
        results.append(_bench_recipe(shared, recipe, datasets, chosen, done, total))
        done += len(chosen) + 1
    return results


def _bench_recipe(
    shared: _Bench,
    recipe: Recipe,
    datasets: dict[str, Dataset],
    seeds: Sequence[int],
    done: int,
    total: int,
) -> Result:
    """All jobs of one recipe, and the result they add up to."""
    dataset = datasets[recipe.data.track]
    runs: dict[int, Run] = {}
    failures: list[dict[str, Any]] = []

    def tell(event: str, seed: int | None, step: int, fields: dict[str, Any] | None = None) -> None:
        state = Progress(event, recipe.name, seed, done + step, total, fields or {})
        shared.report(state)
        if event != "epoch":
            _journal(shared.runs, recipe, state)

    for step, seed in enumerate(seeds, 1):
        run = Run(shared.runs / folder_name(recipe, seed))
        if not shared.fresh and _reusable(run, shared, recipe, dataset):
            runs[seed] = run
            tell("kept", seed, step, run.record["score"])
            continue
        tell("start", seed, step)
        ended = _train(shared, recipe, run, seed, partial(tell, "epoch", seed, step))
        if ended["event"] == "failed":
            failures.append({"seed": seed, "reason": ended["reason"], "message": ended["message"]})
            tell("failed", seed, step, failures[-1])
            continue
        runs[seed] = run
        record_in_ledger(
            shared.results,
            track=recipe.data.track,
            data_key=data_key(_data_sha256(run.record)),
            recipe_hash=recipe.hash,
        )
        tell("done", seed, step, run.record["score"])
    measured = None
    if runs:
        tell("measure", None, len(seeds) + 1)
        request = {"action": "measure", "folder": str(next(iter(runs.values())).folder)}
        measured = run_job({**request, "device": shared.device})
        if measured["event"] == "failed":
            failures.append(
                {
                    "seed": next(iter(runs)),
                    "reason": measured["reason"],
                    "message": measured["message"],
                }
            )
            measured = None
    return _compose_result(shared, recipe, dataset, runs, failures, measured)


def _train(
    shared: _Bench,
    recipe: Recipe,
    run: Run,
    seed: int,
    on_event: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """One training and scoring job; its last event."""

    def forward(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            on_event({key: value for key, value in event.items() if key != "event"})

    request = {
        "action": "train",
        "recipe": recipe.to_dict(),
        "seed": seed,
        "data_dir": None if shared.data_dir is None else str(shared.data_dir),
        "device": shared.device,
        "out": str(shared.runs),
        "resume": not shared.fresh and _same_code(run),
    }
    try:
        return run_job(request, forward)
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise InterruptedRunError(
            f"stopped in {recipe.name}, seed {seed}; all finished jobs and this one's state are "
            f"kept in {shared.runs}: run the same command again to go on"
        ) from error


def _same_code(run: Run) -> bool:
    """Whether an unfinished run in that folder was made by this very code and these libraries."""
    try:
        record = run.record
    except OracleZooError:
        return False
    return (
        record.get("status") in ("running", "interrupted")
        and record.get("code_sha256") == compose.code_sha256()
        and record.get("libraries") == hardware.libraries()
    )


def _reusable(run: Run, shared: _Bench, recipe: Recipe, dataset: Dataset) -> bool:
    """Whether a finished run would come out the same here and now, times included."""
    try:
        record = run.record
    except OracleZooError:
        return False
    data = record.get("data_sha256", {})
    expected = {
        "status": "done",
        "code_sha256": compose.code_sha256(),
        "libraries": hardware.libraries(),
        "components": compose.components(recipe, shared.registry),
    }
    return (
        all(record.get(key) == value for key, value in expected.items())
        and "score" in record
        and (run.folder / "score.safetensors").is_file()
        and record["hardware"]["class"] == hardware.describe(pick(shared.device))["class"]
        and all(data.get(name) == digest for name, digest in dataset.sha256.items())
    )


def _compose_result(
    shared: _Bench,
    recipe: Recipe,
    dataset: Dataset,
    runs: dict[int, Run],
    failures: list[dict[str, Any]],
    measured: dict[str, Any] | None,
) -> Result:
    """The result of a recipe's runs, saved beside its predictions."""
    records = {seed: run.record for seed, run in runs.items()}
    scores = {seed: Score.load(run.folder / "score.safetensors") for seed, run in runs.items()}
    description = hardware.describe(pick(shared.device))
    track = recipe.data.track.removeprefix("oraclezoo:")
    identity = make_id(track, recipe.name, recipe.hash, description["class"])
    train, validation = dataset.split("train"), dataset.split("validation")
    learned = len(train.labels) + (len(validation.labels) if recipe.data.refit else 0)
    first = next(iter(records.values()), None)
    examples = first["outcome"]["examples"] if first else 0
    shared.results.mkdir(parents=True, exist_ok=True)
    predictions = None
    if scores:
        file = f"{identity}.safetensors"
        labels = next(iter(scores.values())).labels
        stacked = np.stack([score.probabilities for score in scores.values()])
        digest = save_predictions(shared.results / file, stacked, labels)
        predictions = {"file": file, "sha256": digest, "images": len(labels)}
        predictions["classes"] = stacked.shape[2]
    document = {
        "schema": "oraclezoo/result/1",
        "id": identity,
        "created": timestamp(),
        "oraclezoo": __version__,
        "code_sha256": compose.code_sha256(),
        "protocol": PROTOCOL,
        "command": shared.command,
        "track": {
            "name": track,
            "division": "closed" if examples <= CLOSED_EPOCHS * learned else "open",
            "synthetic": dataset.synthetic,
            "classes": len(dataset.classes),
            "image_size": int(train.images.shape[-1]),
            "train": len(train.labels),
            "validation": len(validation.labels),
            "test": predictions["images"] if predictions else 0,
            "data_sha256": _data_sha256(first) if first else dict(dataset.sha256),
        },
        "recipe": {
            "name": recipe.name,
            "hash": recipe.hash,
            "summary": recipe.summary,
            "refit": recipe.data.refit,
            "content": json.loads(json.dumps(recipe.canonical(), default=list)),
        },
        "components": compose.components(recipe, shared.registry),
        "examples": examples,
        "seeds": [_seed_row(seed, records[seed], scores[seed]) for seed in runs],
        "failures": failures,
        "model": measured["model"] if measured else None,
        "latency": measured["latency"] if measured else [],
        "hardware": {
            **description,
            "calibration_s": measured["calibration_s"] if measured else None,
        },
        "libraries": hardware.libraries(),
        "predictions": predictions,
    }
    result = Result.from_json_dict(document)
    result.save(shared.results)
    return result


def _data_sha256(record: dict[str, Any]) -> dict[str, str]:
    """Digests of all that a run was trained and scored on."""
    return {**record["data_sha256"], **record["test_sha256"]}


def _seed_row(seed: int, record: dict[str, Any], score: Score) -> dict[str, Any]:
    outcome = record["outcome"]
    return {
        "seed": seed,
        "accuracy": score.accuracy,
        "loss": score.loss,
        "validation_accuracy": outcome["validation_accuracy"],
        "train_s": outcome["train_s"],
        "compile_s": outcome["compile_s"],
        "steps": outcome["steps"],
        "peak_memory_bytes": outcome["peak_memory_bytes"],
    }


def _journal(runs: Path, recipe: Recipe, state: Progress) -> None:
    """One line for each thing that happened, for whoever wants to know afterwards."""
    runs.mkdir(parents=True, exist_ok=True)
    line = {
        "time": timestamp(),
        "event": state.event,
        "recipe": recipe.name,
        "hash": recipe.hash12,
        "seed": state.seed,
        **state.fields,
    }
    with (runs / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
