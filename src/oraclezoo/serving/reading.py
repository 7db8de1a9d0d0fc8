"""Reading: many images, a batch at a time; one that cannot be read does not stop the others."""

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
"""Images that are held at once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One image's outcome: float32 ``(C,)`` probabilities, or None and ``reason`` says why.

    ``inverted``: it was dark on light.
    """

    name: str
    probabilities: npt.NDArray[np.float32] | None
    inverted: bool = False
    reason: str = ""

    def top(self, number: int) -> list[int]:
        """The labels with the highest probabilities, highest first."""
        if self.probabilities is None:
            return []
        return [int(label) for label in np.argsort(-self.probabilities, kind="stable")[:number]]


def read(
    predictor: Predictor, sources: Iterable[Source], polarity: Polarity = "auto"
) -> Iterator[Reading]:
    """A reading for each of ``sources``, in order."""
    pending = iter(sources)
    while batch := list(islice(pending, BATCH)):
        yield from _read(predictor, batch, polarity)


def _read(predictor: Predictor, batch: list[Source], polarity: Polarity) -> Iterator[Reading]:
    outcomes = [_prepare(source, predictor.card, polarity) for source in batch]
    grays = [outcome.gray for outcome in outcomes if isinstance(outcome, Prepared)]
    found = iter(predictor.probabilities(np.stack(grays)) if grays else ())
    for source, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Prepared):
            yield Reading(source.name, next(found), outcome.inverted)
        else:
            yield Reading(source.name, None, reason=outcome)


def _prepare(source: Source, card: Card, polarity: Polarity) -> Prepared | str:
    """The prepared image, or the reason why there is none."""
    try:
        return prepare(source.read(), card.image_size, polarity, card.jpeg_smoothing)
    except DataError as error:
        return str(error)
    except MemoryError:
        return "there is not enough memory for it"
