"""Changes of strokes and gray values, compared with Pillow, NumPy and the code of ``predict``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.ink import blurred, in_one_bit, ordered, shaded, split, thickened, toned
from oraclezoo.imaging.cutting import soften
from oraclezoo.imaging.polarity import otsu
from oraclezoo.recipe.sections import Augment

FAINT = ("margin", "thickness", "gamma", "shade", "blur")
"""Options whose value is a strength, so that a small one changes little."""


@pytest.fixture(scope="module")
def grays() -> np.ndarray:
    """Return light strokes on textured black, uint8 (16, 28, 20)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (16, 28, 20))
    for image in images:
        top, left = rng.integers(2, 12, 2)
        image[top : top + 14, left : left + 3] = rng.integers(150, 256, (14, 3))
        image[top + 5 : top + 8, 2:18] = rng.integers(150, 256, (3, 16))
    return images.astype(np.uint8)


def tensor(grays: np.ndarray) -> torch.Tensor:
    """Return gray values from 0 to 1, ``(N, 1, H, W)``."""
    return torch.tensor(grays, dtype=torch.float32)[:, None] / 255


@pytest.mark.parametrize(
    ("pixels", "filter"), [(1.0, ImageFilter.MaxFilter(3)), (-1.0, ImageFilter.MinFilter(3))]
)
def test_a_pixel_is_dilation_or_erosion_by_a_square(
    grays: np.ndarray, pixels: float, filter: ImageFilter.Filter
) -> None:
    """One pixel equals Pillow's filter of 3 x 3, and half a pixel lies halfway."""
    images = tensor(grays)
    padded = np.pad(grays, ((0, 0), (1, 1), (1, 1)), "edge")
    want = np.stack([np.asarray(Image.fromarray(g).filter(filter))[1:-1, 1:-1] for g in padded])
    whole = thickened(images, torch.full((len(grays),), pixels))
    assert torch.equal(whole, tensor(want))
    half = thickened(images, torch.full((len(grays),), pixels / 2))
    torch.testing.assert_close(half, (images + whole) / 2)
    assert torch.equal(thickened(images, torch.zeros(len(grays))), images)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_blur_is_a_gaussian_in_both_directions(grays: np.ndarray, deviation: float) -> None:
    """The response to a point is the outer product of two sampled Gaussians; 0 changes nothing."""
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1
    row = np.exp(-0.5 * (np.arange(-4, 5) / deviation) ** 2)
    row /= row.sum()
    spread = blurred(point, torch.tensor([deviation]))[0, 0].numpy()
    np.testing.assert_allclose(spread[6:15, 6:15], np.outer(row, row), atol=1e-7)
    assert spread.sum() == pytest.approx(1, abs=1e-6)
    images = tensor(grays)
    assert torch.equal(blurred(images, torch.zeros(len(images))), images)
    flat = torch.full((1, 1, 5, 6), 0.7)
    torch.testing.assert_close(blurred(flat, torch.tensor([deviation])), flat)


def test_gamma_is_a_power() -> None:
    """One octave down squares the values, one up takes the root; 0 and 1 stay."""
    values = torch.tensor([0.0, 0.25, 1.0]).repeat(3, 1).view(3, 1, 1, 3)
    changed = toned(values, torch.tensor([1.0, -1.0, 0.0]))[:, 0, 0]
    want = torch.tensor([[0, 0.0625, 1], [0, 0.5, 1], [0, 0.25, 1]])
    torch.testing.assert_close(changed, want)


def test_light_falls_off_across_the_image() -> None:
    """From left to right, light falls linearly from all of it to what is left."""
    white = torch.ones(2, 1, 4, 5)
    right, down = shaded(white, torch.tensor([0.4, 0.8]), torch.tensor([0.0, torch.pi / 2]))[:, 0]
    want = torch.tensor([1, 0.9, 0.8, 0.7, 0.6]).expand(4, 5)
    torch.testing.assert_close(right, want)
    torch.testing.assert_close(down[:, 0], torch.linspace(1, 0.2, 4))


def test_the_threshold_is_near_that_of_otsu(grays: np.ndarray) -> None:
    """Both split strokes and background alike, up to a few pixels of texture."""
    thresholds = split(tensor(grays)) * 255
    for gray, threshold in zip(grays, thresholds, strict=True):
        assert ((gray > float(threshold)) != (gray > otsu(gray))).mean() < 0.02


def test_one_bit_without_dithering_is_what_predict_reads(grays: np.ndarray) -> None:
    """The result equals the thresholded image, smoothed as ``predict`` smooths 1-bit files."""
    images, count = tensor(grays), len(grays)
    actual = in_one_bit(images, torch.zeros(count), torch.zeros(count, 2, dtype=torch.int64))
    bits = images[:, 0] > split(images)[:, None, None]
    want = np.stack([soften(255 * bit.numpy().astype(np.uint8)) for bit in bits])
    np.testing.assert_allclose(255 * actual[:, 0].numpy(), want, atol=0.5)


def test_full_dithering_keeps_the_mean_gray() -> None:
    """A level k / 16 lights k of each 4 x 4 pixels, wherever the matrix starts."""
    levels = torch.arange(17) / 16
    flat = levels.view(-1, 1, 1, 1).expand(-1, 1, 16, 16)
    first = torch.randint(0, 4, (17, 2), generator=torch.Generator().manual_seed(0))
    actual = in_one_bit(flat, torch.ones(17), first)
    torch.testing.assert_close(actual[..., 2:14, 2:14].mean((1, 2, 3)), levels, atol=0.03, rtol=0)
    place = torch.arange(4)
    table = ordered(place[:, None], place[None, :]) * 16 - 0.5
    want = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]  # Bayer's matrix
    assert table.tolist() == want


def augmenter(recipe: Augment, *seeds: int) -> Augmenter:
    """Return a seeded augmenter on the CPU that may mirror."""
    made = Augmenter(recipe, flip=True, mean=0.3, std=0.25, device=torch.device("cpu"))
    made.reseed(*seeds)
    return made


def test_a_margin_scales_down_about_the_centre() -> None:
    """Scaled by up to 1 - 2 x, the character never leaves its place or grows."""
    white = torch.full((400, 28, 28), 255, dtype=torch.uint8)
    grays = augmenter(Augment(margin=0.25), 0)(white)[:, 0] * 0.25 + 0.3
    edges = grays.sum((1, 2)).sqrt()
    assert 14 <= float(edges.min()) < 15
    assert 27 < float(edges.max()) <= 28.01
    torch.testing.assert_close(grays, grays.flip(1), atol=1e-4, rtol=0)


def test_the_share_of_one_bit_images_is_as_asked(grays: np.ndarray) -> None:
    """Images that were not drawn are unchanged."""
    batch = torch.tensor(np.tile(grays, (40, 1, 1)))
    recipe = Augment(binary=0.25)
    plain = Augmenter(recipe, flip=False, mean=0.3, std=0.25, device=torch.device("cpu"))
    plain.reseed(0)
    changed = (plain(batch) * 0.25 + 0.3 - tensor(batch.numpy())).abs().amax((1, 2, 3)) > 1e-3
    assert 0.2 < float(changed.float().mean()) < 0.3


@pytest.mark.parametrize("name", FAINT)
def test_options_leave_the_random_numbers_of_geometry(name: str, grays: np.ndarray) -> None:
    """With a strength near 0, an option changes nothing of shift and rotation."""
    batch = torch.tensor(grays)
    alone = Augment(shift=2, rotate=10)
    faint = dataclasses.replace(alone, **{name: 1e-6})
    torch.testing.assert_close(
        augmenter(faint, 3)(batch), augmenter(alone, 3)(batch), atol=1e-3, rtol=0
    )


def test_stacked_seeds_get_what_each_gets_alone(grays: np.ndarray) -> None:
    """A batch of two seeds equals two batches of one."""
    recipe = Augment(shift=2, margin=0.1, thickness=1, gamma=1, shade=0.5, blur=1, binary=0.5)
    batch = torch.tensor(grays)
    both = augmenter(recipe, 4, 5)(torch.cat([batch, batch]))
    alone = torch.cat([augmenter(recipe, seed)(batch) for seed in (4, 5)])
    torch.testing.assert_close(both, alone)
