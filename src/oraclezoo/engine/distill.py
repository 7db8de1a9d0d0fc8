"""Knowledge distillation: training on teachers' soft labels in addition to the hard labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Ensemble(nn.Module):
    """A classifier that averages the class probabilities of its members.

    Maps images ``(N, C, H, W)`` to log mean probabilities ``(N, classes)``, which serve as logits.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        log_probs = torch.stack([net(images).float().log_softmax(1) for net in self.members])
        mean: Tensor = log_probs.logsumexp(0) - math.log(len(self.members))
        return mean


def soften(
    loss: Tensor, logits: Tensor, teacher_logits: Tensor, weight: float, temperature: float
) -> Tensor:
    """Return ``(1 - weight) loss + weight T^2 KL(teacher || student)``, at temperature T.

    From Hinton, Vinyals and Dean 2015, arXiv:1503.02531, section 2, with the KL divergence in place
    of the cross-entropy; the two differ by a constant.

    Args:
        loss: The loss on the hard labels, a scalar.
        logits: The student's logits, float ``(N, C)``.
        teacher_logits: The teacher's logits, float ``(N, C)``.
        weight: Weight of the KL divergence, from 0 to 1.
        temperature: Temperature of both softmax functions.
    """
    divergence = F.kl_div(
        (logits.float() / temperature).log_softmax(1),
        (teacher_logits.float() / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - weight) * loss + weight * temperature**2 * divergence
