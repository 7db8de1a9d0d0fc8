"""JPEG's losses as a batch operation, held to a real encoder's files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import oraclezoo as oz
from oraclezoo.engine.augment import Augmenter, standardise
from oraclezoo.engine.jpeg import Jpeg
from oraclezoo.imaging.prepare import smooth
from oraclezoo.recipe.sections import Augment


def encoded(image: np.ndarray, quality: int) -> bytes:
    """The content of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def through_a_file(image: np.ndarray, quality: int) -> np.ndarray:
    """What a reader of a JPEG file gets."""
    return np.asarray(Image.open(io.BytesIO(encoded(image, quality))))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Coarse blocks with grain, uint8 (24, 28, 20): no multiple of eight either way."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((24, 7, 5)) * 255, np.ones((4, 4)))
    return np.clip(coarse + rng.normal(0, 10, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [5, 30, 49, 50, 75, 95, 100])
def test_it_is_what_a_file_gives_back(images: np.ndarray, quality: int) -> None:
    """But for coefficients that lie between two steps, which encoders round either way."""
    batch = torch.tensor(images, dtype=torch.float32)[:, None]
    found = Jpeg(torch.device("cpu"))(batch, torch.full((len(images),), float(quality)))
    want = np.stack([through_a_file(image, quality) for image in images])
    assert found.shape == batch.shape
    apart = np.abs(found[:, 0].numpy() - want)
    assert apart.mean() < 0.6
    assert (apart <= 2).mean() > 0.95


def test_each_image_has_a_quality_of_its_own(images: np.ndarray) -> None:
    """A batch of two is two batches of one."""
    batch = torch.tensor(images[:2], dtype=torch.float32)[:, None]
    jpeg, quality = Jpeg(torch.device("cpu")), torch.tensor([20.0, 90.0])
    both = jpeg(batch, quality)
    for k in range(2):
        torch.testing.assert_close(both[k : k + 1], jpeg(batch[k : k + 1], quality[k : k + 1]))
    assert not torch.equal(both[0], jpeg(batch[:1], quality[1:])[0])


@pytest.mark.parametrize("first", [(0, 5), (7, 7), (3, 0)])
def test_blocks_may_start_before_the_image(images: np.ndarray, first: tuple[int, int]) -> None:
    """As in a file whose first rows and columns were cut off, which went on as the edge does."""
    batch = torch.tensor(images, dtype=torch.float32)[:, None]
    places = torch.tensor([first, (0, 0)]).repeat(12, 1)
    quality = torch.full((len(images),), 30.0)
    jpeg = Jpeg(torch.device("cpu"))
    found = jpeg(batch, quality, places)
    down, across = first
    wide = F.pad(batch[::2], (across, 0, down, 0), mode="replicate")
    torch.testing.assert_close(found[::2], jpeg(wide, quality[::2])[..., down:, across:])
    assert not torch.equal(found[::2], jpeg(batch[::2], quality[::2]))
    torch.testing.assert_close(found[1::2], jpeg(batch[1::2], quality[1::2]))


def test_augmentation_compresses_the_share_that_is_asked(images: np.ndarray) -> None:
    """The others stay as they are, and the lowest quality bounds what is lost."""
    batch = torch.tensor(np.tile(images, (20, 1, 1)))
    plain = standardise(batch, 0.3, 0.25)

    def lost(share: float, quality: int) -> torch.Tensor:
        recipe = Augment(jpeg=share, jpeg_quality=quality)
        made = Augmenter(recipe, flip=False, mean=0.3, std=0.25, device=torch.device("cpu"))
        made.reseed(0)
        return (made(batch) - plain).abs().mean((1, 2, 3))

    some = lost(0.25, 30) > 1e-4
    assert 0.15 < float(some.float().mean()) < 0.35
    assert bool((lost(1.0, 30) > 1e-4).all())
    assert float(lost(1.0, 95).mean()) < 0.3 * float(lost(1.0, 10).mean())


@pytest.mark.parametrize(("share", "smoothing"), [(0.0, 0.4), (0.5, 0.0)])
def test_a_model_that_has_learned_to_read_jpeg_gets_it_as_it_is(
    share: float, smoothing: float, tiny_idx: Path, tmp_path: Path
) -> None:
    """Another gets small images smoothed; the card of each says so."""
    changes: dict[str, object] = {"budget.epochs": 1, "data.track": "idx", "augment.jpeg": share}
    recipe = oz.Recipe.load("authors-cnn", changes)
    model = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, device="cpu").model()
    assert model.card.preprocessing.jpeg_smoothing == smoothing
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    gray = through_a_file(image, 30)
    wanted = model.predict(smooth(gray, smoothing) if smoothing else gray).probabilities
    assert np.array_equal(model.predict(encoded(image, 30)).probabilities, wanted)
