"""Pictures without a character: noise, clouds, gradients, paper and blank sheets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.imaging.polarity import Gray

Rng = np.random.Generator
Doubles = npt.NDArray[np.float64]


def texture(family: str, rng: Rng) -> Gray:
    """Return a picture of a family in :data:`FIT` or :data:`REPORT`, uint8 ``(H, W)``."""
    edge = int(rng.choice([28, 48, 64, 96, 160]))
    shape = (edge, edge if rng.random() < 0.5 else int(edge * rng.uniform(0.6, 1.6)))
    values = (FIT | REPORT)[family](shape, rng)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _resized(values: Doubles, shape: tuple[int, int]) -> Doubles:
    image = Image.fromarray(values.astype(np.float32))
    resized = image.resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(resized).astype(np.float64)


def _stretched(values: Doubles, rng: Rng) -> Doubles:
    """Stretch values to a random range of gray levels."""
    low, high = float(values.min()), float(values.max())
    first, last = sorted(rng.uniform(0, 255, 2))
    spread = max(float(last - first), 20.0)
    stretched: Doubles = float(first) + (values - low) / max(high - low, 1e-9) * spread
    return stretched


def _uniform(shape: tuple[int, int], rng: Rng) -> Doubles:
    return rng.uniform(0, 256, shape) // 1


def _gaussian(shape: tuple[int, int], rng: Rng) -> Doubles:
    return rng.normal(rng.uniform(60, 200), rng.uniform(5, 60), shape)


def _clouds(shape: tuple[int, int], rng: Rng) -> Doubles:
    cells = int(rng.integers(3, 9))
    return _stretched(_resized(rng.normal(size=(cells, cells)), shape), rng)


def _one_pixel(shape: tuple[int, int], rng: Rng) -> Doubles:
    tone = float(rng.choice([0, 255]))
    sheet = np.full(shape, tone)
    sheet[int(rng.integers(shape[0])), int(rng.integers(shape[1]))] = rng.integers(40, 216)
    return sheet


def _paper(shape: tuple[int, int], rng: Rng) -> Doubles:
    grain = _resized(rng.normal(size=(shape[0] // 2, shape[1] // 2)), shape)
    fibers = _resized(rng.normal(size=(shape[0] // 8 + 2, shape[1] // 2)), shape)
    return rng.uniform(170, 245) + rng.uniform(2, 12) * grain + rng.uniform(1, 8) * fibers


def _fractal(shape: tuple[int, int], rng: Rng) -> Doubles:
    total = np.zeros(shape)
    roughness = rng.uniform(0.4, 1.1)
    for octave in range(5):
        cells = 2 ** (octave + 1) + 1
        total += roughness**octave * _resized(rng.normal(size=(cells, cells)), shape)
    return _stretched(total, rng)


def _gradient(shape: tuple[int, int], rng: Rng) -> Doubles:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(0, 1) * (x * x + y * y)
    return _stretched(slope, rng) + rng.normal(0, rng.uniform(0.3, 8), shape)


def _salt(shape: tuple[int, int], rng: Rng) -> Doubles:
    tone = float(rng.choice([0, 255]))
    sheet = np.full(shape, tone)
    sheet[rng.random(shape) < rng.uniform(0.002, 0.3)] = 255 - tone
    return sheet


def _specks(shape: tuple[int, int], rng: Rng) -> Doubles:
    tone = float(rng.choice([0, 255, 30, 235]))
    sheet = np.full(shape, tone)
    for _ in range(int(rng.integers(1, 6))):
        y, x = (int(rng.integers(edge)) for edge in shape)
        size = int(rng.integers(2, 2 + max(shape[0] // 10, 2)))
        sheet[y : y + size, x : x + size] = rng.integers(0, 256)
    if sheet.min() == sheet.max():
        sheet[0, 0] = 255 - tone
    return sheet


def _stripes(shape: tuple[int, int], rng: Rng) -> Doubles:
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, shape[0] / 2)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    if rng.random() < 0.4:
        wave = np.maximum(
            wave, np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period)
        )
    if rng.random() < 0.5:
        wave = (wave > rng.uniform(-0.5, 0.9)).astype(np.float64)
    return _stretched(wave, rng) + rng.normal(0, rng.uniform(0.3, 10), shape)


def _rubbing(shape: tuple[int, int], rng: Rng) -> Doubles:
    """Return a rubbing of stone without a character: dark, with bright blotches and grain."""
    cells = int(rng.integers(6, 24))
    blotches = _resized(rng.normal(size=(cells, cells)), shape)
    grain = _resized(rng.normal(size=(shape[0] * 2 // 3, shape[1] * 2 // 3)), shape)
    light = np.maximum(blotches - rng.uniform(0.3, 2.2), 0) * rng.uniform(50, 200)
    return rng.uniform(5, 70) + light + rng.uniform(3, 30) * grain


def _shapes(shape: tuple[int, int], rng: Rng) -> Doubles:
    """Return a few filled discs and boxes on a plain background."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    sheet = np.full(shape, float(rng.integers(0, 256)))
    for _ in range(int(rng.integers(1, 5))):
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        ry, rx = rng.uniform(0.05, 0.5, 2) * shape[0]
        ey, ex = np.abs(y - cy) / ry, np.abs(x - cx) / rx
        inside = ey**2 + ex**2 < 1 if rng.random() < 0.5 else np.maximum(ey, ex) < 1
        sheet[inside] = rng.integers(0, 256)
    return sheet + rng.normal(0, rng.uniform(0.3, 8), shape)


FIT: dict[str, Callable[[tuple[int, int], Rng], Doubles]] = {
    "fractal": _fractal,
    "gradients": _gradient,
    "salt and pepper": _salt,
    "specks": _specks,
    "stripes": _stripes,
    "bare rubbing": _rubbing,
    "discs and boxes": _shapes,
}
"""Families for fitting a detector."""

REPORT: dict[str, Callable[[tuple[int, int], Rng], Doubles]] = {
    "uniform noise": _uniform,
    "Gaussian noise": _gaussian,
    "clouds": _clouds,
    "one pixel on a blank sheet": _one_pixel,
    "paper grain": _paper,
}
"""Families for evaluating a detector."""
