"""OracleNet: whitening, architecture and scaling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from oraclezoo.errors import DataError
from oraclezoo.zoo.backbones.oraclenet import OracleNet


def correlated_images(seed: int, in_chans: int) -> torch.Tensor:
    """Random images whose neighboring pixels, and channels, go together."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(64, 1, 20, 20, generator=g) + torch.randn(64, in_chans, 20, 20, generator=g)
    return F.avg_pool2d(noise, 3, stride=1) * 3 + 0.7


def net(in_chans: int = 1, **options: float) -> OracleNet:
    torch.manual_seed(0)
    return OracleNet(in_chans=in_chans, num_classes=10, image_size=28, **options)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), in_chans=st.sampled_from([1, 3]))
def test_whitened_patches_are_uncorrelated(seed: int, in_chans: int) -> None:
    """After `initialize`, the first half of the filters has mean 0 and identity covariance."""
    images = correlated_images(seed, in_chans)
    model = net(in_chans, whiten_eps=1e-8)
    model.initialize(images)
    inside = model.whiten(images)[:, : 9 * in_chans, 1:-1, 1:-1]  # the border has padding in it
    values = inside.transpose(0, 1).flatten(1).double()
    assert values.mean(1).abs().max() < 1e-3
    assert (values.cov() - torch.eye(9 * in_chans)).abs().max() < 1e-2


def test_the_second_half_of_the_filters_is_the_negative_of_the_first() -> None:
    """So that a rectifying activation loses no sign."""
    model = net()
    model.initialize(correlated_images(0, 1))
    first, second = model.whiten(torch.randn(2, 1, 28, 28)).chunk(2, dim=1)
    assert torch.allclose(first, -second, atol=1e-5)


def test_large_eps_tames_directions_without_variance() -> None:
    """Constant images have no variance at all; the filters stay finite and bounded by eps."""
    model = net(whiten_eps=1e-2)
    model.initialize(torch.full((4, 1, 28, 28), 0.3))
    assert model.whiten.weight.abs().max() <= 10.001
    assert torch.isfinite(model(torch.randn(2, 1, 28, 28))).all()


def test_initialize_is_deterministic_and_independent_of_chunking() -> None:
    """Repeating the images, across the chunk border too, changes the filters by rounding only."""
    images = correlated_images(3, 1)
    one, two = net(), net()
    one.initialize(images)
    two.initialize(images.repeat(20, 1, 1, 1))
    assert torch.allclose(one.whiten.weight, two.whiten.weight, atol=1e-4)
    two.initialize(images)
    assert torch.equal(one.whiten.weight, two.whiten.weight)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 28, 28),
        torch.zeros(4, 2, 28, 28),
        torch.zeros(0, 1, 28, 28),
        torch.full((4, 1, 28, 28), torch.nan),
    ],
    ids=["no channel axis", "two channels", "empty", "nan"],
)
def test_images_that_cannot_be_whitened_are_refused(images: torch.Tensor) -> None:
    """A wrong shape or a value that is not finite is a DataError."""
    with pytest.raises(DataError, match=r"initialize (expects|requires)"):
        net().initialize(images)


def test_the_size_is_as_documented() -> None:
    """0.29M parameters, of which the 180 of the whitening are frozen."""
    model = net()
    assert sum(p.numel() for p in model.parameters()) == 293_236
    assert sum(p.numel() for p in model.parameters() if not p.requires_grad) == 180


@pytest.mark.parametrize(("width", "channels"), [(0.25, [8, 16, 32]), (2.0, [64, 128, 256])])
def test_width_multiplies_the_channels(width: float, channels: list[int]) -> None:
    """Each stage has its share of the width, in multiples of 8."""
    model = net(width=width)
    norms = [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms[::2] == channels
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_logit_scale_multiplies_the_logits() -> None:
    """The same weights at twice the scale give twice the logits."""
    images = torch.randn(2, 1, 28, 28)
    assert torch.allclose(
        2 * net(logit_scale=0.5).eval()(images), net(logit_scale=1.0).eval()(images)
    )


@pytest.mark.parametrize("image_size", [16, 17, 28, 64])
def test_a_training_batch_of_one_works_at_any_size(image_size: int) -> None:
    """The smallest maps still have more than one pixel for BatchNorm to average over."""
    model = OracleNet(in_chans=1, num_classes=3, image_size=image_size).train()
    assert model(torch.randn(1, 1, image_size, image_size)).shape == (1, 3)
