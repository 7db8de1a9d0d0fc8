"""Prediction for many images, batch by batch; an unreadable image does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.errors import DataError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import Prepared, prepare
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.sources import Source

BATCH = 256
"""Number of images in memory at a time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Outcome for one image.

    ``probabilities`` is float32 ``(C,)``, or None with a ``reason``; ``inverted`` is true if the
    image was dark on light.
    """

    name: str
    probabilities: npt.NDArray[np.float32] | None
    inverted: bool = False
    reason: str = ""

    def top(self, number: int) -> list[int]:
        """Return the labels with the highest probabilities, highest first."""
        if self.probabilities is None:
            return []
        return [int(label) for label in np.argsort(-self.probabilities, kind="stable")[:number]]


def read(
    predictor: Predictor, sources: Iterable[Source], polarity: Polarity = "auto"
) -> Iterator[Reading]:
    """Return an iterator over the outcome of each source, in order."""
    pending = iter(sources)
    while batch := list(islice(pending, BATCH)):
        yield from _read(predictor, batch, polarity)


def _read(predictor: Predictor, batch: list[Source], polarity: Polarity) -> Iterator[Reading]:
    outcomes = [_prepare(source, predictor.card, polarity) for source in batch]
    grays = [outcome.gray for outcome in outcomes if isinstance(outcome, Prepared)]
    probabilities = iter(predictor.probabilities(np.stack(grays)) if grays else ())
    for source, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Prepared):
            yield Reading(source.name, next(probabilities), outcome.inverted)
        else:
            yield Reading(source.name, None, reason=outcome)


def _prepare(source: Source, card: Card, polarity: Polarity) -> Prepared | str:
    """Return the preprocessed image, or the reason why there is none."""
    try:
        steps = card.preprocessing
        return prepare(source.read(), card.input.image_size, polarity, steps.smoothing)
    except DataError as error:
        return str(error)
    except MemoryError:
        return "not enough memory to read the image"
