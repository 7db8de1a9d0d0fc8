"""Prediction for many images, batch by batch; an unreadable image does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import Prepared, prepare
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.sources import Source
from oraclezoo.serving.view import view_name, write_view

BATCH = 256
"""Number of images in memory at a time."""

_DIGITS = 9
"""Longest number in a box; no image that is accepted is as large."""


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
    of what the model sees. Images with more than ``max_pixels`` (64 million by
    default) are refused.
    """

    polarity: Polarity = "auto"
    box: Box | None = None
    show: Path | None = None
    max_pixels: int | None = None


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
    outcomes = [prepared_or_reason(*pair, predictor.card, settings) for pair in batch]
    yield from classify(predictor, [source.name for _, source in batch], outcomes)


def classify(
    predictor: Predictor, names: Sequence[str], outcomes: Sequence[Prepared | str]
) -> list[Reading]:
    """Run the model once on a batch and return a result for each image.

    Args:
        predictor: The model.
        names: A name for each image.
        outcomes: The results of :func:`prepared_or_reason`.

    Raises:
        ResultError: The model's outputs are not probability distributions.
    """
    grays = [outcome.gray for outcome in outcomes if isinstance(outcome, Prepared)]
    probabilities = iter(predictor.probabilities(np.stack(grays)) if grays else ())
    return [
        Reading(name, next(probabilities), outcome)
        if isinstance(outcome, Prepared)
        else Reading(name, None, reason=outcome)
        for name, outcome in zip(names, outcomes, strict=True)
    ]


def prepared_or_reason(
    number: int, source: Source, card: Card, settings: Preprocessing
) -> Prepared | str:
    """Return the preprocessed image, or the reason why it cannot be read.

    ``number`` is the image's position, which the name of its picture in ``settings.show`` has.
    """
    try:
        data = source.read()
        prepared = prepare(
            data,
            card.input.image_size,
            settings.polarity,
            card.preprocessing.smoothing,
            settings.box,
            settings.max_pixels,
        )
        if settings.show is not None:
            write_view(settings.show / view_name(number, source.name), data, prepared)
    except DataError as error:
        return str(error)
    except MemoryError:
        return "not enough memory to read the image"
    return prepared


def box_of(text: str) -> Box:
    """Parse the box ``X,Y,W,H``. Raises UsageError.

    >>> box_of("3,4,20,30")
    Box(x=3, y=4, width=20, height=30)
    """
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise UsageError(f"'{text}' is not four whole numbers X,Y,W,H")
    if max(map(len, numbers)) > _DIGITS:
        raise UsageError(f"'{text}' is not inside any image")
    box = Box(*(int(number) for number in numbers))
    if not box.width or not box.height:
        raise UsageError(f"'{text}' has no area")
    return box
