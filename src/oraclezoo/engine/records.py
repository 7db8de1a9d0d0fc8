"""Records: what the engine is given, what it tells, and what it remembers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from oraclezoo.engine.images import Streamed


@dataclass(frozen=True)
class TrainingData:
    """Training and validation images: uint8 ``(N, H, W)``, int64 ``(N,)``, on the device.

    Streamed images stay where they are and come to the device in batches, the same ones.
    """

    images: Tensor | Streamed
    labels: Tensor
    validation_images: Tensor | Streamed
    validation_labels: Tensor
    mean: float
    std: float
    flip_keeps_label: bool


@dataclass(frozen=True)
class Parts:
    """What is trained, and with what; built by the caller from the recipe's names."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: Any
    needs_closure: bool = False
    train_eval: bool = False
    metric_scheduler: bool = False


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; validation is None where it was not measured."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    train_s: float
    images_per_s: float


@dataclass
class Progress:
    """The loop's own state: where it is, and what it has seen; ``train_s`` counts ``compile_s``."""

    epoch: int = 0
    step_in_epoch: int = 0
    train_s: float = 0.0
    compile_s: float = 0.0
    examples: int = 0
    loss_sum: float | Tensor = 0.0
    best: list[float] = field(default_factory=lambda: [-math.inf, -math.inf])
    best_epoch: int = 0
    validation_accuracy: float = math.nan
    validation_loss: float = math.nan
