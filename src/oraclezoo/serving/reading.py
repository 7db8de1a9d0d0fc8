"""Batched prediction for many images; an unreadable image does not affect the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Gray, Polarity
from oraclezoo.imaging.prepare import Prepared, prepare, prepare_several
from oraclezoo.imaging.several import Order
from oraclezoo.serving.prediction import Prediction
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.sources import Source
from oraclezoo.serving.view import view_name, write_view

BATCH = 256
"""Number of images in memory at a time."""

_DIGITS = 9
"""Maximum number of digits in a box; no accepted image needs more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Result for one image.

    ``probabilities`` is float32 ``(C,)``, or None if there is a ``reason``. ``prepared`` is the
    model's input and its position in the image. ``unknown`` says whether the image shows none of
    the model's characters, that is, whether ``unknown_score`` reaches the threshold in the card;
    both are None for a model without a detector. ``number`` counts the characters of an image from
    1, in reading order, when reading several.
    """

    name: str
    probabilities: npt.NDArray[np.float32] | None
    prepared: Prepared | None = None
    reason: str = ""
    unknown: bool | None = None
    unknown_score: float | None = None
    number: int | None = None

    def top(self, number: int) -> list[int]:
        """Return the labels with the highest probabilities, highest first."""
        if self.probabilities is None:
            return []
        return [int(label) for label in np.argsort(-self.probabilities, kind="stable")[:number]]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How to preprocess images.

    ``polarity`` and ``box`` override the detected values. ``show`` is a folder for pictures of the
    model's inputs. Images with more than ``max_pixels`` (64 million by default) are refused.
    ``several`` is the order in which to read the separate characters of an image, each as a
    :class:`Reading`; None reads one character.
    """

    polarity: Polarity = "auto"
    box: Box | None = None
    show: Path | None = None
    max_pixels: int | None = None
    several: Order | None = None


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
    group: list[Outcome] = []
    for number, source in batch:
        group += outcomes_of(number, source, predictor.card, settings)
        if len(group) >= BATCH:
            yield from classified(predictor, group)
            group = []
    yield from classified(predictor, group)


class Outcome(NamedTuple):
    """A character of an image and its number in it, or the reason why the image is unreadable."""

    name: str
    outcome: Prepared | str
    number: int | None


def outcomes_of(
    position: int, source: Source, card: Card, settings: Preprocessing
) -> list[Outcome]:
    """Return the characters of an image, or one outcome with the reason why it is unreadable.

    ``position`` is the image's position; files in ``settings.show`` have it in their names.
    """
    if settings.several is None:
        one = prepared_or_reason(position, source, card, settings)
        return [Outcome(source.name, one, None)]
    every = _several_or_reason(position, source, card, settings, settings.several)
    if isinstance(every, str):
        return [Outcome(source.name, every, None)]
    return [Outcome(source.name, each, number) for number, each in enumerate(every, 1)]


def classified(predictor: Predictor, outcomes: Sequence[Outcome]) -> list[Reading]:
    """Run the model once and return a result for each outcome. Raises ResultError."""
    names = [each.name for each in outcomes]
    readings = classify(predictor, names, [each.outcome for each in outcomes])
    return [
        reading if each.number is None else replace(reading, number=each.number)
        for each, reading in zip(outcomes, readings, strict=True)
    ]


def _several_or_reason(
    number: int, source: Source, card: Card, settings: Preprocessing, order: Order
) -> list[Prepared] | str:
    """Return the characters of an image, preprocessed, or the reason why it cannot be read."""
    steps = card.preprocessing.smoothing
    try:
        data = source.read()
        every = prepare_several(
            data, card.input.image_size, settings.polarity, steps, order, settings.max_pixels
        )
        if settings.show is not None:
            for i, each in enumerate(every, 1):
                path = settings.show / view_name(number, source.name)
                write_view(path.with_stem(f"{path.stem}-{i}"), data, each)
    except DataError as error:
        return str(error)
    except MemoryError:
        return "not enough memory to read the image"
    return every


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
    readings = _readings(predictor, np.stack(grays)) if grays else iter(())
    return [
        replace(next(readings), name=name, prepared=outcome)
        if isinstance(outcome, Prepared)
        else Reading(name, None, reason=outcome)
        for name, outcome in zip(names, outcomes, strict=True)
    ]


def _readings(predictor: Predictor, images: Gray) -> Iterator[Reading]:
    """Yield a nameless reading for each preprocessed image."""
    done = Prediction.of(predictor.outputs(images), predictor.threshold)
    for row, probabilities in enumerate(done.probabilities):
        if done.unknown is None or done.unknown_score is None:
            yield Reading("", probabilities)
        else:
            flag, score = bool(done.unknown[row]), float(done.unknown_score[row])
            yield Reading("", probabilities, unknown=flag, unknown_score=score)


def prepared_or_reason(
    number: int, source: Source, card: Card, settings: Preprocessing
) -> Prepared | str:
    """Return the preprocessed image, or the reason why it cannot be read.

    ``number`` is the image's position; its file in ``settings.show`` has it in its name.
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
    if len(numbers) != 4 or not (
        text.isascii() and all(each.strip().isdecimal() for each in numbers)
    ):
        raise UsageError(f"'{text}' is not four whole numbers X,Y,W,H")
    if max(map(len, numbers)) > _DIGITS:
        raise UsageError(f"'{text}' is not inside any image")
    box = Box(*(int(number) for number in numbers))
    if not box.width or not box.height:
        raise UsageError(f"'{text}' has no area")
    return box
