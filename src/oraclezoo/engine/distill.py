"""Distillation: a student learns from teachers' soft labels beside the given ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of several classifiers' probabilities, as one.

    Images ``(N, C, H, W)`` -> the logarithms of the mean probabilities ``(N, classes)``, which
    serve as logits.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        log_probs = torch.stack([net(images).float().log_softmax(1) for net in self.members])
        mean: Tensor = log_probs.logsumexp(0) - math.log(len(self.members))
        return mean


def soften(
    loss: Tensor, logits: Tensor, taught: Tensor, weight: float, temperature: float
) -> Tensor:
    """``(1 - weight) loss + weight T^2 KL(teacher || student)``, both at temperature T.

    ``logits`` and ``taught``, those of student and teacher, are float ``(N, C)``; ``loss`` is a
    scalar. Hinton, Vinyals and Dean 2015, arXiv:1503.02531, section 2, with the divergence for the
    cross-entropy: the two differ by a constant.
    """
    divergence = F.kl_div(
        (logits.float() / temperature).log_softmax(1),
        (taught.float() / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - weight) * loss + weight * temperature**2 * divergence
