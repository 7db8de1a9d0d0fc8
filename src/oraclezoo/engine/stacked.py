"""Stacked training: S runs of one recipe with S seeds share forward and backward passes.

Each run keeps separate initial weights, data order, augmentation, optimizer, schedule, moving
average, checkpoint and best weights. The runs share the passes and, if the optimizer allows it, the
optimizer step. Times are for the complete stack and do not apply to a single run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing

import torch
from torch import Tensor, nn

from oraclezoo.engine.augment import standardize
from oraclezoo.engine.device import free_memory_bytes, synchronize
from oraclezoo.engine.faults import check_rates, check_start
from oraclezoo.engine.images import take
from oraclezoo.engine.loop import isolated, run_epochs
from oraclezoo.engine.records import Epoch, Parts, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.engine.stack import Merged, Stack, refusal
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError
from oraclezoo.recipe import Recipe

PROBE = 4
"""Number of images in the trial pass that tests whether two models can be stacked."""


class CannotStackError(Exception):
    """Raised if runs cannot be stacked and must be trained one by one; the message says why."""


class StackedTrainer:
    """Trains runs that are at the same step as a stack.

    Args:
        trainers: One trainer per seed, all with the same recipe and data.
        separable: Whether the optimizer's update of a parameter depends only on the parameter's
            gradient and state, so that one optimizer step can update all runs.
    """

    def __init__(self, trainers: Sequence[Trainer], *, separable: bool) -> None:
        self.trainers, self.separable = list(trainers), separable
        first = self.trainers[0]
        self.recipe, self.device, self.augment = first.recipe, first.device, first.inputs.augment
        self._on_epoch: Callable[[Trainer, Epoch], None] = lambda trainer, epoch: None
        self._on_diverged: Callable[[Trainer, DivergedError], None] | None = None
        self._on_step: Callable[[float], None] = lambda share: None
        self._stack()

    def _stack(self) -> None:
        """Stack the models of the remaining runs."""
        parts = [trainer.parts for trainer in self.trainers]
        objective = self.trainers[0].objective
        self.stack = Stack(
            [each.model for each in parts], objective.cross_entropy, objective.autocast
        )
        separate = parts[0].metric_scheduler or parts[0].train_eval or not self.separable
        self.merged = None if separate else Merged([each.optimizer for each in parts])

    def fit(
        self,
        *,
        on_epoch: Callable[[Trainer, Epoch], None] = lambda trainer, epoch: None,
        on_diverged: Callable[[Trainer, DivergedError], None] | None = None,
        on_step: Callable[[float], None] = lambda share: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train all runs to the end of the recipe's budget, as :meth:`Trainer.fit` does for one.

        Args:
            on_epoch: Called after each epoch with each run's trainer and metrics.
            on_diverged: Called with the trainer of a run that diverged and was removed from the
                stack, and the error. By default the error is raised.
            on_step: Called after each step with the finished share of the budget, from 0 to 1.
            should_stop: Called after each step; if it returns True, the state of all runs is saved
                and training ends.

        Raises:
            DivergedError: If a run diverged and ``on_diverged`` is None.
            InterruptedRunError: If ``should_stop`` returned True.
            CannotStackError: If the optimizer does not update parameters in place.
        """
        self._on_epoch, self._on_diverged, self._on_step = on_epoch, on_diverged, on_step
        for trainer in self.trainers:
            check_start(trainer.parts, self.recipe)
        with isolated(self.device):
            self.trainers[0].seed_random()
            run_epochs(self, should_stop)

    @property
    def done(self) -> bool:
        """Whether the budget is exhausted, or every run has diverged."""
        return all(trainer.done for trainer in self.trainers)

    def interruption(self) -> str:
        """Return the error message for a stack that is stopped early."""
        return (
            f"stopped in epoch {self.trainers[0].progress.epoch + 1} of "
            f"{self.recipe.budget.epochs}; the state of {len(self.trainers)} seeds is saved"
        )

    def train_epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train the remaining steps of an epoch.

        Args:
            should_stop: Called after each step; if it returns True, the epoch ends early.

        Returns:
            Whether the epoch ended early.
        """
        trainers, parts = self.trainers, [trainer.parts for trainer in self.trainers]
        for each in parts:
            each.model.train()
            if each.train_eval:
                each.optimizer.train()  # type: ignore[attr-defined]  # declared by the fact
        start, before = time.perf_counter(), trainers[0].progress.train_s
        sums: Tensor | float = 0.0
        steps = trainers[0].steps_per_epoch * self.recipe.budget.epochs
        stopped = False
        with closing(self._batches()) as pairs:
            for raw, labels in pairs:
                self.augment.reseed(*(derive(t.seed, "augment", t.step) for t in trainers))
                images = self.augment(raw).view(*labels.shape, 1, *raw.shape[1:])
                losses = self._update(images, labels)
                sums = sums + losses.detach()
                for trainer in trainers:
                    if not trainer.parts.metric_scheduler:
                        trainer.parts.scheduler.step()
                        check_rates(
                            trainer.parts.optimizer, self.recipe, f"after step {trainer.step + 1}"
                        )
                    if trainer.ema is not None:
                        trainer.ema.update_parameters(trainer.parts.model)
                    trainer.progress.step_in_epoch += 1
                    trainer.progress.examples += labels.shape[1]
                self._on_step(trainers[0].step / steps)
                stopped = should_stop()
                if stopped:
                    break
        self._record_steps(sums, start, before)
        return stopped

    def _batches(self) -> Generator[tuple[Tensor, Tensor]]:
        """Yield images ``(S * N, H, W)``, grouped by seed, and labels ``(S, N)`` for each step."""
        with ExitStack() as opened:
            each = [
                opened.enter_context(
                    closing(
                        trainer.inputs.batches(
                            trainer.progress.epoch, first=trainer.progress.step_in_epoch
                        )
                    )
                )
                for trainer in self.trainers
            ]
            for pairs in zip(*each, strict=True):
                images, labels = zip(*pairs, strict=True)
                yield torch.cat(images), torch.stack(labels)

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        """Perform one optimizer step in each run and return the losses ``(S,)``."""
        losses = self.stack.losses(images, labels)
        self.stack.backward(losses)
        if self.recipe.train.clip_norm:
            for trainer in self.trainers:
                nn.utils.clip_grad_norm_(
                    trainer.parts.model.parameters(), self.recipe.train.clip_norm
                )
        if self.merged is not None:
            self.merged.step()
        else:
            for trainer in self.trainers:
                trainer.parts.optimizer.step()
        return losses

    def _record_steps(self, sums: Tensor | float, start: float, before: float) -> None:
        """Add the time since ``start`` and the summed losses ``(S,)`` to each run's progress."""
        synchronize(self.device)
        elapsed_s = before + time.perf_counter() - start
        for index, trainer in enumerate(self.trainers):
            trainer.progress.train_s = elapsed_s
            if isinstance(sums, Tensor):
                trainer.progress.loss_sum = trainer.progress.loss_sum + sums[index]

    def end_epoch(self) -> None:
        """Validate each run, and remove diverged runs from the stack.

        Raises:
            CannotStackError: If the optimizer has replaced the parameters.
        """
        if not self.stack.is_bound():
            raise CannotStackError("its optimizer replaces parameters instead of updating them")
        remaining = []
        for trainer in self.trainers:
            try:
                self._on_epoch(trainer, trainer.close_epoch())
            except DivergedError as error:
                if self._on_diverged is None:
                    raise
                self._on_diverged(trainer, error)
            else:
                remaining.append(trainer)
        if len(remaining) < len(self.trainers):
            self._split_optimizer()
            self.trainers = remaining
            if remaining:
                self._stack()

    def _split_optimizer(self) -> None:
        """Copy the state of the merged optimizer back to each run's optimizer."""
        if self.merged is not None:
            self.merged.give_back()

    def save(self) -> None:
        """Write a checkpoint for each run."""
        self._split_optimizer()
        for trainer in self.trainers:
            trainer.save()


def unfit(recipe: Recipe, parts: Parts) -> str:
    """Return the reason why runs of a recipe cannot be stacked.

    Args:
        recipe: The resolved recipe.
        parts: Model, optimizer and scheduler of a run.

    Returns:
        The reason, or "" if there is none.
    """
    if parts.needs_closure:
        return "its optimizer needs a closure"
    if recipe.pretrain.epochs:
        return "it pre-trains its model"
    if recipe.distill.teachers:
        return "it uses distillation from teachers"
    if recipe.train.precision == "fp16":
        return "fp16 scales gradients separately for each seed"
    return ""


def check(trainers: Sequence[Trainer]) -> None:
    """Test on a few images whether runs can be stacked.

    Args:
        trainers: The trainers of the runs.

    Raises:
        CannotStackError: If the runs cannot be stacked; the message says why.
    """
    first = trainers[0]
    reason = unfit(first.recipe, first.parts)
    if not reason and len(trainers) > 1:
        with isolated(first.device):
            images = torch.stack([_sample(first.data, PROBE), _sample(first.data, PROBE).flip(0)])
            reason = refusal([trainer.parts.model for trainer in trainers[:2]], images)
    if reason:
        raise CannotStackError(reason)


def fitting(trainer: Trainer, share: float = 0.5) -> int:
    """Estimate how many runs fit into memory as a stack.

    Each run is estimated to need twice the memory of the activations that a batch stores for the
    backward pass (once for the activations and once for their gradients), plus five copies of the
    weights (stack, gradients, optimizer state, moving average).

    Args:
        trainer: The trainer of one run.
        share: Fraction of the free memory to use.

    Returns:
        The number of runs, at least 1.
    """
    images = _sample(trainer.data, 2)
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.dim() and tensor.shape[0] in (len(images), 1):  # not a weight
            storage = tensor.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = trainer.parts.model
    training = model.training
    model.eval()  # keeps the running statistics
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = model(images)
        del logits
    finally:
        model.train(training)
    activations = sum(saved.values()) * trainer.recipe.budget.batch_size // len(images)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    free = share * free_memory_bytes(trainer.device)
    return max(1, int(free // (2 * activations + 5 * weights)))


def _sample(data: TrainingData, count: int) -> Tensor:
    """Return the first ``count`` images, standardized; they repeat if there are fewer."""
    rows = torch.arange(count) % len(data.images)
    return standardize(take(data.images, rows), data.mean, data.std)
