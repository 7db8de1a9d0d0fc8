"""Augmentation: effect of each key, and reproducibility by seed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from oraclezoo.engine.augment import Augmenter, standardize
from oraclezoo.recipe.sections import Augment

MEAN, STD = 0.3, 0.25
FULL = Augment(
    shift=3,
    rotate=12,
    scale=0.1,
    shear=0.1,
    elastic=1,
    elastic_grid=4,
    flip=True,
    cutout=7,
    jpeg=1,
    margin=0.2,
    thickness=0.5,
    gamma=0.5,
    shade=0.4,
    blur=1,
    binary=1,
)


def make(recipe: Augment, *, flip: bool = False, seed: int = 0) -> Augmenter:
    """Return a seeded augmenter on the CPU."""
    augmenter = Augmenter(recipe, flip=flip, mean=MEAN, std=STD, device=torch.device("cpu"))
    augmenter.reseed(seed)
    return augmenter


@pytest.fixture
def images() -> torch.Tensor:
    """Return bright blobs off center on black, all different."""
    generator = torch.Generator().manual_seed(1)
    batch = torch.zeros(64, 28, 28, dtype=torch.uint8)
    batch[:, 10:18, 6:14] = torch.randint(
        100, 256, (64, 8, 8), generator=generator, dtype=torch.uint8
    )
    return batch


def raw(batch: torch.Tensor) -> torch.Tensor:
    """Return standardized images on the scale from 0 to 255."""
    return (batch * STD + MEAN) * 255


BICUBIC = Augment(elastic=2, elastic_grid=3, interpolation="bicubic")


def test_standardize_is_the_formula() -> None:
    """(x / 255 - mean) / std, with a channel axis of one."""
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    actual = standardize(values, MEAN, STD)
    assert actual.shape == (1, 1, 16, 16)
    assert torch.allclose(actual, (values[:, None].float() / 255 - MEAN) / STD, atol=1e-5)


def test_nothing_asked_changes_nothing(images: torch.Tensor) -> None:
    """The default recipe is the identity."""
    assert torch.equal(make(Augment())(images), standardize(images, MEAN, STD))


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Augment)])
def test_each_key_alone_changes_images(name: str, images: torch.Tensor) -> None:
    """No key is without effect; three need another key."""
    if name in ("elastic_grid", "interpolation"):
        one = Augment(elastic=2, elastic_grid=3, interpolation="bilinear")
        other = Augment(elastic=2, elastic_grid=6) if name == "elastic_grid" else BICUBIC
        assert not torch.equal(make(one)(images), make(other)(images))
        return
    if name == "jpeg_quality":
        one, other = (Augment(jpeg=1, jpeg_quality=quality) for quality in (30, 90))
        assert not torch.equal(make(one)(images), make(other)(images))
        return
    recipe = dataclasses.replace(Augment(), **{name: getattr(FULL, name)})
    changed = make(recipe, flip=recipe.flip)(images)
    assert not torch.allclose(changed, standardize(images, MEAN, STD), atol=0.1)
    assert changed.shape == (64, 1, 28, 28)
    assert torch.isfinite(changed).all()


def test_bicubic_keeps_more_of_what_is_fine(images: torch.Tensor) -> None:
    """Bicubic interpolation of a half-pixel shift preserves more contrast than bilinear."""

    def fine(mode: str) -> float:
        recipe = Augment(shift=0.5, interpolation=mode)
        return float(make(recipe)(images).diff(dim=-1).square().mean())

    before = float(standardize(images, MEAN, STD).diff(dim=-1).square().mean())
    assert fine("bilinear") < 0.8 * fine("bicubic") < before


def test_flip_waits_for_the_data_sets_leave(images: torch.Tensor) -> None:
    """Without ``flip_keeps_label``, images are not mirrored."""
    assert torch.equal(make(Augment(flip=True))(images), standardize(images, MEAN, STD))


def test_flip_mirrors_about_half_exactly(images: torch.Tensor) -> None:
    """Each image is unchanged or mirrored, up to rounding."""
    batch = images.repeat(8, 1, 1)
    actual = raw(make(Augment(flip=True), flip=True)(batch))[:, 0]
    same = (actual - batch).abs().amax((1, 2)) < 0.1
    mirrored = (actual - batch.flip(2)).abs().amax((1, 2)) < 0.1
    assert bool((same ^ mirrored).all())
    assert 0.4 < float(mirrored.double().mean()) < 0.6


def test_shift_moves_by_up_to_that_many_pixels_and_fills_with_black() -> None:
    """Shifts are uniform within the limit, and the border is filled with 0."""
    batch = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    batch[:, 13:15, 13:15] = 255
    actual = raw(make(Augment(shift=4))(batch))[:, 0]
    axis = torch.arange(28.0)
    for sums in (actual.sum(1), actual.sum(2)):
        center = (sums * axis).sum(1) / sums.sum(1) - 13.5
        assert float(center.abs().max()) < 4.05
        assert abs(float(center.std()) - 4 / 3**0.5) < 0.15
    white = torch.full((500, 28, 28), 255, dtype=torch.uint8)
    moved = raw(make(Augment(shift=4))(white))
    assert float(moved.min()) == pytest.approx(0, abs=0.05)
    assert float(moved[:, 0, 14, 14].min()) == pytest.approx(255, abs=0.05)


def test_rotation_keeps_mass_and_centre() -> None:
    """A centered square keeps its sum and center at any angle."""
    batch = torch.zeros(200, 28, 28, dtype=torch.uint8)
    batch[:, 9:19, 9:19] = 200
    actual = raw(make(Augment(rotate=45))(batch))
    assert torch.allclose(actual.sum((1, 2, 3)), torch.tensor(200.0 * 100), rtol=0.02)


def test_cutout_blanks_one_square_with_the_mean(images: torch.Tensor) -> None:
    """Exactly edge x edge pixels of each image are zero after standardizing."""
    white = torch.full((300, 28, 28), 255, dtype=torch.uint8)
    actual = make(Augment(cutout=7))(white)
    assert ((actual == 0).sum((1, 2, 3)) == 49).all()
    tops = (actual == 0).any(3)[:, 0].float().argmax(1)
    assert set(tops.tolist()) == set(range(22))


def test_a_seed_decides_everything(images: torch.Tensor) -> None:
    """Reseeding repeats a batch; another seed gives another one."""
    augmenter = make(FULL, flip=True, seed=5)
    first, second = augmenter(images), augmenter(images)
    augmenter.reseed(5)
    assert torch.equal(augmenter(images), first)
    assert not torch.equal(first, second)
    augmenter.reseed(6)
    assert not torch.equal(augmenter(images), first)
