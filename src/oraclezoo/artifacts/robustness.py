"""Measure the accuracy of a trained model on corrupted test images."""

from __future__ import annotations

from typing import Any

import numpy as np

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.record import Robustness
from oraclezoo.contracts import Dataset, Images
from oraclezoo.data.corrupt import CORRUPTIONS, MIN_EDGE, SEVERITIES, VERSION, corrupt
from oraclezoo.engine.device import pick
from oraclezoo.errors import UsageError
from oraclezoo.ranking.predictions import accuracy_of

SEED = 0
"""Random seed of the corruptions; it is the same for every model."""

CHUNK_SIZE = 2000
"""Number of images corrupted at a time; it does not affect the result."""


def check_size(images: Images) -> None:
    """Raise UsageError if images are too small for the corruptions."""
    if min(images.shape[1:]) < MIN_EDGE:
        raise UsageError(
            f"--robust: corruptions need images of at least {MIN_EDGE} x {MIN_EDGE} pixels, "
            f"these have {images.shape[1]} x {images.shape[2]}"
        )


def measure_robustness(model: Model, dataset: Dataset, device: str = "auto") -> Robustness:
    """Return the accuracy in [0, 1] under each corruption at severities 1 to 5.

    Accuracy is computed from float16 probabilities, as the protocol requires.
    """
    part = dataset.split("test")
    model.to(pick(device))
    accuracies = {
        name: tuple(_accuracy(model, part.images, part.labels, name, each) for each in SEVERITIES)
        for name in CORRUPTIONS
    }
    return Robustness(VERSION, SEED, accuracies)


def is_current(robustness: Robustness | None) -> bool:
    """Return whether a run's robustness was measured with the current corruptions."""
    return (
        robustness is not None
        and (robustness.version, robustness.seed) == (VERSION, SEED)
        and list(robustness.accuracy) == list(CORRUPTIONS)
    )


def _accuracy(model: Model, images: Images, labels: Any, name: str, severity: int) -> float:
    correct = 0.0
    for first in range(0, len(labels), CHUNK_SIZE):
        corrupted = corrupt(np.asarray(images[first : first + CHUNK_SIZE]), name, severity, SEED)
        truth = labels[first : first + CHUNK_SIZE]
        correct += accuracy_of(model.predict(corrupted).probabilities, truth) * len(truth)
    return correct / len(labels)
