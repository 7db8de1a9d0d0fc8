"""The output of a model for a batch of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Outputs(NamedTuple):
    """Class probabilities float32 ``(N, C)`` and unknown-character scores float32 ``(N,)``.

    ``unknown`` is None if the model has no detector for unknown characters.
    """

    probabilities: npt.NDArray[np.float32]
    unknown: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """Prediction for a batch of images; behaves like the pair ``labels, probabilities``.

    Attributes:
        labels: int64 ``(N,)``.
        probabilities: float32 ``(N, C)``.
        unknown_score: float32 ``(N,)`` in [0, 1], higher for images that show none of the model's
            characters; None if the model has no detector for them.
        unknown: Whether the score reaches the threshold in the model card, bool ``(N,)``; None if
            the model has no detector.
    """

    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    unknown_score: npt.NDArray[np.float32] | None = None
    unknown: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, outputs: Outputs, threshold: float | None) -> Prediction:
        """Return a prediction from a model's outputs and the ``threshold`` in its model card."""
        labels = outputs.probabilities.argmax(1).astype(np.int64)
        scores = outputs.unknown
        if scores is None or threshold is None:
            return cls(labels, outputs.probabilities)
        return cls(labels, outputs.probabilities, scores, scores >= np.float32(threshold))

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        yield self.labels
        yield self.probabilities

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        return (self.labels, self.probabilities)[index]

    def __len__(self) -> int:
        return 2
