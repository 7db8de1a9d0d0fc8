"""Robustness: accuracy of a trained model on corrupted test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oraclezoo.artifacts.model import Model
from oraclezoo.contracts import Dataset, Images
from oraclezoo.data.corrupt import CORRUPTIONS, MIN_EDGE, SEVERITIES, VERSION, corrupt
from oraclezoo.engine.device import pick
from oraclezoo.errors import UsageError
from oraclezoo.ranking.predictions import accuracy_of

SEED = 0
"""Seed of the corruptions; the same for every model."""

AT_ONCE = 2000
"""Number of images that are corrupted at a time; the result does not depend on it."""


def check_size(images: Images) -> None:
    """Raise UsageError if images are too small for the corruptions."""
    if min(images.shape[1:]) < MIN_EDGE:
        raise UsageError(
            f"--robust: corruptions need images of at least {MIN_EDGE} x {MIN_EDGE} pixels, "
            f"these have {images.shape[1]} x {images.shape[2]}"
        )


def robustness(model: Model, dataset: Dataset, device: str = "auto") -> dict[str, Any]:
    """Return the accuracy in [0, 1] under each corruption at severities 1 to 5.

    Accuracy is computed from float16 probabilities, as the protocol defines it.
    """
    part = dataset.split("test")
    model.to(pick(device))
    accuracies = {
        name: [_accuracy(model, part.images, part.labels, name, degree) for degree in SEVERITIES]
        for name in CORRUPTIONS
    }
    return {"version": VERSION, "seed": SEED, "accuracy": accuracies}


def is_current(kept: Any) -> bool:
    """Return whether a run's record was measured with the current corruptions."""
    return (
        isinstance(kept, dict)
        and (kept.get("version"), kept.get("seed")) == (VERSION, SEED)
        and list(kept.get("accuracy", ())) == list(CORRUPTIONS)
    )


def together(measured: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the robustness section of a result from its seeds; None if a seed lacks it."""
    if not measured or not all(map(is_current, measured)):
        return None
    rows = [one["accuracy"] for one in measured if one is not None]
    return {
        "version": VERSION,
        "seed": SEED,
        "corruptions": [
            {"name": name, "accuracy": [row[name] for row in rows]} for name in CORRUPTIONS
        ],
    }


def _accuracy(model: Model, images: Images, labels: Any, name: str, severity: int) -> float:
    correct = 0.0
    for first in range(0, len(labels), AT_ONCE):
        corrupted = corrupt(np.asarray(images[first : first + AT_ONCE]), name, severity, SEED)
        truth = labels[first : first + AT_ONCE]
        correct += accuracy_of(model.predict(corrupted).probabilities, truth) * len(truth)
    return correct / len(labels)
