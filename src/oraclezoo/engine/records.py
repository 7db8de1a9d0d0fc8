"""Data classes of the training engine: its inputs, settings, progress and metrics."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from oraclezoo.engine.images import Streamed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Training and validation images, uint8 ``(N, H, W)``, and labels, int64 ``(N,)``.

    Tensors are on the device. Streamed images stay in their file and are copied to the device one
    batch at a time; training results are the same for both.
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
    """A recipe's model, optimizer and scheduler, with the optimizer's and scheduler's traits."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: Any
    needs_closure: bool = False
    train_eval: bool = False
    metric_scheduler: bool = False


@dataclass(frozen=True)
class Epoch:
    """Metrics of an epoch.

    Validation metrics are None if the epoch was not validated, or if the run trains on the
    validation images (``data.refit``).
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    train_s: float
    images_per_s: float

    @property
    def text(self) -> str:
        """The metrics for a progress display, the most important first."""
        metrics = [f"loss {self.train_loss:.3f}", f"{self.images_per_s:,.0f} images/s"]
        if self.validation_accuracy is not None:
            metrics.insert(0, f"validation {100 * self.validation_accuracy:.1f}%")
        return ", ".join(metrics)


def _ignore(epoch: Epoch) -> None:
    pass


def _ignore_share(share: float) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Callbacks:
    """Functions that a training run calls.

    Attributes:
        on_epoch: Called with the metrics of each epoch.
        on_step: Called after each step with the finished share of the job, from 0 to 1.
        should_stop: Called after each step; if it returns True, the state is saved and the run ends
            with InterruptedRunError.
        progress: Called with one line of text per event; if None, only warnings are logged.
    """

    on_epoch: Callable[[Epoch], None] = _ignore
    should_stop: Callable[[], bool] = _never
    progress: Callable[[str], None] | None = None
    on_step: Callable[[float], None] = _ignore_share

    def within(self, start: float, end: float) -> Callbacks:
        """Return callbacks for a part of the job, from the share ``start`` to the share ``end``."""
        on_step = self.on_step
        return replace(self, on_step=lambda share: on_step(start + share * (end - start)))

    def say(self, text: str) -> None:
        """Pass a line to ``progress``, if set."""
        if self.progress is not None:
            self.progress(text)

    def warn(self, text: str) -> None:
        """Pass a warning to ``progress`` if set, otherwise to the log."""
        (self.progress or logger.warning)(text)


@dataclass(frozen=True)
class Checkpoint:
    """The folder of a run's checkpoint, and whether the run resumes from that checkpoint."""

    folder: Path
    resume: bool = False


@dataclass(frozen=True)
class TrainerOptions:
    """Optional settings of a trainer.

    Attributes:
        compile: Whether to compile the model: ``"auto"``, ``"on"`` or ``"off"``
            (:mod:`oraclezoo.engine.compiled`).
        profile: Folder for the profiler's trace of a few steps; None for no profile.
        warn: Called with one line of text if a setting cannot be applied.
        teacher: Module on the device that maps standardized images to logits, for the distillation
            loss.
    """

    compile: str = "auto"
    profile: Path | None = None
    teacher: nn.Module | None = None
    warn: Callable[[str], None] = logger.warning


@dataclass
class Progress:
    """Position and running totals of the training loop; ``train_s`` includes ``compile_s``."""

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
