"""Compose the benchmark result of a recipe from its jobs, and save it with its predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from oraclezoo._version import __version__
from oraclezoo.artifacts.plugins import changes, encoded, plugin_code
from oraclezoo.artifacts.provenance import components
from oraclezoo.artifacts.record import Robustness
from oraclezoo.artifacts.robustness import SEED, is_current
from oraclezoo.artifacts.run import Run, ScoredRecord
from oraclezoo.artifacts.score import Score
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.benching.events import Measured
from oraclezoo.benching.own_track import keep_track, name_of
from oraclezoo.card import PluginSource
from oraclezoo.codec import encode
from oraclezoo.contracts import Dataset
from oraclezoo.data.corrupt import CORRUPTIONS, VERSION
from oraclezoo.engine.device import pick
from oraclezoo.errors import ResultError
from oraclezoo.measure import hardware
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking.predictions import save_predictions
from oraclezoo.recipe import Recipe
from oraclezoo.result import (
    PROTOCOL,
    Failure,
    PluginKey,
    Result,
    data_key,
    make_id,
    plugin_key,
    timestamp,
)
from oraclezoo.result.check import CLOSED_EPOCHS, SCHEMA, beyond_closed
from oraclezoo.result.own_track import id_part


@dataclass(frozen=True)
class Jobs:
    """Outcomes of the jobs of one recipe.

    Attributes:
        recipe: The recipe.
        dataset: The data set of the recipe.
        runs: Scored runs, keyed by seed.
        failures: The failed jobs.
        measured: Size and latency of one of the models; None if the measurement failed.
        timed: Whether the result reports times; False if seeds may have trained concurrently.
        elsewhere: Whether the jobs ran on another machine, whose hardware the runs record.
    """

    recipe: Recipe
    dataset: Dataset
    runs: dict[int, Run]
    failures: list[Failure]
    measured: Measured | None
    timed: bool = True
    elsewhere: bool = False


def compose_result(
    jobs: Jobs, registry: Registry, folder: Path, *, device: str, command: str
) -> Result:
    """Compose the result of a recipe from its jobs and save it with its predictions.

    Args:
        jobs: Outcomes of the jobs.
        registry: Registry of components.
        folder: Folder for the results.
        device: Name of the device.
        command: Command recorded in the result.

    Raises:
        ResultError: If runs were scored on different test files.
    """
    recipe, measured = jobs.recipe, jobs.measured
    records = {seed: run.scored() for seed, run in jobs.runs.items()}
    scores = [Score.load(run.folder / "score.safetensors") for run in jobs.runs.values()]
    first_run = next(iter(jobs.runs.values()), None)
    description = _hardware_of(first_run) if jobs.elsewhere else hardware.describe(pick(device))
    first = next(iter(records.values()), None)
    examples = first.outcome.examples if first else 0
    digests = first.data_sha256 if first else dict(jobs.dataset.sha256)
    if any(record.data_sha256 != digests for record in records.values()):
        raise ResultError(
            f"{recipe.name}: its seeds were scored on different test files; run all of them again "
            "with --overwrite"
        )
    track = id_part(_short(recipe), name_of(jobs.dataset))
    identity = make_id(track, recipe.name, recipe.hash, description["class"])
    plugins = _plugins(jobs, records, registry)
    robustness = robustness_section([record.evaluated.robustness for record in records.values()])
    keeps = (jobs.timed, robustness is not None)
    key = data_key(digests), plugin_key(plugins)
    identity = _free(folder, identity, set(records), key, *keeps)
    speeds = [
        record.evaluated.calibration_s
        for record in records.values()
        if jobs.timed and record.evaluated.calibration_s is not None
    ]
    document = {
        "schema": SCHEMA,
        "id": identity,
        "created": timestamp(),
        "oraclezoo": __version__,
        "code_sha256": code_sha256(),
        "protocol": PROTOCOL,
        "command": command,
        "track": {
            **_track(recipe, jobs.dataset, examples),
            "test": len(scores[0].labels) if scores else 0,
            "data_sha256": digests,
        },
        "recipe": {
            "name": recipe.name,
            "hash": recipe.hash,
            "summary": recipe.summary,
            "refit": recipe.data.refit,
            "content": json.loads(json.dumps(recipe.canonical(), default=list)),
        },
        "components": {kind: encode(each) for kind, each in components(recipe, registry).items()},
        "examples": examples,
        "seeds": [
            _seed_row(seed, record, score, jobs.timed, not recipe.data.refit)
            for (seed, record), score in zip(records.items(), scores, strict=True)
        ],
        "failures": [encode(failure) for failure in jobs.failures],
        "model": encode(measured.model) if measured else None,
        "latency": [encode(row) for row in measured.latency] if measured else [],
        "hardware": {
            **description,
            "calibration_s": median(speeds) if speeds else None,
        },
        "libraries": dict(first_run.record.provenance.libraries)
        if jobs.elsewhere and first_run is not None
        else hardware.libraries(),
        "predictions": _keep_predictions(folder, identity, scores),
    }
    if robustness is not None:
        document["robustness"] = robustness
    if plugins:
        document["plugins"] = encoded(plugins)
    result = Result.from_json_dict(document)
    result.save(folder)
    keep_track(jobs.dataset, result, scores[0].labels if scores else None, folder)
    return result


def _hardware_of(run: Run | None) -> dict[str, Any]:
    """Return the hardware on which a run was trained; that of this machine if there is none."""
    if run is None:
        return hardware.describe(pick("cpu"))
    return dict(run.record.provenance.hardware)


def _plugins(
    jobs: Jobs, records: Mapping[int, ScoredRecord], registry: Registry
) -> dict[str, PluginSource]:
    """Return the plugins used in training. Raises ResultError if they differ between runs."""
    now = plugin_code(jobs.recipe, registry)
    for seed in records:
        changed = changes(jobs.runs[seed].record.provenance.plugins, now)
        if changed:
            raise ResultError(
                f"{jobs.recipe.name}, seed {seed}: {'; '.join(changed)}; run the same command again"
            )
    return now


def _free(
    folder: Path,
    identity: str,
    seeds: set[int],
    key: tuple[str, PluginKey],
    timed: bool,
    robust: bool,
) -> str:
    """Return an unused result ID, or the ID of an existing result that the new one may replace.

    It may replace a result with the same data and plugins, unless that result has seeds, times or
    robustness that the new one lacks.
    """
    stem = identity
    for number in count(2):
        try:
            old = Result.load(folder / f"{stem}.json")
        except ResultError:  # missing or unreadable
            return stem
        further = {score.seed for score in old.seeds} - seeds
        loses = not timed and any(score.train_s is not None for score in old.seeds)
        loses |= not robust and old.robustness is not None
        same = (old.track.data_key, old.plugin_key) == key
        if not further and not loses and (not old.seeds or same):
            return stem
        stem = f"{identity}-{number}"
    raise AssertionError("count() does not end")


def robustness_section(measured: list[Robustness | None]) -> dict[str, Any] | None:
    """Return the robustness section of a result, or None if a seed has no robustness scores."""
    rows = [each.accuracy for each in measured if each is not None and is_current(each)]
    if not rows or len(rows) < len(measured):
        return None
    return {
        "version": VERSION,
        "seed": SEED,
        "corruptions": [
            {"name": name, "accuracy": [list(row[name]) for row in rows]} for name in CORRUPTIONS
        ],
    }


def _short(recipe: Recipe) -> str:
    return recipe.data.track.removeprefix("oraclezoo:")


def _track(recipe: Recipe, dataset: Dataset, examples: int) -> dict[str, Any]:
    """Return the track section of a result, except for its test split."""
    train, validation = dataset.split("train"), dataset.split("validation")
    learned = len(train.labels) + (len(validation.labels) if recipe.data.refit else 0)
    closed = examples <= CLOSED_EPOCHS * learned and not beyond_closed(recipe.canonical())
    return {
        "name": _short(recipe),
        "division": "closed" if closed else "open",
        "synthetic": dataset.synthetic,
        "classes": len(dataset.classes),
        "image_size": int(train.images.shape[-1]),
        "train": len(train.labels),
        "validation": len(validation.labels),
    }


def _keep_predictions(folder: Path, identity: str, scores: list[Score]) -> dict[str, Any] | None:
    if not scores:
        return None
    stacked = np.stack([score.probabilities for score in scores])
    file = f"{identity}.safetensors"
    digest = save_predictions(folder / file, stacked, scores[0].labels)
    _, images, classes = stacked.shape
    return {"file": file, "sha256": digest, "images": images, "classes": classes}


def _seed_row(
    seed: int, record: ScoredRecord, score: Score, timed: bool, held_out: bool
) -> dict[str, Any]:
    """Return the scores of a seed; ``held_out`` is False if it was trained on validation images."""
    outcome = record.outcome
    return {
        "seed": seed,
        "accuracy": score.accuracy,
        "loss": score.loss,
        "validation_accuracy": outcome.validation_accuracy if held_out else None,
        "train_s": outcome.train_s if timed else None,
        "compile_s": outcome.compile_s if timed else None,
        "steps": outcome.steps,
        "peak_memory_bytes": outcome.peak_memory_bytes if timed else None,
    }
