"""The engine: trains a model on images that live on its device, or are read ahead of it.

Everything random is a function of the seed and the step, so that a resumed training ends where an
uninterrupted one does: bit for bit on the CPU. Nothing in the inner loop waits for the device,
except the steps of a few optimizers (docs/engine.md names them), and fp16's gradient scaler, which
asks whether to skip a step of an optimizer that is not fused.
"""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.engine import compiled, memory, norms
from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.average import Averaged
from oraclezoo.engine.checkpoint import load_optimizer, load_state, save_state
from oraclezoo.engine.device import exact_float32, synchronise
from oraclezoo.engine.distill import soften
from oraclezoo.engine.evaluate import accuracy_and_loss, probabilities, with_views
from oraclezoo.engine.flops import DTYPES, matrix_flops_per_s, pass_flops
from oraclezoo.engine.images import batches
from oraclezoo.engine.profile import Profiler, Unwatched, choose_window
from oraclezoo.engine.records import Epoch, Parts, Progress, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OutOfMemoryError,
    UsageError,
)
from oraclezoo.recipe import Recipe

__all__ = ["CHECKPOINT_EVERY_S", "Epoch", "Parts", "Trainer", "TrainingData", "steps_per_epoch"]

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY_S = 15.0


class Trainer:
    """One training. :meth:`fit` runs it, from a checkpoint if :meth:`resume` found one.

    ``compile`` is auto, on or off (see :mod:`oraclezoo.engine.compiled`); ``profile`` a folder for
    the trace of a few steps; ``say`` is told in a line what did not go as asked. With a ``teacher``
    (standardised images to logits, on the device) the loss is as the recipe's section distill says.
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
        compile: str = "auto",
        profile: Path | None = None,
        teacher: nn.Module | None = None,
        say: Callable[[str], None] = logger.warning,
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
        self.flips_views = recipe.evaluate.flip and data.flip_keeps_label
        self.ema = Averaged(parts.model, settings.ema) if settings.ema else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.progress = Progress()
        self._random_state: dict[str, Tensor] | None = None
        self.say, self.profile_folder, self.teacher = say, profile, teacher
        total = self.steps_per_epoch * recipe.budget.epochs
        self.compiled = compiled.wanted(compile, device, total)
        self.net: Callable[[Tensor], Tensor] = parts.model
        self.watch = Unwatched()

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
        raised. A loss that is no longer finite raises DivergedError, a batch that does not fit into
        memory OutOfMemoryError. Leaves ``last.safetensors`` and ``best.safetensors`` in the folder.
        """
        try:
            self._fit(on_epoch, should_stop)
            return
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold what fills the memory
        self.parts.optimizer.zero_grad(set_to_none=True)
        self.net = self.parts.model
        size = self.recipe.budget.batch_size
        raise OutOfMemoryError(memory.advice(size, self.device, self._dummy_pass))

    def _fit(self, on_epoch: Callable[[Epoch], None], should_stop: Callable[[], bool]) -> None:
        saved_at = time.monotonic()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), exact_float32():
            if self.step == 0:
                torch.manual_seed(derive(self.seed, "dropout"))
            elif self._random_state is not None:
                self._restore_random(self._random_state)
            if self.profile_folder is not None:
                self.watch = self._profiler(self.profile_folder)
            if self.compiled and self.progress.epoch < self.recipe.budget.epochs:
                self._compile()
            while self.progress.epoch < self.recipe.budget.epochs:
                if self._train_epoch(should_stop):
                    self.save()
                    raise InterruptedRunError(
                        f"stopped in epoch {self.progress.epoch + 1} of "
                        f"{self.recipe.budget.epochs}; the state is kept: run the same command "
                        "with --resume"
                    )
                on_epoch(self._close_epoch())
                done = self.progress.epoch == self.recipe.budget.epochs
                if done or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self.save()
                    saved_at = time.monotonic()

    def _train_epoch(self, should_stop: Callable[[], bool]) -> bool:
        """The rest of an epoch; whether it was stopped."""
        progress, data, size = self.progress, self.data, self.recipe.budget.batch_size
        model, optimizer, scheduler = self.parts.model, self.parts.optimizer, self.parts.scheduler
        order, stopped = self._order(progress.epoch), False
        model.train()
        if self.parts.train_eval:
            optimizer.train()  # type: ignore[attr-defined]  # declared by the fact train_eval
        start, before, watch = time.perf_counter(), progress.train_s, self.watch
        pairs = batches(data.images, data.labels, order, size, first=progress.step_in_epoch)
        with watch.epoch(self.step), closing(pairs):
            for raw, labels in pairs:
                with watch.span("augment"):
                    self.augment.reseed(derive(self.seed, "augment", self.step))
                    images = self._prepare(raw)
                loss = self._update(images, labels)
                with watch.span("optimizer"):
                    if not self.parts.metric_scheduler:
                        scheduler.step()
                    if self.ema is not None:
                        self.ema.update_parameters(model)
                progress.loss_sum = progress.loss_sum + loss.detach()
                progress.step_in_epoch += 1
                watch.step()
                stopped = should_stop()
                if stopped:
                    break
        synchronise(self.device)
        progress.train_s = before + time.perf_counter() - start
        return stopped

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        """One optimizer step; the loss of the batch, on the device."""
        optimizer, scaler, span = self.parts.optimizer, self.scaler, self.watch.span

        def closure() -> Tensor:
            self.progress.examples += len(labels)  # some optimizers evaluate it more than once
            optimizer.zero_grad(set_to_none=True)
            with span("forward"):
                loss = self._loss(self.net, images, labels)
            with span("backward"):
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own gap
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

    def _prepare(self, raw: Tensor) -> Tensor:
        return self.augment(raw).contiguous(memory_format=self.memory)

    def _loss(self, net: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        with self._autocast():
            logits = net(images)
        smoothing = self.recipe.loss.label_smoothing
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        if self.teacher is None:
            return loss
        with torch.no_grad(), self._autocast():
            taught = self.teacher(images)
        distill = self.recipe.distill
        return soften(loss, logits, taught, distill.weight, distill.temperature)

    def _blank(self, size: int) -> Tensor:
        """So many black images, prepared as for a step."""
        shape = (size, *self.data.images.shape[1:])
        return self._prepare(torch.zeros(shape, dtype=torch.uint8, device=self.device))

    def _dummy_pass(self, size: int, net: Callable[[Tensor], Tensor] | None = None) -> None:
        """A forward and a backward pass over blank images; no step."""
        labels = torch.zeros(size, dtype=torch.int64, device=self.device)
        self._loss(net or self.parts.model, self._blank(size), labels).backward()  # type: ignore[no-untyped-call]  # torch's own gap

    def _compile(self) -> None:
        """Compile and warm up, or go on without; the time taken counts as training."""
        start, model, size = time.perf_counter(), self.parts.model, self.recipe.budget.batch_size
        try:
            self.net = compiled.compile_and_warm_up(
                model, self.device, lambda net: self._dummy_pass(size, net)
            )
        except Exception as error:  # whatever torch.compile or a backbone may raise
            if memory.is_out_of_memory(error):
                raise
            self.compiled = False
            why = " ".join(str(error).split())[:120]
            self.say(f"not compiled, trained as it is: {type(error).__name__}: {why}")
        synchronise(self.device)
        took = time.perf_counter() - start
        self.progress.compile_s += took
        self.progress.train_s += took

    def _profiler(self, folder: Path) -> Profiler:
        total = self.steps_per_epoch * self.recipe.budget.epochs
        window = choose_window(self.step, self.steps_per_epoch, total)
        profiler = Profiler(folder, self.device, window)
        images = self._blank(self.recipe.budget.batch_size)
        profiler.flops_per_step = pass_flops(self.parts.model, images)
        dtype = DTYPES[self.recipe.train.precision]
        profiler.matrix_flops_per_s = matrix_flops_per_s(self.device, dtype)
        return profiler

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
            images_per_s=progress.epoch * images / (progress.train_s - progress.compile_s),
        )

    def _validate(self) -> None:
        progress, data = self.progress, self.data
        if self.parts.train_eval:
            self.parts.optimizer.eval()  # type: ignore[attr-defined]  # declared by the fact
            self._regather()
        scale = {"mean": data.mean, "std": data.std}
        probs = probabilities(
            with_views(self.kept, self.recipe.evaluate.shifts, flip=self.flips_views, **scale),
            data.validation_images,
            **scale,
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

    def _regather(self) -> None:
        """Batch norm's averages at the weights that are kept; the time counts as training."""
        start, size = time.perf_counter(), self.recipe.budget.batch_size
        order = self._order(self.progress.epoch)[: norms.BATCHES * size]

        def prepared() -> Iterator[Tensor]:
            with closing(batches(self.data.images, self.data.labels, order, size)) as pairs:
                for number, (raw, _) in enumerate(pairs):
                    self.augment.reseed(derive(self.seed, "norms", number))
                    yield self._prepare(raw)

        with self._autocast():
            norms.regather(self.kept, prepared())
        synchronise(self.device)
        self.progress.train_s += time.perf_counter() - start

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
        if self.recipe.train.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.recipe.train.precision])

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
        load_optimizer(self.parts.optimizer, state["optimizer"])
        self.parts.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self._random_state = state["random"]
        self.progress = Progress(**state["progress"])
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
