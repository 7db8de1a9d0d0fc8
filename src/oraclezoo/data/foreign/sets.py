"""Sets of known and foreign pictures, preprocessed for a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from oraclezoo.data.foreign import pen, scripts, textures
from oraclezoo.data.foreign.paper import on_paper
from oraclezoo.data.glyphs import written
from oraclezoo.data.glyphs.draw import generate
from oraclezoo.data.glyphs.forms import ORACLE, TRACED, arranged
from oraclezoo.data.glyphs.strokes import Character
from oraclezoo.data.lettering import has
from oraclezoo.errors import DataError
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import Picture, fit, prepare

Rng = np.random.Generator
Labels = npt.NDArray[np.int64]

CLEAN, WORN, TEXTURES = "clean", "worn", "textures"
PAPERED = 0.5
"""Fraction of degraded characters that are put on paper."""
_INVENTED = 160
_PER_INVENTED = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures of one kind, as inputs of a model.

    Attributes:
        family: What the pictures show, e.g. a script.
        look: Appearance: ``clean``, ``worn`` or ``textures``.
        images: uint8 ``(N, S, S)``.
        labels: int64 ``(N,)``; None for foreign pictures.
    """

    family: str
    look: str
    images: Gray
    labels: Labels | None = None


def known(
    images: Gray, labels: Labels, size: int, seed: int, *, forms: str, count: int
) -> Iterator[Group]:
    """Yield known pictures: the given images, the same on paper, drawings and synthetic characters.

    Args:
        images: Images of the data set, uint8 ``(N, S, S)``.
        labels: Their labels, int64 ``(N,)``.
        size: Size of the model's input.
        seed: Random seed.
        forms: ``fit`` draws traced forms of Oracle-MNIST's ten characters, ``report`` hand-drawn
            forms; "" yields only the given images, for other data sets.
        count: Number of drawings, and number of synthetic images.
    """
    rng = np.random.default_rng([seed, 1])
    yield Group("real", WORN, images, labels)
    yield Group("real on paper", WORN, _stack(_paper(images, rng), size), labels)
    if not forms:
        return
    drawn = arranged(written.read(TRACED if forms == "fit" else ORACLE))
    rows = rng.integers(0, len(drawn.label), count)
    drawings = _stack((pen.drawing(drawn, int(row), rng) for row in rows), size)
    yield Group("drawings", CLEAN, drawings, drawn.label[rows])
    if forms == "fit":
        created, made_labels = generate([-(-count // drawn.classes)] * drawn.classes, seed)
        yield Group("generated", WORN, _resized(created, size, rng), made_labels)


def foreign(
    role: str, size: int, seed: int, *, count: int, originals: tuple[Gray, Labels] | None = None
) -> Iterator[Group]:
    """Yield foreign pictures of a role, ``fit`` or ``report``.

    Args:
        role: Role of the textures, scripts and characters.
        size: Size of the model's input.
        seed: Random seed.
        count: Number of pictures per group of scripts; a family of textures has a third as many.
        originals: Images and labels of the data set; images with halves from different classes form
            the group ``halves``.
    """
    rng = np.random.default_rng([seed, 2])
    families = textures.FIT if role == "fit" else textures.REPORT
    for family in families:
        sheets = (textures.texture(family, rng) for _ in range(10 * count))
        yield Group(family, TEXTURES, _stack(sheets, size, -(-count // 3)))
    by_script = scripts.letters(role)
    if role == "fit":  # fitting needs no separate rate per script
        by_script = {"scripts": tuple(each for group in by_script.values() for each in group)}
    share = 2 * count if role == "fit" else -(-count // max(len(by_script), 1))
    for family, group in by_script.items():
        yield from _lettered(family, group, size, rng, share)
    if len(scripts.chinese(role)):
        yield from _lettered("other Chinese characters", scripts.chinese(role), size, rng, count)
    forms = written.read(TRACED if role == "fit" else ORACLE)
    yield from _invented(forms, size, rng, count)
    if originals is not None:
        images = _halves(*originals, rng, count)
        yield Group("halves", WORN, images)
        yield Group("halves on paper", WORN, _stack(_paper(images[: count // 2], rng), size))


def _lettered(
    family: str, group: tuple[scripts.Letter, ...], size: int, rng: Rng, count: int
) -> Iterator[Group]:
    drawable = [each for each in _sample(group, rng, 2 * count) if _has_ink(each)]
    clean = (scripts.printed(each, rng) for each in drawable)
    yield Group(family, CLEAN, _stack(clean, size, count))
    yield Group(family, WORN, _resized(scripts.worn(drawable[:count], rng), size, rng))


def _has_ink(letter: scripts.Letter) -> bool:
    try:
        # neither a dash, nor a dot, nor the box for a missing character
        return has(letter.font, letter.text) and min(scripts.mask(letter).shape) > 8
    except ValueError:
        return False


def _sample(group: tuple[scripts.Letter, ...], rng: Rng, count: int) -> Iterator[scripts.Letter]:
    for row in rng.integers(0, len(group), count):
        yield group[int(row)]


def _invented(forms: tuple[Character, ...], size: int, rng: Rng, count: int) -> Iterator[Group]:
    characters = pen.invented(forms, max(2, min(_INVENTED, count)), rng)
    drawn = arranged(characters)
    rows = rng.integers(0, len(drawn.label), count)
    drawings = (pen.drawing(drawn, int(row), rng) for row in rows)
    yield Group("invented characters", CLEAN, _stack(drawings, size))
    each = -(-count // len(characters))
    created, _ = generate([each] * len(characters), int(rng.integers(1 << 31)), characters)
    yield Group("invented characters", WORN, _resized(created[:count], size, rng))


def _halves(images: Gray, labels: Labels, rng: Rng, count: int) -> Gray:
    """Return images whose two halves come from images of different classes."""
    one = rng.integers(0, len(images), 2 * count)
    other = rng.integers(0, len(images), 2 * count)
    differ = np.flatnonzero(labels[one] != labels[other])[:count]
    joined = images[one[differ]].copy()
    half = images.shape[1] // 2
    upright = rng.random(len(joined)) < 0.5
    joined[upright, half:] = images[other[differ]][upright, half:]
    joined[~upright, :, half:] = images[other[differ]][~upright, :, half:]
    return joined


def _resized(images: Gray, size: int, rng: Rng) -> Gray:
    """Put a fraction of degraded images on paper; resize the others."""
    rows = rng.random(len(images)) < PAPERED
    scaled = np.stack([fit(image, size) for image in images])
    if rows.any():
        scaled[rows] = _stack(_paper(images[rows], rng), size)
    return scaled


def _paper(images: Iterable[Gray], rng: Rng) -> Iterator[bytes]:
    return (on_paper(image, rng) for image in images)


def _stack(pictures: Iterable[Picture], size: int, count: int | None = None) -> Gray:
    """Preprocess pictures; with a count, stop after as many that are not blank."""
    if count is None:
        return np.stack([prepare(picture, size, smoothing=0.0).gray for picture in pictures])
    return np.stack(list(islice(_readable(pictures, size), count)))


def _readable(pictures: Iterable[Picture], size: int) -> Iterator[Gray]:
    for picture in pictures:
        try:
            yield prepare(picture, size, smoothing=0.0).gray
        except DataError:
            continue


def collect(groups: Callable[[], Iterator[Group]], classes: int) -> tuple[Gray, Labels]:
    """Return all images of the groups and their labels; foreign images get label ``classes``."""
    every = list(groups())
    labels = [
        np.full(len(each.images), classes) if each.labels is None else each.labels for each in every
    ]
    return np.concatenate([each.images for each in every]), np.concatenate(labels).astype(np.int64)
