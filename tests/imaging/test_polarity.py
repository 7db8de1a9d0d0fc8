"""Whether a character is brighter than what it stands on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import oraclezoo as oz
from oraclezoo.errors import UsageError
from oraclezoo.imaging.decode import has_bright_background
from oraclezoo.imaging.polarity import PREPARED_SHARE, border, bright_border, is_dark_on_light


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_the_border_has_each_outer_pixel_once(gray: np.ndarray) -> None:
    """As many as a frame of one pixel, and no inner one."""
    height, width = gray.shape
    inner = max(0, height - 2) * max(0, width - 2)
    numbered = np.arange(gray.size, dtype=np.int64).reshape(gray.shape)
    found = border(numbered)  # type: ignore[arg-type]  # numbers in place of grays
    assert len(set(found.tolist())) == len(found) == gray.size - inner


@given(st.integers(0, 100), st.integers(101, 255), st.integers(3, 12), st.booleans())
def test_what_lies_at_the_border_is_background(
    dark: int, bright: int, size: int, inverted: bool
) -> None:
    """A square in the middle is the character, however large."""
    gray = np.full((size + 2, size + 2), bright if inverted else dark, np.uint8)
    gray[1:-1, 1:-1] = dark if inverted else bright
    assert is_dark_on_light(gray, 28) is inverted


def test_white_damage_does_not_invert() -> None:
    """Where most of an image is bright but its border is not, the paper's rule errs."""
    gray = np.full((20, 20), 200, np.uint8)
    gray[[0, -1]] = 0
    gray[:, [0, -1]] = 0
    assert has_bright_background(gray)
    assert not is_dark_on_light(gray, 28)


def test_an_image_of_the_models_size_is_likely_to_be_prepared() -> None:
    """A border that is bright by a small majority inverts an image of another size only."""
    gray = np.zeros((8, 8), np.uint8)
    gray[0] = gray[-1, 1:] = 255  # 15 of 28
    assert 0.5 < bright_border(gray) < PREPARED_SHARE
    assert is_dark_on_light(gray, 9)
    assert not is_dark_on_light(gray, 8)


def test_a_stated_polarity_is_believed() -> None:
    """Whatever the image looks like; another word is refused."""
    gray = np.eye(8, dtype=np.uint8) * 255
    assert is_dark_on_light(gray, 8, "dark-on-light")
    assert not is_dark_on_light(255 - gray, 9, "light-on-dark")
    with pytest.raises(UsageError, match="one of auto, light-on-dark, dark-on-light"):
        is_dark_on_light(gray, 8, "light")  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.realdata
def test_published_images_are_not_inverted_and_inverted_ones_are(oracle_dir: Path) -> None:
    """None of the training and validation images; all but a few when they are inverted."""
    dataset = oz.registry().create("dataset", "oracle-mnist-3k", data_dir=oracle_dir)
    images = np.concatenate([dataset.split(name).images for name in ("train", "validation")])
    assert sum(is_dark_on_light(image, 28) for image in images) == 0
    assert sum(is_dark_on_light(255 - image, 28) for image in images) >= len(images) - 10
