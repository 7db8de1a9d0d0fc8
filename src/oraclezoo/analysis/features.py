"""Features: what a net makes of images just before it decides."""

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
from oraclezoo.engine.augment import standardise

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Features:
    """Vectors float32 ``(N, D)``, and the class that each image is taken for, int64 ``(N,)``."""

    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@torch.inference_mode()
def features(model: Model, images: Images) -> Features:
    """Of prepared images uint8 ``(N, S, S)``: the input of the last linear layer that runs.

    Averaged over places where that layer sees several; of a net without one, the logarithms of its
    probabilities. Views are not averaged, and a model's ONNX file is not used.
    """
    scale, module = model.card["preprocessing"], model.module
    device = next(module.parameters()).device
    vectors: list[npt.NDArray[np.float32]] = []
    labels: list[npt.NDArray[np.int64]] = []
    with _last_linear_input(module) as seen:
        for first in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.ascontiguousarray(images[first : first + AT_ONCE]))
            seen.clear()
            given = standardise(batch.to(device), scale["mean"], scale["std"])
            logits = module(given.to(memory_format=torch.channels_last))
            found = seen[-1] if seen else logits.log_softmax(1)
            if found.ndim > 2:
                found = found.flatten(1, -2).mean(1)
            vectors.append(found.float().cpu().numpy())
            labels.append(logits.argmax(1).cpu().numpy())
    return Features(np.concatenate(vectors), np.concatenate(labels))


@contextmanager
def _last_linear_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that, after a forward pass, ends with the input of the last linear layer in it."""
    seen: list[Tensor] = []

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen[:] = [given[0]]

    hooks = [
        layer.register_forward_pre_hook(note)
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
