"""Polarity detection: stated, by the border, by a frame, and for preprocessed images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import oraclezoo as oz
from oraclezoo.errors import UsageError
from oraclezoo.imaging.polarity import PREPARED_SHARE, Gray, border, is_dark_on_light, otsu


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_the_border_has_each_outer_pixel_once(gray: Gray) -> None:
    """The border has as many pixels as a frame of width one, and no inner pixel."""
    height, width = gray.shape
    inner = max(0, height - 2) * max(0, width - 2)
    indices = border(np.arange(gray.size, dtype=np.int64).reshape(gray.shape))
    assert len(set(indices.tolist())) == len(indices) == gray.size - inner


@given(
    st.integers(0, 100),
    st.integers(101, 255),
    st.integers(30, 80),
    st.integers(1, 7),
    st.booleans(),
)
def test_the_tone_of_the_border_is_the_background(
    dark: int, bright: int, size: int, stroke: int, inverted: bool
) -> None:
    """A cross of any stroke width with a margin is light on dark, its negative dark on light."""
    gray = np.full((size, size), dark, np.uint8)
    middle = slice(size // 2 - stroke // 2, size // 2 - stroke // 2 + stroke)
    gray[middle, 4:-4] = gray[4:-4, middle] = bright
    assert is_dark_on_light(255 - gray if inverted else gray, 28) is inverted


def character(tone: int, background: int) -> Gray:
    """A closed character, 40 x 40 pixels: a square with a cross in it."""
    gray = np.full((40, 40), background, np.uint8)
    for start in (0, 18, 37):
        gray[start : start + 3] = gray[:, start : start + 3] = tone
    return gray


@pytest.mark.parametrize("margin", [2, 10, 40])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_scan_on_a_sheet_of_the_opposite_tone(margin: int, inverted: bool) -> None:
    """A rubbing on white paper is light on dark, although all its border is white."""
    rubbing = np.pad(character(220, 30), 12, constant_values=30)
    gray = np.pad(rubbing, margin, constant_values=245)
    assert is_dark_on_light(255 - gray if inverted else gray, 28) is inverted


@pytest.mark.parametrize("margin", [2, 10, 40])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_closed_character_is_not_a_frame(margin: int, inverted: bool) -> None:
    """Ink on white paper is dark on light, although the outline around it is all ink."""
    gray = np.pad(character(30, 245), margin, constant_values=245)
    assert is_dark_on_light(255 - gray if inverted else gray, 28) is not inverted


@pytest.mark.parametrize("height", [8, 20])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_single_stroke_is_not_a_frame(height: int, inverted: bool) -> None:
    """A filled bar, as in the character for one, is a character on its background."""
    gray = np.full((60, 60), 245, np.uint8)
    gray[30 - height // 2 : 30 + height // 2, 8:52] = 30
    assert is_dark_on_light(255 - gray if inverted else gray, 28) is not inverted


def test_white_damage_does_not_invert() -> None:
    """An image is not inverted if most of it is bright but its border is dark."""
    rng = np.random.default_rng(0)
    gray = np.where(rng.random((60, 60)) < 0.6, 200, 20).astype(np.uint8)
    gray[[0, -1]] = 0
    gray[:, [0, -1]] = 0
    assert (gray > otsu(gray)).mean() > 0.5
    assert not is_dark_on_light(gray, 28)


def test_a_tie_at_the_border_goes_to_most_pixels() -> None:
    """If half of the border is bright, the tone of most pixels is the background."""
    gray = np.zeros((10, 10), np.uint8)
    gray[:, :5] = 255
    gray[5, 6] = 255
    assert is_dark_on_light(gray, 28)
    assert not is_dark_on_light(255 - gray, 28)


def test_an_image_of_the_input_size_needs_a_clearer_majority() -> None:
    """A border with a small bright majority inverts an image of another size only."""
    gray = np.zeros((8, 8), np.uint8)
    gray[0] = gray[-1, 1:] = 255  # 15 of 28
    assert 0.5 < np.mean(border(gray) > 0) < PREPARED_SHARE
    assert is_dark_on_light(gray, 9)
    assert not is_dark_on_light(gray, 8)


def test_a_stated_polarity_is_believed() -> None:
    """A stated polarity overrides the detection; an unknown word is a UsageError."""
    gray = np.eye(8, dtype=np.uint8) * 255
    assert is_dark_on_light(gray, 8, "dark-on-light")
    assert not is_dark_on_light(255 - gray, 9, "light-on-dark")
    with pytest.raises(UsageError, match="one of auto, light-on-dark, dark-on-light"):
        is_dark_on_light(gray, 8, "light")  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.realdata
def test_published_images_are_not_inverted_and_inverted_ones_are(oracle_dir: Path) -> None:
    """No training or validation image is inverted, and nearly all of their negatives are."""
    dataset = oz.registry().create("dataset", "oracle-mnist-3k", data_dir=oracle_dir)
    images = np.concatenate([dataset.split(name).images for name in ("train", "validation")])
    assert sum(is_dark_on_light(image, 28) for image in images) == 0
    assert sum(is_dark_on_light(255 - image, 28) for image in images) >= len(images) - 10
