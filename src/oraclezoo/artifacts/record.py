"""What a run's folder says of a training: identity, card, outcome, and earlier parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

import torch

from oraclezoo._version import __version__
from oraclezoo.artifacts import build
from oraclezoo.artifacts.run import ANEW, MODEL, PLOTS, Run
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.card import SCHEMA as MODEL_SCHEMA
from oraclezoo.card import SMOOTH
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import peak_memory_bytes
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import (
    ResultError,
    UsageError,
)
from oraclezoo.measure import hardware
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.result import write_atomically


def provenance(
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    device: torch.device,
    seed: int,
    *,
    compile: str = "auto",
    deterministic: bool = False,
) -> dict[str, Any]:
    """What is equal in two runs that come out the same, times included.

    The data set's training and validation parts must have been read: their digests are in it.
    """
    return {
        "recipe": {"name": recipe.name, "hash": recipe.hash},
        "seed": seed,
        "oraclezoo": __version__,
        "code_sha256": code_sha256(),
        "components": build.components(recipe, registry),
        "data_sha256": dict(dataset.sha256),
        "compile": compile,
        "deterministic": deterministic,
        "hardware": hardware.describe(device),
        "libraries": hardware.libraries(),
    }


def open_folder(run: Run, recipe: Recipe, kept_epochs: int | None) -> None:
    """Start the folder anew (None), or keep the metrics of the epochs that stand."""
    write_atomically(run.folder / "recipe.toml", recipe.to_toml().encode())
    path = run.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()[:kept_epochs] if kept_epochs else []
    write_atomically(path, "".join(line + "\n" for line in lines).encode())
    if kept_epochs is None:
        for stale in (
            "run.json",
            "best.safetensors",
            "last.safetensors",
            "score.safetensors",
            "profile.json",
            "trace.json",
        ):
            (run.folder / stale).unlink(missing_ok=True)
        for made in (MODEL, PLOTS):
            shutil.rmtree(run.folder / made, ignore_errors=True)


def refuse_other(run: Run, identity: dict[str, Any]) -> None:
    """A run goes on with the data and components it began with, or not at all."""
    try:
        record = run.record
    except ResultError as error:
        raise ResultError(f"{error}; {ANEW}") from error
    for key, what in (("data_sha256", "other data"), ("components", "other components")):
        if record.get(key) != identity[key]:
            raise UsageError(f"{run.folder} was begun with {what}; {ANEW}")


def earlier_parts(run: Run, identity: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the earlier parts of a resumed run were trained, if not as this one is."""
    record = run.record
    parts: list[dict[str, Any]] = record.get("parts", [])
    before = {key: record.get(key) for key in identity}
    return [*parts, before] if before != identity else parts


def card(
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    mean: float,
    std: float,
    shape: dict[str, int],
    seed: int,
) -> dict[str, Any]:
    options = dict(recipe.backbone.options)
    options.pop("pretrained", None)  # its own weights take the place of those
    return {
        "schema": MODEL_SCHEMA,
        "backbone": {"name": recipe.backbone.name, "options": options},
        "input": shape,
        "preprocessing": {
            "mean": mean,
            "std": std,
            "shifts": recipe.evaluate.shifts,
            "flip": recipe.evaluate.flip and dataset.flip_keeps_label,
            "jpeg_smoothing": 0.0 if recipe.augment.jpeg else SMOOTH,  # it has learned to read them
        },
        "classes": list(dataset.classes),
        "glyphs": list(dataset.glyphs),
        "synthetic": dataset.synthetic,
        "recipe": recipe.to_dict(),
        "provenance": {
            "oraclezoo": __version__,
            "recipe": {"name": recipe.name, "hash": recipe.hash},
            "refit": recipe.data.refit,
            "seed": seed,
            "components": build.components(recipe, registry),
            "data_sha256": dict(dataset.sha256),
        },
        "receipts": [],
    }


def outcome(
    trainer: Trainer, device: torch.device, before: Iterable[dict[str, Any] | None] = ()
) -> dict[str, Any]:
    """What came of a training; steps, examples and times are those of what came before it too.

    ``before`` holds the records of a pre-training and of teachers, where there were any.
    """
    progress, earlier = trainer.progress, [record for record in before if record]
    return {
        "steps": trainer.step + sum(record["steps"] for record in earlier),
        "examples": progress.examples + sum(record["examples"] for record in earlier),
        "train_s": progress.train_s + sum(record["train_s"] for record in earlier),
        "compile_s": progress.compile_s + sum(record["compile_s"] for record in earlier),
        "compiled": trainer.compiled,
        "validation_accuracy": progress.validation_accuracy,
        "validation_loss": progress.validation_loss,
        "best_epoch": progress.best_epoch,
        "best_validation_accuracy": progress.best[0],
        "peak_memory_bytes": peak_memory_bytes(device),
    }
