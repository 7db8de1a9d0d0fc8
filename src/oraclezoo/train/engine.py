"""The engine: trains a model on images that live on its device, or are read ahead of it.

Everything random is a function of the seed and the step, so that a resumed training ends where an
uninterrupted one does: bit for bit on the CPU. Nothing in the inner loop waits for the device,
except that fp16's gradient scaler asks it whether a step is to be left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from oraclezoo.errors import DivergedError, InterruptedRunError, UsageError
from oraclezoo.recipe import Recipe
from oraclezoo.train.augment import Augmenter
from oraclezoo.train.checkpoint import load_state, save_state
from oraclezoo.train.device import exact_float32, synchronise
from oraclezoo.train.evaluate import accuracy_and_loss, probabilities
from oraclezoo.train.images import Streamed, batches
from oraclezoo.train.seeds import derive

CHECKPOINT_EVERY_S = 15.0


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
class _Progress:
    """The loop's own state: where it is, and what it has seen."""

    epoch: int = 0
    step_in_epoch: int = 0
    train_s: float = 0.0
    examples: int = 0
    loss_sum: float | Tensor = 0.0
    best: list[float] = field(default_factory=lambda: [-math.inf, -math.inf])
    best_epoch: int = 0
    validation_accuracy: float = math.nan
    validation_loss: float = math.nan


class Trainer:
    """One training. :meth:`fit` runs it, from a checkpoint if :meth:`resume` found one."""

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        data: TrainingData,
        *,
        seed: int,
        device: torch.device,
        folder: Path,
    ) -> None:
        self.recipe, self.parts, self.data = recipe, parts, data
        self.seed, self.device, self.folder = seed, device, folder
        self.steps_per_epoch = steps_per_epoch(recipe, len(data.images))
        settings = recipe.train
        if parts.needs_closure and settings.precision == "fp16":
            raise UsageError("train.precision fp16 and an optimizer with a closure do not mix")
        self.memory = torch.channels_last if settings.channels_last else torch.contiguous_format
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.augment = Augmenter(
            recipe.augment,
            flip=recipe.augment.flip and data.flip_keeps_label,
            mean=data.mean,
            std=data.std,
            device=device,
        )
        self.ema = (
            AveragedModel(
                parts.model,
                multi_avg_fn=get_ema_multi_avg_fn(settings.ema),  # type: ignore[no-untyped-call]  # torch's own gap
                use_buffers=True,
            )
            if settings.ema
            else None
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.progress = _Progress()
        self._random_state: dict[str, Tensor] | None = None

    @property
    def kept(self) -> nn.Module:
        """The module that is evaluated: the averaged one where the recipe averages."""
        return self.parts.model if self.ema is None else self.ema.module

    @property
    def step(self) -> int:
        """Optimizer steps taken so far."""
        return self.progress.epoch * self.steps_per_epoch + self.progress.step_in_epoch

    def fit(
        self,
        *,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train to the end of the recipe's budget.

        ``should_stop`` is asked after each step; if true, the state is kept and InterruptedRunError
        raised. A loss that is no longer finite raises DivergedError. Leaves ``last.safetensors``
        and ``best.safetensors`` in the folder.
        """
        saved_at = time.monotonic()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), exact_float32():
            if self.step == 0:
                torch.manual_seed(derive(self.seed, "dropout"))
            elif self._random_state is not None:
                self._restore_random(self._random_state)
            while self.progress.epoch < self.recipe.budget.epochs:
                self._train_epoch(should_stop)
                on_epoch(self._close_epoch())
                done = self.progress.epoch == self.recipe.budget.epochs
                if done or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self.save()
                    saved_at = time.monotonic()

    def _train_epoch(self, should_stop: Callable[[], bool]) -> None:
        progress, data, size = self.progress, self.data, self.recipe.budget.batch_size
        model, optimizer, scheduler = self.parts.model, self.parts.optimizer, self.parts.scheduler
        order = self._order(progress.epoch)
        model.train()
        if self.parts.train_eval:
            optimizer.train()  # type: ignore[attr-defined]  # declared by the fact train_eval
        start, before = time.perf_counter(), progress.train_s
        pairs = batches(data.images, data.labels, order, size, first=progress.step_in_epoch)
        with closing(pairs):
            for raw, labels in pairs:
                self.augment.reseed(derive(self.seed, "augment", self.step))
                images = self.augment(raw).contiguous(memory_format=self.memory)
                loss = self._update(images, labels)
                if not self.parts.metric_scheduler:
                    scheduler.step()
                if self.ema is not None:
                    self.ema.update_parameters(model)
                progress.loss_sum = progress.loss_sum + loss.detach()
                progress.step_in_epoch += 1
                if should_stop():
                    synchronise(self.device)
                    progress.train_s = before + time.perf_counter() - start
                    self.save()
                    raise InterruptedRunError(
                        f"stopped in epoch {progress.epoch + 1} of {self.recipe.budget.epochs}; "
                        "the state is kept: run the same command with --resume"
                    )
        synchronise(self.device)
        progress.train_s = before + time.perf_counter() - start

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        """One optimizer step; the loss of the batch, on the device."""
        model, optimizer, scaler = self.parts.model, self.parts.optimizer, self.scaler

        def closure() -> Tensor:
            self.progress.examples += len(labels)  # some optimizers evaluate it more than once
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                logits = model(images)
            loss = F.cross_entropy(
                logits.float(), labels, label_smoothing=self.recipe.loss.label_smoothing
            )
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own gap
            if self.recipe.train.clip_norm:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), self.recipe.train.clip_norm)
            return loss

        if self.parts.needs_closure:
            return optimizer.step(closure)  # type: ignore[arg-type,return-value]  # typed as float
        loss = closure()
        scaler.step(optimizer)
        scaler.update()
        return loss

    def _close_epoch(self) -> Epoch:
        """Check the loss, validate, keep the best weights, and move on to the next epoch."""
        progress = self.progress
        images = self.steps_per_epoch * self.recipe.budget.batch_size
        train_loss = float(progress.loss_sum) / self.steps_per_epoch
        progress.epoch, progress.step_in_epoch, progress.loss_sum = progress.epoch + 1, 0, 0.0
        if not math.isfinite(train_loss):
            raise self._diverged(f"the loss is {train_loss}")
        validated = (
            progress.epoch % self.recipe.train.evaluate_every == 0
            or progress.epoch == self.recipe.budget.epochs
            or self.parts.metric_scheduler
        )
        if validated:
            self._validate()
        return Epoch(
            epoch=progress.epoch,
            step=self.step,
            lr=float(self.parts.optimizer.param_groups[0]["lr"]),
            train_loss=train_loss,
            validation_loss=progress.validation_loss if validated else None,
            validation_accuracy=progress.validation_accuracy if validated else None,
            train_s=progress.train_s,
            images_per_s=progress.epoch * images / progress.train_s,
        )

    def _validate(self) -> None:
        progress, data = self.progress, self.data
        if self.parts.train_eval:
            self.parts.optimizer.eval()  # type: ignore[attr-defined]  # declared by the fact
        probs = probabilities(
            self.kept,
            data.validation_images,
            mean=data.mean,
            std=data.std,
            channels_last=self.recipe.train.channels_last,
        )
        accuracy, loss = accuracy_and_loss(probs, data.validation_labels)
        if not math.isfinite(loss):  # the last step of an epoch can ruin the weights
            raise self._diverged(f"the validation loss is {loss}")
        progress.validation_accuracy, progress.validation_loss = accuracy, loss
        if self.parts.metric_scheduler:
            self.parts.scheduler.step(loss)
        if [accuracy, -loss] > progress.best:
            progress.best, progress.best_epoch = [accuracy, -loss], progress.epoch
            save_state(self.folder / "best.safetensors", {"model": self.kept.state_dict()})

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"{what} in epoch {self.progress.epoch}: diverged; "
            "try a lower learning rate, e.g. -s optimizer.lr=..."
        )

    def _order(self, epoch: int) -> Tensor:
        """The training images' order in an epoch, a function of seed and epoch alone."""
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        return torch.randperm(len(self.data.images), generator=generator)

    def _autocast(self) -> AbstractContextManager[object]:
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        if self.recipe.train.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, kinds[self.recipe.train.precision])

    def _random(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def _restore_random(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def save(self) -> None:
        """Write ``last.safetensors``: all that :meth:`resume` needs, atomically."""
        state = {
            "recipe": self.recipe.hash,
            "seed": self.seed,
            "model": self.parts.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.parts.optimizer.state_dict(),
            "scheduler": self.parts.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": self._random(),
            "progress": dict(vars(self.progress)),
        }
        save_state(self.folder / "last.safetensors", state)

    def resume(self) -> bool:
        """Load ``last.safetensors`` if it is there; whether it was.

        Raises UsageError if it belongs to another recipe or seed.
        """
        path = self.folder / "last.safetensors"
        if not path.is_file():
            return False
        state = load_state(path)
        if (state["recipe"], state["seed"]) != (self.recipe.hash, self.seed):
            raise UsageError(f"{path} belongs to another recipe or seed; choose another folder")
        self.parts.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.parts.optimizer.load_state_dict(state["optimizer"])
        self.parts.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self._random_state = state["random"]
        self.progress = _Progress(**state["progress"])
        return True


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """Whole batches in ``images``. Raises UsageError if there is not one."""
    steps = images // recipe.budget.batch_size
    if not steps:
        raise UsageError(
            f"budget.batch_size is {recipe.budget.batch_size} but there are {images} training "
            f"images; use -s budget.batch_size={images} or less"
        )
    return steps
