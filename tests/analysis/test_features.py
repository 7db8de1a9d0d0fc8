"""Features: the input of the last linear layer that runs, whatever the net looks like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.cards import small_card
from oraclezoo.analysis.features import features
from oraclezoo.artifacts.model import Model

IMAGES = np.random.default_rng(0).integers(0, 255, (9, 8, 8), np.uint8)


def model_of(module: nn.Module) -> Model:
    """A model of images of 8 x 8, standardized by nothing."""
    return Model(module, small_card(8, mean=0.0, std=1.0))


class Backwards(nn.Module):
    """Its head is registered first and runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Linear(5, 3), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x.flatten(1)))
        return out


class Tokens(nn.Module):
    """Its head sees each of eight rows, and the answer is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1, 2)).mean(1)
        return out


def test_the_last_layer_that_runs_counts_not_the_last_registered() -> None:
    """Order of attributes says nothing of a forward pass."""
    net = Backwards()
    vectors = features(model_of(net), IMAGES)
    with torch.no_grad():
        due = net.body(torch.from_numpy(IMAGES).float().div(255).flatten(1))
    assert np.allclose(vectors.vectors, due.numpy(), atol=1e-5)


def test_places_are_averaged() -> None:
    """One vector an image, of the rows that the head sees."""
    vectors = features(model_of(Tokens()), IMAGES)
    assert vectors.vectors.shape == (9, 8)
    assert np.allclose(vectors.vectors, (IMAGES / 255).mean(1), atol=1e-5)


def test_a_net_without_a_linear_layer_gives_log_probabilities() -> None:
    """As many as there are classes; their exponentials sum to one."""
    net = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())
    vectors = features(model_of(net), IMAGES)
    assert np.exp(vectors.vectors).sum(1) == pytest.approx(np.ones(9), abs=1e-5)
    assert np.array_equal(vectors.vectors.argmax(1), vectors.labels)


def test_the_net_is_left_as_it_was() -> None:
    """No hook stays behind."""
    net = Backwards()
    features(model_of(net), IMAGES)
    assert not any(layer._forward_pre_hooks for layer in net.modules())
