"""Together: S trainings of one recipe, at S seeds, as one loop on one device.

Each keeps its own initial weights, data order, augmentation, optimizer, schedule, averaged weights,
checkpoint and best weights; what they share is the passes and, where the optimizer allows, the
step. Times mean nothing here: they are those of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.engine.augment import standardise
from oraclezoo.engine.device import exact_float32, free_memory_bytes, synchronise
from oraclezoo.engine.images import batches, take
from oraclezoo.engine.records import Epoch, Parts, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.engine.stack import Merged, Stack, refusal
from oraclezoo.engine.trainer import CHECKPOINT_EVERY_S, Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError
from oraclezoo.recipe import Recipe

PROBE = 4
"""Images that each of two models is shown to see whether they can be stacked."""


class CannotStackError(Exception):
    """These trainings are to be run one by one; the message says why."""


class Together:
    """Trainings that stand at one step, as one. :meth:`fit` runs them to the end.

    ``trainers`` are as for lone runs, of one recipe and the same data. ``separable``: the optimizer
    updates each parameter by its own gradient and state alone, so that one step can serve all.
    """

    def __init__(self, trainers: Sequence[Trainer], *, separable: bool) -> None:
        self.trainers, self.separable = list(trainers), separable
        first = self.trainers[0]
        self.recipe, self.device, self.augment = first.recipe, first.device, first.augment
        self._stack()

    def _stack(self) -> None:
        """Stack the models of the trainings that are left."""
        smoothing = self.recipe.loss.label_smoothing
        parts = [trainer.parts for trainer in self.trainers]
        self.stack = Stack(
            [each.model for each in parts],
            lambda logits, labels: F.cross_entropy(
                logits.float(), labels, label_smoothing=smoothing
            ),
            self.trainers[0]._autocast,
        )
        apart = parts[0].metric_scheduler or parts[0].train_eval or not self.separable
        self.merged = None if apart else Merged([each.optimizer for each in parts])

    def fit(
        self,
        *,
        on_epoch: Callable[[Trainer, Epoch], None] = lambda trainer, epoch: None,
        on_diverged: Callable[[Trainer, DivergedError], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train all to the end of the recipe's budget, as :meth:`Trainer.fit` does one.

        A training that diverges is told to ``on_diverged`` and left out from then on; without that
        its error is raised. Raises InterruptedRunError, with the state of all kept, and
        CannotStackError if the optimizer does not update parameters in place.
        """
        saved_at = time.monotonic()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), exact_float32():
            first = self.trainers[0]
            if first.step == 0:
                torch.manual_seed(derive(first.seed, "dropout"))
            elif first._random_state is not None:
                first._restore_random(first._random_state)
            while self.trainers and self.trainers[0].progress.epoch < self.recipe.budget.epochs:
                self._train_epoch(should_stop)
                if not self.stack.is_bound():
                    raise CannotStackError("its optimizer puts other parameters in place")
                self._close_epoch(on_epoch, on_diverged)
                done = all(t.progress.epoch == self.recipe.budget.epochs for t in self.trainers)
                if done or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self._save()
                    saved_at = time.monotonic()

    def _train_epoch(self, should_stop: Callable[[], bool]) -> None:
        trainers, parts = self.trainers, [trainer.parts for trainer in self.trainers]
        for each in parts:
            each.model.train()
            if each.train_eval:
                each.optimizer.train()  # type: ignore[attr-defined]  # declared by the fact
        start, before = time.perf_counter(), trainers[0].progress.train_s
        sums: Tensor | float = 0.0
        with closing(self._batches()) as pairs:
            for raw, labels in pairs:
                self.augment.reseed(*(derive(t.seed, "augment", t.step) for t in trainers))
                images = self.augment(raw).view(*labels.shape, 1, *raw.shape[1:])
                losses = self._update(images, labels)
                sums = sums + losses.detach()
                for trainer in trainers:
                    if not trainer.parts.metric_scheduler:
                        trainer.parts.scheduler.step()
                    if trainer.ema is not None:
                        trainer.ema.update_parameters(trainer.parts.model)
                    trainer.progress.step_in_epoch += 1
                    trainer.progress.examples += labels.shape[1]
                if should_stop():
                    self._note(sums, start, before)
                    self._save()
                    raise InterruptedRunError(
                        f"stopped in epoch {trainers[0].progress.epoch + 1} of "
                        f"{self.recipe.budget.epochs}; the state of {len(trainers)} seeds is kept"
                    )
        self._note(sums, start, before)

    def _batches(self) -> Generator[tuple[Tensor, Tensor]]:
        """Images ``(S * N, H, W)``, seed after seed, and labels ``(S, N)`` of each step."""
        data, size = self.trainers[0].data, self.recipe.budget.batch_size
        with ExitStack() as opened:
            each = [
                opened.enter_context(
                    closing(
                        batches(
                            data.images,
                            data.labels,
                            trainer._order(trainer.progress.epoch),
                            size,
                            first=trainer.progress.step_in_epoch,
                        )
                    )
                )
                for trainer in self.trainers
            ]
            for pairs in zip(*each, strict=True):
                images, labels = zip(*pairs, strict=True)
                yield torch.cat(images), torch.stack(labels)

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        """One optimizer step of each; the losses ``(S,)``."""
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

    def _note(self, sums: Tensor | float, start: float, before: float) -> None:
        """Give each training what the steps since ``start`` have come to."""
        synchronise(self.device)
        spent = before + time.perf_counter() - start
        for index, trainer in enumerate(self.trainers):
            trainer.progress.train_s = spent
            if isinstance(sums, Tensor):
                trainer.progress.loss_sum = trainer.progress.loss_sum + sums[index]

    def _close_epoch(
        self,
        on_epoch: Callable[[Trainer, Epoch], None],
        on_diverged: Callable[[Trainer, DivergedError], None] | None,
    ) -> None:
        left = []
        for trainer in self.trainers:
            try:
                on_epoch(trainer, trainer._close_epoch())
            except DivergedError as error:
                if on_diverged is None:
                    raise
                on_diverged(trainer, error)
            else:
                left.append(trainer)
        if len(left) < len(self.trainers):
            self._give_back()
            self.trainers = left
            if left:
                self._stack()

    def _give_back(self) -> None:
        if self.merged is not None:
            self.merged.give_back()

    def _save(self) -> None:
        self._give_back()
        for trainer in self.trainers:
            trainer.save()


def unfit(recipe: Recipe, parts: Parts) -> str:
    """Why trainings of these parts cannot be stacked, or "" if they may be: what needs no trial."""
    if parts.needs_closure:
        return "its optimizer needs a closure"
    if recipe.pretrain.epochs:
        return "it pre-trains its net"
    if recipe.distill.teachers:
        return "it learns from teachers"
    if recipe.train.precision == "fp16":
        return "fp16 scales the gradients of each seed apart"
    return ""


def check(trainers: Sequence[Trainer]) -> None:
    """Raise CannotStackError unless these trainings can be one; tried on their first images."""
    first = trainers[0]
    reason = unfit(first.recipe, first.parts)
    if not reason and len(trainers) > 1:
        devices = [first.device] if first.device.type == "cuda" else []
        with torch.random.fork_rng(devices), exact_float32():
            images = torch.stack([_sample(first.data, PROBE), _sample(first.data, PROBE).flip(0)])
            reason = refusal([trainer.parts.model for trainer in trainers[:2]], images)
    if reason:
        raise CannotStackError(reason)


def fitting(trainer: Trainer, share: float = 0.5) -> int:
    """How many such trainings fit into ``share`` of the memory that is free; at least one.

    Counted for each: what a pass over a batch keeps for its backward pass, once more for the
    gradients of it, and five copies of the weights (the stack, gradients, optimizer state, averaged
    weights).
    """
    images = _sample(trainer.data, 2)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.dim() and tensor.shape[0] in (len(images), 1):  # not a weight
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = trainer.parts.model
    training = model.training
    model.eval()  # running averages stay as they are
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = model(images)
        del logits
    finally:
        model.train(training)
    activations = sum(kept.values()) * trainer.recipe.budget.batch_size // len(images)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    free = share * free_memory_bytes(trainer.device)
    return max(1, int(free // (2 * activations + 5 * weights)))


def _sample(data: TrainingData, count: int) -> Tensor:
    """The first images, standardised, over and over if there are fewer."""
    rows = torch.arange(count) % len(data.images)
    return standardise(take(data.images, rows), data.mean, data.std)
