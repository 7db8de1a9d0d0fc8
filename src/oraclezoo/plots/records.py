"""Input data of the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Images


@dataclass(frozen=True)
class Scored:
    """Predictions and embeddings of a model on a split.

    ``classes`` and ``glyphs`` are the names and characters of the ``C`` classes. The arrays are
    ``labels`` int64 ``(N,)``, ``probabilities`` float ``(N, C)``, ``images`` uint8 ``(N, H, W)``
    and ``embeddings`` float ``(N, D)``; ``embedded`` describes the embeddings.
    """

    title: str
    subtitle: str
    classes: tuple[str, ...]
    glyphs: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.floating[Any]]
    images: Images
    embeddings: npt.NDArray[np.floating[Any]]
    embedded: str

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The predicted class of each image, int64 ``(N,)``."""
        classes: npt.NDArray[np.int64] = self.probabilities.argmax(1).astype(np.int64)
        return classes

    @property
    def present(self) -> list[int]:
        """The classes that have at least one image in the split."""
        return [int(label) for label in np.unique(self.labels)]


@dataclass(frozen=True)
class EpochMetrics:
    """Metrics after an epoch; epochs are counted from 1.

    Losses are in nats, and ``validation_accuracy`` is in [0, 1]; the validation metrics are None if
    they were not measured.
    """

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass(frozen=True)
class Course:
    """Training curves; ``smoothing`` and ``augmented`` affect the label of the training loss."""

    title: str
    subtitle: str
    epochs: tuple[EpochMetrics, ...]
    smoothing: float
    augmented: bool
