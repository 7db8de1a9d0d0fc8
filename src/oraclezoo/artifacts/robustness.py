"""Robust: a trained model's accuracy on corrupted test images."""

from __future__ import annotations

from typing import Any

import numpy as np

from oraclezoo.artifacts.model import Model
from oraclezoo.contracts import Dataset, Images
from oraclezoo.data.corrupt import CORRUPTIONS, MIN_EDGE, SEVERITIES, VERSION, corrupt
from oraclezoo.engine.device import pick
from oraclezoo.errors import UsageError
from oraclezoo.ranking.predictions import accuracy_of

SEED = 0
"""Of the corruptions, for every model: all are shown the same damage."""

AT_ONCE = 2000
"""Images that are corrupted and read at a time; the outcome does not depend on it."""


def check_size(images: Images) -> None:
    """Raise UsageError for images that are too small to be corrupted."""
    if min(images.shape[1:]) < MIN_EDGE:
        raise UsageError(
            f"--robust: corruptions take images of {MIN_EDGE} pixels or more a side, "
            f"these have {images.shape[1]} x {images.shape[2]}"
        )


def robustness(model: Model, dataset: Dataset, device: str = "auto") -> dict[str, Any]:
    """Accuracy on the test images under each corruption at severities 1 to 5, as shares of 1.

    An image counts as right as the protocol has it, by its float16 probabilities.
    """
    part = dataset.split("test")
    model.to(pick(device))
    found = {
        name: [_accuracy(model, part.images, part.labels, name, degree) for degree in SEVERITIES]
        for name in CORRUPTIONS
    }
    return {"version": VERSION, "seed": SEED, "accuracy": found}


def is_current(kept: Any) -> bool:
    """Whether what a run's record holds was measured with the corruptions there are now."""
    return (
        isinstance(kept, dict)
        and (kept.get("version"), kept.get("seed")) == (VERSION, SEED)
        and list(kept.get("accuracy", ())) == list(CORRUPTIONS)
    )


def together(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The part of a result that the records of its seeds add up to; None if one lacks it."""
    kept = [record.get("robust") for record in records]
    if not kept or not all(map(is_current, kept)):
        return None
    rows = [one["accuracy"] for one in kept if one is not None]
    return {
        "version": VERSION,
        "seed": SEED,
        "corruptions": [
            {"name": name, "accuracy": [row[name] for row in rows]} for name in CORRUPTIONS
        ],
    }


def _accuracy(model: Model, images: Images, labels: Any, name: str, severity: int) -> float:
    right = 0.0
    for first in range(0, len(labels), AT_ONCE):
        worn = corrupt(np.asarray(images[first : first + AT_ONCE]), name, severity, SEED)
        truth = labels[first : first + AT_ONCE]
        right += accuracy_of(model.predict(worn).probabilities, truth) * len(truth)
    return right / len(labels)
