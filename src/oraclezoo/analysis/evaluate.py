"""Evaluate: the model of a run on a split, with the recall of each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oraclezoo.artifacts.build import open_dataset
from oraclezoo.artifacts.run import Run
from oraclezoo.artifacts.score import note_look, score
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe.resolve import resolve


def evaluate(
    run: Run | str | Path,
    *,
    split: str = "validation",
    data_dir: str | Path | None = None,
    device: str = "auto",
    results: str | Path = "results",
    stream_above: int | str | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Accuracy (with Wilson's 95% interval), loss in nats and the recall of each class.

    Scoring the test split is noted in the ledger of the results folder. ``stream_above`` as for
    :func:`oraclezoo.train`.
    """
    registry = registry or build_registry()
    opened = run if isinstance(run, Run) else Run.load(run)
    recipe = resolve(opened.recipe, registry)
    place = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(recipe, registry, place, progress, limit)
    model = opened.model(registry=registry)
    if split == "test":
        status = opened.record.get("status")
        if status != "done":
            raise UsageError(
                f"{opened.folder} is {status}, not done: finish it by --resume before its test"
            )
        note_look(opened, dataset, Path(results))
    found = score(model, dataset, split, device)
    right = found.probabilities.argmax(1) == found.labels
    low, high = wilson(int(right.sum()), len(right))
    names, glyphs = dataset.classes, dataset.glyphs
    return {
        "run": str(opened.folder),
        "track": recipe.data.track.removeprefix("oraclezoo:"),
        "synthetic": dataset.synthetic,
        "split": split,
        "images": len(right),
        "accuracy": found.accuracy,
        "accuracy_ci95": [low, high],
        "loss": found.loss,
        "classes": [
            {
                "name": names[label],
                "glyph": glyphs[label],
                "images": int((found.labels == label).sum()),
                "recall": float(right[found.labels == label].mean()),
            }
            for label in np.unique(found.labels)
        ],
    }


def wilson(right: int, images: int) -> tuple[float, float]:
    """Wilson's score interval for a proportion, 95% (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(right, images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
