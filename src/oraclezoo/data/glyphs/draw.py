"""Synthetic oracle bone characters: strokes of this project, warped, framed and worn.

An image is bright strokes on a dark, noisy ground, its longer edge scaled to 28 pixels and its
shorter one centred between black bars, as Oracle-MNIST's images are (arXiv 2205.09442).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import index

import numpy as np
import numpy.typing as npt

from oraclezoo.data.glyphs.forms import SAMPLES, Forms, arranged, oracle
from oraclezoo.data.glyphs.wear import SIZE, Floats, happens, normal, uniform, weather
from oraclezoo.data.glyphs.written import Character
from oraclezoo.errors import UsageError

VERSION = "2"
"""Names the images that a seed gives. Raise it with every change that alters a pixel: of any
module of this folder, or of ``oracle.toml``. It is part of cache keys and results."""

CHUNK = 512
"""Images made at a time: bounds the memory and is part of what a seed means."""

_THREADS = 4
_STRAYS = 2  # strokes of neighbours, cracks: at most so many in an image
_STRAY_SAMPLES = 20


def generate(
    class_counts: Sequence[int],
    seed: int,
    characters: tuple[Character, ...] | None = None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images uint8 (N, 28, 28) and labels int64 (N,), ``class_counts[label]`` of each, shuffled.

    ``characters`` are what the labels stand for, in order; by default Oracle-MNIST's ten. The same
    counts, seed, characters and :data:`VERSION` give the same labels anywhere and the same images
    in any process of one machine and numpy (elsewhere a gray level may round the other way).
    Raises UsageError unless there is a count for each, none negative, and the seed is neither.
    """
    known = arranged(oracle() if characters is None else characters)
    counts = _whole_numbers(class_counts, seed, known.classes)
    labels = np.repeat(np.arange(known.classes, dtype=np.int64), counts)
    _random(seed, "order").shuffle(labels)
    images = np.empty((len(labels), SIZE, SIZE), np.uint8)

    def fill(chunk: int) -> None:
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        images[part] = _draw(_random(seed, f"chunk {chunk}"), known, labels[part])

    # numpy lets go of the interpreter lock; each chunk has its own random generator
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(-(-len(labels) // CHUNK))))
    return images, labels


def _whole_numbers(class_counts: Sequence[int], seed: int, classes: int) -> list[int]:
    try:
        counts = [index(count) for count in class_counts]
        good = len(counts) == classes and min(counts) >= 0 and index(seed) >= 0
    except TypeError:
        good = False
    if not good:
        raise UsageError(
            f"glyphs: give {classes} class counts and a seed, all whole numbers from 0 up"
        )
    return counts


def _random(seed: int, purpose: str) -> np.random.Generator:
    words = list(f"oraclezoo glyphs {VERSION} {purpose}".encode())
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def _draw(
    rng: np.random.Generator, known: Forms, labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Images uint8 (N, SIZE, SIZE) of ``labels`` (N,)."""
    form = _choose(rng, known, labels)
    points, size = _warp(rng, known, form)
    places, box, scale = _frame(rng, points, size, known.margin[form])
    n = len(labels)
    width = known.thickness[form] * np.exp(normal(rng, n) * 0.32 - 0.05) * (scale / 24) ** 0.5
    sigma = np.maximum(width, 1.2)[:, None] / np.float32(2.355)
    force = _pressure(rng, known.stroke[form])
    middle = _middle_lines(places, sigma, force) + _strays(rng, sigma)
    gray = weather(rng, middle)
    step = np.arange(SIZE)
    inside = np.abs(step - (SIZE - 1) / 2) < box[:, :, None] / 2  # (N, 2, SIZE), x then y
    gray *= inside[:, 0, None, :] & inside[:, 1, :, None]
    return np.rint(gray).astype(np.uint8)


def _choose(
    rng: np.random.Generator, known: Forms, labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """A form (N,) for each label, by the forms' shares: forms are sorted by label."""
    upto = np.cumsum(known.share, dtype=np.float64)
    start = np.searchsorted(known.label, labels)
    picked = labels + rng.random(len(labels)) * 0.999999
    found = np.searchsorted(upto, picked, side="right")
    last = np.searchsorted(known.label, labels, side="right") - 1
    return np.clip(found, start, last)


def _warp(
    rng: np.random.Generator, known: Forms, form: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Sample points (N, S, 2) within the unit box, and its size (N, 2), longer edge 1."""
    n = len(form)
    control = known.control[form]
    control = control + normal(rng, *control.shape) * uniform(rng, 0.01, 0.03, n, 1, 1)
    points = known.basis[form] @ control - np.float32(0.5)
    points[:, :, 0] *= np.where(rng.random(n) < known.mirrored[form], -1, 1)[:, None]
    points[:, :, 0] *= (known.aspect[form] * np.exp(normal(rng, n) * 0.1))[:, None]
    x, y = points[:, :, 0].copy(), points[:, :, 1].copy()
    x += normal(rng, n, 1) * 0.06 * (4 * y * y - 0.5)  # bend
    x *= 1 + normal(rng, n, 1) * 0.2 * y  # taper
    x += normal(rng, n, 1) * 0.05 * y  # slant
    turn = normal(rng, n, 1) * 0.11
    points = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=2
    )
    low, high = points.min(1), points.max(1)
    size = np.maximum(high - low, np.float32(0.05))
    points = (points - low[:, None]) / size[:, None]
    return points, size / size.max(1, keepdims=True)


def _frame(
    rng: np.random.Generator, points: Floats, size: Floats, margin: Floats
) -> tuple[Floats, Floats, Floats]:
    """Places (N, S, 2) in pixels, box (N, 2) in pixels, and pixels a longer edge of ink (N,).

    The box is the ink with a margin on each side, as a person cut it from the rubbing; its longer
    edge becomes SIZE pixels, its shorter an even number of them.
    """
    n = len(points)
    share = np.exp(0.4 + normal(rng, n, 1, 1) * 0.5 + normal(rng, n, 2, 2) * 0.5)
    cut = happens(rng, 0.2, n, 2, 2) * uniform(rng, 0, 0.05, n, 2, 2)
    sides = margin[:, None, None] * share - cut
    whole = size + sides.sum(1)
    scale = SIZE / whole.max(1)
    box = np.clip(2 * np.rint(whole * scale[:, None] / 2), 8, SIZE)
    places = (sides[:, :1] + points * size[:, None]) * scale[:, None, None]
    places += (SIZE - whole * scale[:, None])[:, None] / 2 - np.float32(0.5)
    return places, box, scale


def _pressure(rng: np.random.Generator, stroke: npt.NDArray[np.int64]) -> Floats:
    """How strongly each sample point (N, S) is written: uneven, broken here and there, or not."""
    n = len(stroke)
    along = np.arange(SAMPLES, dtype=np.float32)
    wave = np.sin(along * uniform(rng, 0.03, 0.15, n, 1) + uniform(rng, 0, 6.28, n, 1))
    force: Floats = 1 + uniform(rng, 0, 0.13, n, 1) * wave
    count = int(stroke.max()) + 1
    missing = happens(rng, 0.015, n, count)
    weak = uniform(rng, 0.9, 1.15, n, count)
    force *= np.take_along_axis(weak * (1 - missing), stroke, 1)
    for _ in range(2):
        half = happens(rng, 0.15, n, 1) * uniform(rng, 1, 9, n, 1)
        force *= np.abs(along - uniform(rng, 0, SAMPLES, n, 1)) >= half
    return force


def _strays(rng: np.random.Generator, sigma: Floats) -> Floats:
    """Middle lines (N, SIZE, SIZE) of a few short strokes that don't belong to the character."""
    n = len(sigma)
    start = uniform(rng, -2, SIZE + 2, n, _STRAYS, 1, 2)
    turn = uniform(rng, 0, 6.28, n, _STRAYS, 1)
    reach = uniform(rng, 2, 12, n, _STRAYS, 1)
    way = np.stack([np.cos(turn) * reach, np.sin(turn) * reach], axis=3)
    t = np.linspace(0, 1, _STRAY_SAMPLES, dtype=np.float32)[:, None]
    force = np.repeat(happens(rng, 0.13, n, _STRAYS), _STRAY_SAMPLES, axis=1)
    places = (start + way * t).reshape(n, -1, 2)
    return _middle_lines(places, sigma, force)


def _middle_lines(places: Floats, sigma: Floats, force: Floats) -> Floats:
    """Depth (N, SIZE, SIZE): exp(-d^2 / 2 sigma^2) at distance d from a stroke's middle line.

    The root of the line integral of the squared Gaussian, as a sum over sample points: a Gaussian
    is a product of x and y parts, so the sum over points is one matrix product an image. Squares
    add up where strokes meet, which rounds the corner between them, yet keeps close strokes apart.
    """
    step = np.hypot(*np.moveaxis(np.diff(places, axis=1), 2, 0))
    step = np.concatenate([step, step[:, -1:]], axis=1)
    # the leap from a stroke to the next is no step of either: it stands out from the usual
    step = np.minimum(step, 1.6 * np.median(step, axis=1, keepdims=True))
    amount = force**2 * step / (sigma * np.float32(np.sqrt(np.pi)))
    grid = np.arange(SIZE, dtype=np.float32)
    scale = np.float32(-1) / sigma[:, :, None] ** 2
    across = np.exp((places[:, :, 0, None] - grid) ** 2 * scale)
    down = np.exp((places[:, :, 1, None] - grid) ** 2 * scale) * amount[:, :, None]
    depth: Floats = np.sqrt(down.transpose(0, 2, 1) @ across)
    return depth
