"""Steps of a pruning job: each selects and removes channels, then fine-tunes the model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from oraclezoo.artifacts.load import assemble
from oraclezoo.artifacts.model import Model
from oraclezoo.compression.channels.coupled import Coupled, coupled
from oraclezoo.compression.channels.importance import score
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.compression.channels.strength import find
from oraclezoo.contracts import Dataset
from oraclezoo.engine.augment import standardize
from oraclezoo.engine.records import Callbacks, Checkpoint, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.pruning.cost import Cost, cost
from oraclezoo.pruning.options import Cut, PruneReport, Pruning
from oraclezoo.pruning.workspace import Start, read_start, write_start
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.finetune import FineTuned, Tuning, finetune

TAYLOR_IMAGES, TAYLOR_BATCH = 1000, 100
"""Number of training images for importance measure taylor, and the batch size."""


@dataclass(frozen=True)
class Steps:
    """The steps of a pruning job, with their inputs.

    ``data`` and ``recipe`` are inputs of fine-tuning; they are None without fine-tuning. ``work``
    is the working directory; with ``resume``, the job resumes from the files in it.
    """

    before: Model
    pruning: Pruning
    tuning: Tuning
    dataset: Dataset
    data: TrainingData | None
    recipe: Recipe | None
    registry: Registry
    work: Path
    resume: bool
    callbacks: Callbacks

    def run(self) -> tuple[Model, PruneReport]:
        """Run all steps; return the pruned and fine-tuned model, and the report for its receipt."""
        pruning, model = self.pruning, self.before
        relative_cost = cost(self.before, pruning.what, pruning.runtime, pruning.setting)
        starts, fine_tuned = list[Start](), list[FineTuned]()
        tuned_epochs = 0
        for number, epochs in enumerate(_split(self.tuning.epochs, pruning.steps), 1):
            folder = self.work / f"step-{number}"
            start = read_start(folder) if self.resume else None
            if start is None:
                target = pruning.target ** (number / pruning.steps)
                start = self._choose(model, target, relative_cost)
                write_start(folder, start)
            starts.append(start)
            self.callbacks.say(
                f"step {number} of {pruning.steps}: {start.cut.reached:.3f} of the original "
                f"{pruning.what}"
            )
            card = replace(model.card, calibration=None, plan=start.plan.to_json())
            model = assemble(card, start.state, self.registry, "the pruned model")
            if epochs:
                spans = tuned_epochs, tuned_epochs + epochs
                callbacks = self.callbacks.within(*(span / self.tuning.epochs for span in spans))
                state, cost_of_tuning = self._finetune(
                    model.module, epochs, number, Checkpoint(folder, self.resume), callbacks
                )
                tuned_epochs += epochs
                fine_tuned.append(cost_of_tuning)
                model = assemble(card, state, self.registry, "the pruned model")
        return model, PruneReport(pruning, self.tuning, starts[-1].cut, tuple(fine_tuned))

    def _choose(self, model: Model, target: float, relative_cost: Cost) -> Start:
        """Select and remove the channels for one step. Raises UsageError if that is impossible."""
        shape, pruning = model.card.input, self.pruning
        image = torch.zeros(1, shape.in_chans, shape.image_size, shape.image_size)
        coupling = coupled(model.module, image)
        if not coupling.groups:
            raise UsageError(f"nothing can be pruned: {_reasons(coupling)}")
        scores = score(
            pruning.importance, model.module, coupling.groups, self._batches(), pruning.seed
        )
        if all(values is None for values in scores):
            raise UsageError(
                f"importance {pruning.importance} cannot score this backbone: choose another"
            )
        attends = any(hasattr(layer, "num_heads") for layer in model.module.modules())
        scope = pruning.scope or ("isomorphic" if attends else "uniform")
        try:
            best = find(
                model.module,
                coupling.groups,
                scores,
                target=target,
                cost=relative_cost,
                scope=scope,
                round_to=pruning.round_to,
            )
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            text = " ".join(str(error).split())[:120]
            raise UsageError(
                f"this backbone fails after channels are removed ({type(error).__name__}: {text})"
            ) from error
        unscored = [g.name for g, s in zip(coupling.groups, scores, strict=True) if s is None]
        reason = f"{pruning.importance} does not score it"
        unpruned = coupling.whole | dict.fromkeys(unscored, reason)
        earlier = None if model.card.plan is None else Plan.from_json(model.card.plan)
        plan = best.plan if earlier is None else earlier.then(best.plan)
        pruned = best.plan.apply(copy.deepcopy(model.module))
        state = {key: value.detach().clone() for key, value in pruned.state_dict().items()}
        return Start(plan, Cut(scope, best.strength, best.cost, unpruned), state)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield standardized training images with labels, for importance measure taylor."""
        part, scale = self.dataset.split("train"), self.before.card.preprocessing
        generator = np.random.default_rng(derive(self.pruning.seed, "importance"))
        rows = generator.permutation(len(part.labels))[:TAYLOR_IMAGES].astype(np.int64)
        for batch in np.split(rows, range(TAYLOR_BATCH, len(rows), TAYLOR_BATCH)):
            images = torch.from_numpy(np.ascontiguousarray(part.images[batch]))
            labels = torch.from_numpy(np.asarray(part.labels[batch]).astype(np.int64))
            yield standardize(images, scale.mean, scale.std), labels

    def _finetune(
        self,
        module: nn.Module,
        epochs: int,
        number: int,
        checkpoint: Checkpoint,
        callbacks: Callbacks,
    ) -> tuple[dict[str, Tensor], FineTuned]:
        assert self.recipe is not None
        assert self.data is not None
        return finetune(
            module,
            resolve(self.recipe.override({"budget.epochs": epochs}), self.registry),
            self.data,
            self.registry,
            seed=derive(self.pruning.seed, "fine-tuning", number) % 2**31,
            checkpoint=checkpoint,
            teacher=self.before.module if self.tuning.distill else None,
            callbacks=callbacks,
        )


def _split(epochs: int, steps: int) -> list[int]:
    """Divide the epochs evenly among the steps; the last step gets the remainder."""
    return [epochs // steps] * (steps - 1) + [epochs - epochs // steps * (steps - 1)]


def _reasons(coupling: Coupled) -> str:
    unpruned = list(coupling.whole.items())[:3]
    return "; ".join(f"{name}: {reason}" for name, reason in unpruned) or "no prunable layers"
