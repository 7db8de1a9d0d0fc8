"""JPEG artifacts, compared with a real encoder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import oraclezoo as oz
from oraclezoo.engine.augment import Augmenter, standardize
from oraclezoo.engine.jpeg import Jpeg
from oraclezoo.imaging.prepare import smooth
from oraclezoo.recipe.sections import Augment


def encoded(image: np.ndarray, quality: int) -> bytes:
    """Return the content of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def through_a_file(image: np.ndarray, quality: int) -> np.ndarray:
    """Return the decoded image."""
    return np.asarray(Image.open(io.BytesIO(encoded(image, quality))))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Return coarse blocks with noise, uint8 (24, 28, 20); no side is a multiple of eight."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((24, 7, 5)) * 255, np.ones((4, 4)))
    return np.clip(coarse + rng.normal(0, 10, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [5, 30, 49, 50, 75, 95, 100])
def test_it_is_what_a_file_gives_back(images: np.ndarray, quality: int) -> None:
    """Outputs agree, except where coefficients lie between two quantization steps."""
    batch = torch.tensor(images, dtype=torch.float32)[:, None]
    actual = Jpeg(torch.device("cpu"))(batch, torch.full((len(images),), float(quality)))
    want = np.stack([through_a_file(image, quality) for image in images])
    assert actual.shape == batch.shape
    difference = np.abs(actual[:, 0].numpy() - want)
    assert difference.mean() < 0.6
    assert (difference <= 2).mean() > 0.95


def test_each_image_has_a_quality_of_its_own(images: np.ndarray) -> None:
    """A batch of two equals two batches of one."""
    batch = torch.tensor(images[:2], dtype=torch.float32)[:, None]
    jpeg, quality = Jpeg(torch.device("cpu")), torch.tensor([20.0, 90.0])
    both = jpeg(batch, quality)
    for k in range(2):
        torch.testing.assert_close(both[k : k + 1], jpeg(batch[k : k + 1], quality[k : k + 1]))
    assert not torch.equal(both[0], jpeg(batch[:1], quality[1:])[0])


@pytest.mark.parametrize("first", [(0, 5), (7, 7), (3, 0)])
def test_blocks_may_start_before_the_image(images: np.ndarray, first: tuple[int, int]) -> None:
    """The result equals that of a file whose first rows and columns were cropped."""
    batch = torch.tensor(images, dtype=torch.float32)[:, None]
    places = torch.tensor([first, (0, 0)]).repeat(12, 1)
    quality = torch.full((len(images),), 30.0)
    jpeg = Jpeg(torch.device("cpu"))
    actual = jpeg(batch, quality, places)
    down, across = first
    wide = F.pad(batch[::2], (across, 0, down, 0), mode="replicate")
    torch.testing.assert_close(actual[::2], jpeg(wide, quality[::2])[..., down:, across:])
    assert not torch.equal(actual[::2], jpeg(batch[::2], quality[::2]))
    torch.testing.assert_close(actual[1::2], jpeg(batch[1::2], quality[1::2]))


def test_augmentation_compresses_the_share_that_is_asked(images: np.ndarray) -> None:
    """Other images do not change, and the minimum quality bounds the loss."""
    batch = torch.tensor(np.tile(images, (20, 1, 1)))
    plain = standardize(batch, 0.3, 0.25)

    def lost(share: float, quality: int) -> torch.Tensor:
        recipe = Augment(jpeg=share, jpeg_quality=quality)
        augmenter = Augmenter(recipe, flip=False, mean=0.3, std=0.25, device=torch.device("cpu"))
        augmenter.reseed(0)
        return (augmenter(batch) - plain).abs().mean((1, 2, 3))

    some = lost(0.25, 30) > 1e-4
    assert 0.15 < float(some.float().mean()) < 0.35
    assert bool((lost(1.0, 30) > 1e-4).all())
    assert float(lost(1.0, 95).mean()) < 0.3 * float(lost(1.0, 10).mean())


@pytest.mark.parametrize(("share", "smoothing"), [(0.0, 0.4), (0.5, 0.0)])
def test_a_model_that_has_learned_to_read_jpeg_gets_it_as_it_is(
    share: float, smoothing: float, tiny_idx: Path, tmp_path: Path
) -> None:
    """Models without JPEG augmentation get small images smoothed, as their card says."""
    changes: dict[str, object] = {"budget.epochs": 1, "data.track": "idx", "augment.jpeg": share}
    recipe = oz.Recipe.load("authors-cnn", changes)
    model = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, device="cpu").model()
    assert model.card.preprocessing.jpeg_smoothing == smoothing
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    gray = through_a_file(image, 30)
    expected = model.predict(smooth(gray, smoothing) if smoothing else gray).probabilities
    assert np.array_equal(model.predict(encoded(image, 30)).probabilities, expected)
