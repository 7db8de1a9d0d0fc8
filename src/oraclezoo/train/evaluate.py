"""Evaluation: probabilities, and what follows from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oraclezoo.train.augment import standardise
from oraclezoo.train.images import Streamed, chunks

BATCH_SIZE = 500
"""Images at a time in evaluation; the result does not depend on it."""


@torch.inference_mode()
def probabilities(
    model: nn.Module,
    images: Tensor | Streamed,
    *,
    mean: float,
    std: float,
    channels_last: bool = True,
) -> Tensor:
    """Class probabilities float32 ``(N, C)`` of uint8 images ``(N, H, W)``, on their device.

    The model is put into evaluation mode and left as it was found.
    """
    was_training = model.training
    model.eval()
    memory = torch.channels_last if channels_last else torch.contiguous_format
    rows = [
        model(standardise(part, mean, std).to(memory_format=memory)).float().softmax(1)
        for part in chunks(images, BATCH_SIZE)
    ]
    model.train(was_training)
    return torch.cat(rows)


def accuracy_and_loss(probs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Share of right answers in [0, 1], and the mean negative log-likelihood in nats."""
    probs, labels = probs.cpu(), labels.cpu()  # MPS has no float64
    right = (probs.argmax(1) == labels).double().mean()
    likelihood = probs.gather(1, labels.view(-1, 1)).double().clamp_min(1e-12)
    return float(right), float(-likelihood.log().mean())
