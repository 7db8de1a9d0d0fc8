"""Distillation: the loss follows the paper, and the teacher is not changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.small import equal, trainer, weights
from oraclezoo.engine.distill import Ensemble, soften


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), temperature=st.floats(0.5, 8))
def test_it_falls_with_the_gradient_of_hinton_s_cross_entropy(
    seed: int, temperature: float
) -> None:
    """The gradient equals that of T^2 times the cross-entropy of softened labels."""
    taught = draw(seed, 5, 4)
    own, reference = draw(seed + 1, 5, 4).requires_grad_(), draw(seed + 1, 5, 4).requires_grad_()
    soften(torch.zeros(()), own, taught, 1.0, temperature).backward()
    soft = (taught / temperature).softmax(1)
    (temperature**2 * F.cross_entropy(reference / temperature, soft)).backward()
    assert torch.allclose(own.grad, reference.grad, atol=1e-5)


def test_a_student_that_agrees_pays_nothing_and_weight_0_is_the_plain_loss() -> None:
    """The divergence of a distribution from itself is 0."""
    logits = draw(0, 5, 4)
    assert soften(torch.zeros(()), logits, logits + 3, 1.0, 2.0).abs() < 1e-6
    assert soften(torch.tensor(1.5), logits, -logits, 0.0, 2.0) == 1.5


def test_an_ensemble_averages_probabilities() -> None:
    """Probabilities are averaged, not logits."""
    nets = [nn.Linear(3, 4), nn.Linear(3, 4)]
    images = draw(0, 6, 3)
    mean = sum(net(images).softmax(1) for net in nets) / 2
    assert torch.allclose(Ensemble(nets)(images).exp(), mean, atol=1e-6)


def test_training_draws_to_the_teacher_and_leaves_it_alone(tmp_path: Path) -> None:
    """With weight 1, a student learns the class that the teacher always predicts."""

    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([0.0, 0.0, 9.0, 0.0]))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(images), 4)

    teacher = Stubborn()
    student = trainer(tmp_path / "a", {"distill.weight": 1.0}, teacher=teacher)
    student.fit()
    assert student.progress.validation_accuracy == pytest.approx(0.25)
    assert teacher.logits.grad is None
    plain = trainer(tmp_path / "b", {"distill.weight": 0.0}, teacher=teacher)
    without = trainer(tmp_path / "c")
    plain.fit()
    without.fit()
    assert equal(weights(plain), weights(without))
