"""Simulate photos on paper: random frame, paper, lighting, noise and compression for an image."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from oraclezoo.imaging.polarity import Gray

Rng = np.random.Generator


def on_paper(gray: Gray, rng: Rng) -> bytes:
    """Return an image file that shows a light character on black, uint8 ``(H, W)``, as on paper.

    The image is enlarged, padded and rotated by up to 5 degrees. It becomes ink on dark or light
    paper, with uneven lighting, noise and, in half of the cases, JPEG artifacts.
    """
    height, width = gray.shape
    times = rng.uniform(2.5, 8) * 28 / max(height, width)
    size = (max(1, round(times * width)), max(1, round(times * height)))
    scan = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))
    margins = np.rint(rng.uniform(0.05, 0.6, 4) * max(size)).astype(int).reshape(2, 2)
    sheet = np.pad(scan, margins)
    turned = Image.fromarray(sheet).rotate(float(rng.uniform(-5, 5)), Image.Resampling.BICUBIC)
    cover = np.asarray(turned, np.float64) / 255
    paper, ink = (0.0, 255.0) if rng.random() < 0.3 else (rng.uniform(170, 255), rng.uniform(0, 90))
    page = paper + cover * (ink - paper)
    if rng.random() < 0.5:
        page *= _light(page.shape, rng)
    noise = rng.choice([0.0, 1.0, 3.0])
    levels = np.rint(page + rng.normal(0, 1, page.shape) * noise).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    if rng.random() < 0.5:
        Image.fromarray(levels).save(file, "JPEG", quality=int(rng.integers(50, 95)))
    else:
        Image.fromarray(levels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _light(shape: tuple[int, ...], rng: Rng) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return a brightness map that falls linearly from 1 to at least 0.7."""
    angle, low = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    slope = x * np.cos(angle) + y * np.sin(angle)
    light: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (1 + low) / 2 + (
        1 - low
    ) / 2 * slope / np.abs(slope).max()
    return light
