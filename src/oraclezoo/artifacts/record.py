"""The content of ``run.json``: provenance, model card, outcome and earlier parts of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from oraclezoo._version import __version__
from oraclezoo.artifacts import build
from oraclezoo.artifacts.run import MODEL, OVERWRITE, PLOTS, Run
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.card import SCHEMA as MODEL_SCHEMA
from oraclezoo.card import SMOOTH
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
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
    """Return what two runs have in common if their results and times are comparable.

    Args:
        recipe: A resolved recipe.
        registry: Registry of its components.
        dataset: Its data set; training and validation images are read for their digests.
        device: Where the run is trained.
        seed: Seed of the run.
        compile: ``"auto"``, ``"on"`` or ``"off"``.
        deterministic: Whether deterministic algorithms are used.
    """
    return {
        "recipe": {"name": recipe.name, "hash": recipe.hash},
        "seed": seed,
        "oraclezoo": __version__,
        "code_sha256": code_sha256(),
        "components": build.components(recipe, registry),
        "data_sha256": digests(dataset, "train", "validation"),
        "compile": compile,
        "deterministic": deterministic,
        "hardware": hardware.describe(device),
        "libraries": hardware.libraries(),
    }


def open_folder(run: Run, recipe: Recipe, kept_epochs: int | None) -> None:
    """Write the recipe and prepare the other files of a run folder.

    Args:
        run: The run.
        recipe: Its recipe.
        kept_epochs: Number of epochs whose metrics are kept on resume; None removes all files of
            an earlier run.
    """
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
        for subfolder in (MODEL, PLOTS):
            shutil.rmtree(run.folder / subfolder, ignore_errors=True)


def refuse_other(run: Run, identity: Mapping[str, Any]) -> None:
    """Raise UsageError unless a run was started with the same data and components.

    The version of oraclezoo itself may differ: its checkpoints are compatible.
    """
    try:
        record = run.record
    except ResultError as error:
        raise ResultError(f"{error}; {OVERWRITE}") from error
    for key, what in (("data_sha256", "other data"), ("components", "other components")):
        if _comparable(record.get(key)) != _comparable(identity[key]):
            raise UsageError(f"{run.folder} was started with {what}; {OVERWRITE}")


def _comparable(entries: Any) -> Any:
    """Return the components of a record without the version of oraclezoo's own ones."""
    if not isinstance(entries, Mapping):
        return entries
    return {
        kind: {**entry, "version": None}
        if isinstance(entry, Mapping) and entry.get("distribution") == "oraclezoo"
        else entry
        for kind, entry in entries.items()
    }


def earlier_parts(run: Run, identity: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenance of each earlier part of a resumed run that differs from this one's."""
    record = run.record
    parts: list[dict[str, Any]] = record.get("parts", [])
    previous = {key: record.get(key) for key in identity}
    return [*parts, previous] if previous != identity else parts


def card(
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    mean: float,
    std: float,
    shape: dict[str, int],
    seed: int,
) -> dict[str, Any]:
    """Return the card of a model that is trained by a recipe: see :mod:`oraclezoo.card`.

    Args:
        recipe: A resolved recipe.
        registry: Registry of its components.
        dataset: Its data set.
        mean: Mean gray level of the training images, from 0 to 1.
        std: Standard deviation of their gray levels.
        shape: ``in_chans``, ``num_classes`` and ``image_size``.
        seed: Seed of the run.
    """
    options = dict(recipe.backbone.options)
    options.pop("pretrained", None)  # the trained weights replace them
    return {
        "schema": MODEL_SCHEMA,
        "backbone": {"name": recipe.backbone.name, "options": options},
        "input": shape,
        "preprocessing": {
            "mean": mean,
            "std": std,
            "shifts": recipe.evaluate.shifts,
            "flip": recipe.evaluate.flip and dataset.flip_keeps_label,
            "jpeg_smoothing": 0.0
            if recipe.augment.jpeg
            else SMOOTH,  # it was trained on JPEG images
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
            "data_sha256": digests(dataset, "train", "validation"),
        },
        "receipts": [],
    }


def outcome(
    trainer: Trainer, device: torch.device, before: Iterable[dict[str, Any] | None] = ()
) -> dict[str, Any]:
    """Return the results of a training run, as ``run.json`` holds them.

    Args:
        trainer: The trainer that has finished.
        device: Its device.
        before: Records of pre-training and of teachers; their steps, examples and times are added.
    """
    progress, earlier = trainer.progress, [record for record in before if record]
    held_out = not trainer.recipe.data.refit
    return {
        "steps": trainer.step + sum(record["steps"] for record in earlier),
        "examples": progress.examples + sum(record["examples"] for record in earlier),
        "train_s": progress.train_s + sum(record["train_s"] for record in earlier),
        "compile_s": progress.compile_s + sum(record["compile_s"] for record in earlier),
        "compiled": trainer.compiled,
        "validation_accuracy": progress.validation_accuracy if held_out else None,
        "validation_loss": progress.validation_loss if held_out else None,
        "best_epoch": progress.best_epoch,
        "best_validation_accuracy": progress.best[0] if held_out else None,
        "peak_memory_bytes": peak_memory_bytes(device),
    }
