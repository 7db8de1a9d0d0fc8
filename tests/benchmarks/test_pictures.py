"""The pictures of ``benchmarks/pictures.py``: readable, repeatable, as the table says."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from types import ModuleType

import numpy as np
from PIL import Image, features

from helpers.drawn import characters
from oraclezoo.imaging.prepare import prepare
from oraclezoo.serving.sources import SAMPLE

Script = Callable[[str], ModuleType]


def test_every_kind_is_read_and_comes_out_again(script: Script) -> None:
    """Names are unique; a kind depends on the image and its own name alone."""
    pictures = script("pictures")
    images, _ = characters([1] * 10, 0)
    names = [kind.name for kind in pictures.KINDS]
    assert len(set(names)) == len(names)
    for kind in pictures.KINDS:
        if kind.name == "seal" and not features.check("avif"):
            continue
        first = pictures.pictures(kind, images[:3])
        assert first[1:] == pictures.pictures(kind, images[1:3])
        assert all(prepare(data, 28).gray.any() for data in first)


def test_drawings_are_ten_characters_in_both_polarities(script: Script) -> None:
    """Five of each, small on their canvas, and the same in every run."""
    drawings = script("_drawings").drawings
    drawn = drawings(50)
    assert np.bincount([label for label, _ in drawn]).tolist() == [5] * 10
    assert {int(gray[0, 0]) for _, gray in drawn} == {0, 255}
    for _, gray in drawn:
        ink = np.argwhere(gray != gray[0, 0])
        assert 60 < np.ptp(ink, axis=0).max() < 170
    again = drawings(50)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(drawn, again, strict=True))


def test_the_sample_image_is_the_one_that_is_drawn(script: Script) -> None:
    """Within the differences of JPEG encoders."""
    with Image.open(BytesIO(script("sample_image").drawn())) as image, Image.open(SAMPLE) as sample:
        difference = np.asarray(image).astype(int) - np.asarray(sample)
    assert np.abs(difference).mean() < 2
