"""Compute the penultimate features and the predictions of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from oraclezoo.artifacts.model import Model
from oraclezoo.contracts import Images
from oraclezoo.engine.augment import standardize

BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class Features:
    """Feature vectors float32 ``(N, D)`` and predicted labels int64 ``(N,)``."""

    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@torch.inference_mode()
def features(model: Model, images: Images) -> Features:
    """Return the input of the last linear layer for preprocessed images uint8 ``(N, S, S)``.

    If the layer is applied at several positions, the features are averaged over them. For a model
    without a linear layer, the log-probabilities are returned. Neither test-time augmentation nor
    the model's ONNX file is used.
    """
    scale, module = model.card.preprocessing, model.module
    device = next(module.parameters()).device
    vectors: list[npt.NDArray[np.float32]] = []
    labels: list[npt.NDArray[np.int64]] = []
    with _last_linear_input(module) as seen:
        for first in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(images[first : first + BATCH_SIZE]))
            seen.clear()
            inputs = standardize(batch.to(device), scale.mean, scale.std)
            logits = module(inputs.to(memory_format=torch.channels_last))
            batch_vectors = seen[-1] if seen else logits.log_softmax(1)
            if batch_vectors.ndim > 2:
                batch_vectors = batch_vectors.flatten(1, -2).mean(1)
            vectors.append(batch_vectors.float().cpu().numpy())
            labels.append(logits.argmax(1).cpu().numpy())
    return Features(np.concatenate(vectors), np.concatenate(labels))


@contextmanager
def _last_linear_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that, after each forward pass, holds the input of the last linear layer."""
    seen: list[Tensor] = []

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = [inputs[0]]

    hooks = [
        layer.register_forward_pre_hook(record)
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
