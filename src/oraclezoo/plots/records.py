"""Records: what the figures are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Images


@dataclass(frozen=True)
class Scored:
    """A model on a split.

    ``title`` and ``subtitle`` say which; ``classes`` and ``glyphs`` name each of the ``C`` classes.
    ``labels`` int64 ``(N,)``, ``probabilities`` float ``(N, C)``, ``images`` uint8 ``(N, H, W)``.
    ``embeddings`` float ``(N, D)``, and ``embedded``: what they are, in words.
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
        """The likeliest class of each image, int64 ``(N,)``."""
        found: npt.NDArray[np.int64] = self.probabilities.argmax(1).astype(np.int64)
        return found

    @property
    def present(self) -> list[int]:
        """Classes that the split has images of."""
        return [int(label) for label in np.unique(self.labels)]


@dataclass(frozen=True)
class Course:
    """A training, epoch by epoch.

    ``epochs`` are rows with ``epoch``, ``lr``, ``train_loss``, ``validation_loss`` and
    ``validation_accuracy``, the last two None where not measured. ``smoothing`` and ``augmented``
    say what the training loss is of.
    """

    title: str
    subtitle: str
    epochs: tuple[dict[str, Any], ...]
    smoothing: float
    augmented: bool
