"""Trainer: fits a model to images that are in device memory or are streamed to the device.

All random numbers are functions of the seed and the step, so a resumed run ends with the same
weights as an uninterrupted one (bit for bit on the CPU). The inner loop does not synchronize with
the device, except in the steps of a few optimizers (docs/how-to/train/engine.md) and in fp16's
gradient scaler with an optimizer that is not fused.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor, nn

from oraclezoo.engine import compiled, memory, norms
from oraclezoo.engine.average import Averaged
from oraclezoo.engine.checkpoint import RESUMED, load_checkpoint, load_optimizer, save_state
from oraclezoo.engine.device import synchronize
from oraclezoo.engine.evaluate import validation_metrics
from oraclezoo.engine.faults import check_rates, check_start, check_state, diverged
from oraclezoo.engine.inputs import Inputs
from oraclezoo.engine.loop import isolated, run_epochs
from oraclezoo.engine.objective import Objective
from oraclezoo.engine.profile import Profiler, Unwatched, choose_window
from oraclezoo.engine.records import Epoch, Parts, Progress, TrainerOptions, TrainingData
from oraclezoo.engine.seeds import derive, random_state, restore_random_state
from oraclezoo.errors import OutOfMemoryError, UsageError
from oraclezoo.recipe import Recipe


class Trainer:
    """One training run with one seed.

    Call :meth:`fit` to train; call :meth:`resume` first to continue from a checkpoint.

    Args:
        recipe: A resolved recipe.
        parts: Model, optimizer and scheduler of the recipe, on ``device``.
        data: Training and validation images, on ``device`` or streamed to it.
        seed: Seed for data order, augmentation and dropout.
        device: Device to train on.
        folder: Folder for checkpoints.
        options: Settings of compilation, profiling and distillation.
    """

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        data: TrainingData,
        *,
        seed: int,
        device: torch.device,
        folder: Path,
        options: TrainerOptions | None = None,
    ) -> None:
        options = options or TrainerOptions()
        self.recipe, self.parts, self.data = recipe, parts, data
        self.seed, self.device, self.folder = seed, device, folder
        self.inputs = Inputs(recipe, data, seed, device)
        self.steps_per_epoch = self.inputs.steps_per_epoch
        settings = recipe.train
        if parts.needs_closure and settings.precision == "fp16":
            raise UsageError(
                "train.precision fp16 does not work with an optimizer that needs a closure; "
                "use bf16 or fp32"
            )
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.ema = Averaged(parts.model, settings.ema) if settings.ema else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.progress = Progress()
        self.objective = Objective(recipe, device, options.teacher)
        self.warn, self.profile_folder = options.warn, options.profile
        total = self.steps_per_epoch * recipe.budget.epochs
        self.compiled = compiled.wanted(options.compile, device, total)
        self.net: Callable[[Tensor], Tensor] = parts.model
        self.watch = Unwatched()
        self._random_state: dict[str, Tensor] | None = None
        self._on_epoch: Callable[[Epoch], None] = lambda epoch: None
        self._on_step: Callable[[float], None] = lambda share: None

    @property
    def kept(self) -> nn.Module:
        """The module to evaluate: the moving average if the recipe uses one, else the model."""
        return self.parts.model if self.ema is None else self.ema.module

    @property
    def step(self) -> int:
        """Number of optimizer steps taken so far."""
        return self.progress.epoch * self.steps_per_epoch + self.progress.step_in_epoch

    @property
    def done(self) -> bool:
        """Whether the recipe's budget is exhausted."""
        return self.progress.epoch >= self.recipe.budget.epochs

    def fit(
        self,
        *,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[float], None] = lambda share: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train to the end of the recipe's budget.

        Writes ``last.safetensors`` and ``best.safetensors`` to the run's folder.

        Args:
            on_epoch: Called with the metrics of each epoch.
            on_step: Called after each step with the finished share of the budget, from 0 to 1.
            should_stop: Called after each step; if it returns True, the state is saved and the run
                ends.

        Raises:
            InterruptedRunError: ``should_stop`` returned True.
            DivergedError: The loss is no longer finite.
            OutOfMemoryError: A batch does not fit into memory.
        """
        self._on_epoch, self._on_step = on_epoch, on_step
        try:
            with isolated(self.device):
                self._begin()
                run_epochs(self, should_stop)
            return
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # frames keep tensors alive
        self.parts.optimizer.zero_grad(set_to_none=True)
        self.net = self.parts.model
        size = self.recipe.budget.batch_size
        raise OutOfMemoryError(memory.advice(size, self.device, self.dummy_pass))

    def seed_random(self) -> None:
        """Seed torch's generators (used by dropout), or restore the checkpoint's random state."""
        if self.step == 0:
            torch.manual_seed(derive(self.seed, "dropout"))
        elif self._random_state is not None:
            restore_random_state(self._random_state, self.device)

    def _begin(self) -> None:
        check_start(self.parts, self.recipe)
        self.seed_random()
        if self.profile_folder is not None:
            total = self.steps_per_epoch * self.recipe.budget.epochs
            window = choose_window(self.step, self.steps_per_epoch, total)
            profiler = Profiler(self.profile_folder, self.device, window)
            images = self.inputs.blank(self.recipe.budget.batch_size)
            profiler.count_flops(self.parts.model, images, self.recipe.train.precision)
            self.watch = profiler
        if self.compiled and not self.done:
            self._compile()

    def interruption(self) -> str:
        """Return the error message for a run that is stopped early."""
        return (
            f"stopped in epoch {self.progress.epoch + 1} of {self.recipe.budget.epochs}; "
            "the state is saved; run the same command with --resume to continue"
        )

    def end_epoch(self) -> None:
        """Validate the epoch and report its metrics."""
        self._on_epoch(self.close_epoch())

    def train_epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train the remaining steps of an epoch; return True if ``should_stop`` ended it early."""
        progress = self.progress
        model, optimizer, scheduler = self.parts.model, self.parts.optimizer, self.parts.scheduler
        stopped = False
        model.train()
        if self.parts.train_eval:
            optimizer.train()  # type: ignore[attr-defined]  # declared by train_eval
        start, before, watch = time.perf_counter(), progress.train_s, self.watch
        steps = self.steps_per_epoch * self.recipe.budget.epochs
        pairs = self.inputs.batches(progress.epoch, first=progress.step_in_epoch)
        with watch.epoch(self.step), closing(pairs):
            for raw, labels in pairs:
                with watch.span("augment"):
                    images = self.inputs.prepare(raw, "augment", self.step)
                loss = self._update(images, labels)
                with watch.span("optimizer"):
                    if not self.parts.metric_scheduler:
                        scheduler.step()
                        check_rates(optimizer, self.recipe, f"after step {self.step + 1}")
                    if self.ema is not None:
                        self.ema.update_parameters(model)
                progress.loss_sum = progress.loss_sum + loss.detach()
                progress.step_in_epoch += 1
                if self.step == 1:  # most optimizers initialize their state in the first step
                    check_state(self.parts, self.recipe)
                watch.step()
                self._on_step(self.step / steps)
                stopped = should_stop()
                if stopped:
                    break
        synchronize(self.device)
        progress.train_s = before + time.perf_counter() - start
        return stopped

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        """Perform one optimizer step and return the batch's loss, on the device."""
        optimizer, scaler, span = self.parts.optimizer, self.scaler, self.watch.span

        def closure() -> Tensor:
            self.progress.examples += len(labels)  # some optimizers call the closure repeatedly
            optimizer.zero_grad(set_to_none=True)
            with span("forward"):
                loss = self.objective(self.net, images, labels)
            with span("backward"):
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # untyped in torch
            if self.recipe.train.clip_norm:
                scaler.unscale_(optimizer)
                parameters = self.parts.model.parameters()
                nn.utils.clip_grad_norm_(parameters, self.recipe.train.clip_norm)
            return loss

        if self.parts.needs_closure:
            with span("optimizer"):
                return optimizer.step(closure)  # type: ignore[arg-type,return-value]  # typed as float
        loss = closure()
        with span("optimizer"):
            scaler.step(optimizer)
            scaler.update()
        return loss

    def dummy_pass(self, size: int, net: Callable[[Tensor], Tensor] | None = None) -> None:
        """Run a forward and a backward pass on ``size`` black images, without an optimizer step."""
        labels = torch.zeros(size, dtype=torch.int64, device=self.device)
        self.objective(net or self.parts.model, self.inputs.blank(size), labels).backward()  # type: ignore[no-untyped-call]  # untyped in torch

    def _compile(self) -> None:
        """Compile and warm up the model, or fall back to eager mode; counts as training time."""
        start, model, size = time.perf_counter(), self.parts.model, self.recipe.budget.batch_size
        try:
            self.net = compiled.compile_and_warm_up(
                model, self.device, lambda net: self.dummy_pass(size, net)
            )
        except Exception as error:  # torch.compile and backbones may raise any error
            if memory.is_out_of_memory(error):
                raise
            self.compiled = False
            reason = " ".join(str(error).split())[:120]
            self.warn(f"training without torch.compile: {type(error).__name__}: {reason}")
        synchronize(self.device)
        elapsed_s = time.perf_counter() - start
        self.progress.compile_s += elapsed_s
        self.progress.train_s += elapsed_s

    def close_epoch(self) -> Epoch:
        """Check the loss, validate, save the best weights and advance to the next epoch.

        Returns:
            The metrics of the epoch.

        Raises:
            DivergedError: The training or validation loss is not finite.
        """
        progress = self.progress
        images = self.steps_per_epoch * self.recipe.budget.batch_size
        train_loss = float(progress.loss_sum) / self.steps_per_epoch
        progress.epoch, progress.step_in_epoch, progress.loss_sum = progress.epoch + 1, 0, 0.0
        if not math.isfinite(train_loss):
            raise diverged(f"the loss is {train_loss}", progress.epoch)
        validated = (
            progress.epoch % self.recipe.train.evaluate_every == 0
            or progress.epoch == self.recipe.budget.epochs
            or self.parts.metric_scheduler
        )
        if validated:
            self._validate()
        held_out = validated and not self.recipe.data.refit  # refit trains on these images
        return Epoch(
            epoch=progress.epoch,
            step=self.step,
            lr=float(self.parts.optimizer.param_groups[0]["lr"]),
            train_loss=train_loss,
            validation_loss=progress.validation_loss if held_out else None,
            validation_accuracy=progress.validation_accuracy if held_out else None,
            train_s=progress.train_s,
            images_per_s=progress.epoch * images / (progress.train_s - progress.compile_s),
        )

    def _validate(self) -> None:
        progress = self.progress
        if self.parts.train_eval:
            self.parts.optimizer.eval()  # type: ignore[attr-defined]  # declared by the fact
            self.regather_norms()
        accuracy, loss = validation_metrics(self.kept, self.recipe, self.data)
        if not math.isfinite(loss):  # the last step of an epoch can make the weights diverge
            raise diverged(f"the validation loss is {loss}", progress.epoch)
        progress.validation_accuracy, progress.validation_loss = accuracy, loss
        if self.parts.metric_scheduler:
            self.parts.scheduler.step(loss)
            check_rates(self.parts.optimizer, self.recipe, f"after epoch {progress.epoch}")
        if [accuracy, -loss] > progress.best:
            progress.best, progress.best_epoch = [accuracy, -loss], progress.epoch
            save_state(self.folder / "best.safetensors", {"model": self.kept.state_dict()})

    def regather_norms(self) -> None:
        """Recompute batch norm statistics of :attr:`kept`; the time counts as training time."""
        start = time.perf_counter()

        def prepared() -> Iterator[Tensor]:
            pairs = self.inputs.batches(self.progress.epoch, limit=norms.BATCHES)
            with closing(pairs):
                for number, (raw, _) in enumerate(pairs):
                    yield self.inputs.prepare(raw, "norms", number)

        with self.objective.autocast():
            norms.regather(self.kept, prepared())
        synchronize(self.device)
        self.progress.train_s += time.perf_counter() - start

    def save(self) -> None:
        """Atomically write ``last.safetensors``, which :meth:`resume` reads."""
        state = {
            "recipe": self.recipe.hash,
            "seed": self.seed,
            "model": self.parts.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.parts.optimizer.state_dict(),
            "scheduler": self.parts.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": random_state(self.device),
            "progress": dict(vars(self.progress)),
        }
        save_state(self.folder / "last.safetensors", state)

    def resume(self) -> bool:
        """Load ``last.safetensors`` if it exists; return whether it does.

        Raises:
            UsageError: The checkpoint belongs to a different recipe or seed.
            ResultError: The checkpoint cannot be read.
        """
        path = self.folder / "last.safetensors"
        if not path.is_file():
            return False
        state = load_checkpoint(path, *RESUMED)
        if (state["recipe"], state["seed"]) != (self.recipe.hash, self.seed):
            raise UsageError(f"{path} belongs to a different recipe or seed; choose another folder")
        self.parts.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        load_optimizer(self.parts.optimizer, state["optimizer"])
        self.parts.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self._random_state = state["random"]
        self.progress = Progress(**state["progress"])
        return True
