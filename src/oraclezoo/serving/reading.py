"""Prediction for many images, batch by batch; an unreadable image does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.errors import DataError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import Prepared, prepare
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.sources import Source
from oraclezoo.serving.view import view_name, write_view

BATCH = 256
"""Number of images in memory at a time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Result for one image.

    ``probabilities`` is float32 ``(C,)``, or None with a ``reason``; ``prepared`` is what the model
    saw, and where it was in the image.
    """

    name: str
    probabilities: npt.NDArray[np.float32] | None
    prepared: Prepared | None = None
    reason: str = ""

    def top(self, number: int) -> list[int]:
        """Return the labels with the highest probabilities, highest first."""
        if self.probabilities is None:
            return []
        return [int(label) for label in np.argsort(-self.probabilities, kind="stable")[:number]]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How images are read.

    ``polarity`` and ``box`` override what is found in each image. ``show`` is a folder for pictures
    of what the model sees.
    """

    polarity: Polarity = "auto"
    box: Box | None = None
    show: Path | None = None


def read(
    predictor: Predictor, sources: Iterable[Source], settings: Preprocessing | None = None
) -> Iterator[Reading]:
    """Return an iterator over the results of the sources, in order.

    Raises UsageError if a picture cannot be written to the folder ``settings.show``.
    """
    pending = enumerate(sources, 1)
    while batch := list(islice(pending, BATCH)):
        yield from _read(predictor, batch, settings or Preprocessing())


def _read(
    predictor: Predictor, batch: list[tuple[int, Source]], settings: Preprocessing
) -> Iterator[Reading]:
    outcomes = [_prepare(*pair, predictor.card, settings) for pair in batch]
    grays = [outcome.gray for outcome in outcomes if isinstance(outcome, Prepared)]
    probabilities = iter(predictor.probabilities(np.stack(grays)) if grays else ())
    for (_, source), outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Prepared):
            yield Reading(source.name, next(probabilities), outcome)
        else:
            yield Reading(source.name, None, reason=outcome)


def _prepare(number: int, source: Source, card: Card, settings: Preprocessing) -> Prepared | str:
    """Return the preprocessed image, or the reason why it cannot be read."""
    try:
        data = source.read()
        prepared = prepare(
            data,
            card.input.image_size,
            settings.polarity,
            card.preprocessing.smoothing,
            settings.box,
        )
        if settings.show is not None:
            write_view(settings.show / view_name(number, source.name), data, prepared)
    except DataError as error:
        return str(error)
    except MemoryError:
        return "not enough memory to read the image"
    return prepared
