"""Fine-tuning: a model with changed weights is trained on, by its own recipe made milder."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.artifacts import build
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.records import Epoch, TrainingData
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe, shipped
from oraclezoo.recipe.resolve import resolve

logger = logging.getLogger(__name__)

LR_SCALE = 1.0
"""Learning rates of a fine-tuning, as a share of the recipe's own.

The recipe's own again, as in learning rate rewinding (Renda et al. 2020, arXiv:2003.02389): in
folds (``benchmarks/finetuning.py``), half of them lose more, the more was pruned.
"""


@dataclass(frozen=True)
class Tuning:
    """How a model is fine-tuned: passes over the training images, and changes of the recipe.

    ``distill`` is the share of the loss that goes by the labels of the teacher at ``temperature``;
    0 has none.
    """

    epochs: int
    lr_scale: float = LR_SCALE
    distill: float = 0.0
    temperature: float = 2.0


def recipe_of(source: Model | Run | str | Path, model: Model, registry: Registry) -> Recipe:
    """The recipe that a model was trained by, opened from ``source``.

    A run has it. A card has it or, of a recipe that ships with oraclezoo, its name and hash. Raises
    UsageError where nothing tells.
    """
    if isinstance(source, Run):
        return source.recipe
    if isinstance(source, (str, Path)) and (Path(source) / "run.json").is_file():
        return Run.load(source).recipe
    if "recipe" in model.card:
        return Recipe.from_dict(model.card["recipe"])
    origin = model.card.get("provenance", {})
    name = origin.get("recipe", {}).get("name")
    track = origin.get("components", {}).get("dataset", {}).get("name")
    if name in shipped() and track:
        found = resolve(Recipe.load(name, {"data.track": track}), registry)
        if found.hash == origin["recipe"].get("hash"):
            return found
    raise UsageError(
        "the model does not tell the recipe it was trained by: give the folder of its run, or a "
        "recipe to fine-tune by (--recipe), or no epochs (--epochs 0)"
    )


def milder(recipe: Recipe, tuning: Tuning, registry: Registry) -> Recipe:
    """The recipe of a fine-tuning: the model's own, with these changes.

    All learning rates of the optimizer times ``lr_scale``, falling linearly to nothing (constant
    for an optimizer that needs no schedule); its own epochs; training images only, no pre-training,
    and no other teacher than the one given.
    """
    resolved = resolve(recipe, registry)
    optimizer = resolved.optimizer
    free = registry.get("optimizer", optimizer.name).spec.facts.get("train_eval")
    changes: dict[str, object] = {
        f"optimizer.{key}": tuning.lr_scale * value
        for key, value in optimizer.options.items()
        if (key == "lr" or key.endswith("_lr")) and isinstance(value, float)
    }
    changes |= {
        "scheduler.name": "constant" if free else "linear",
        "budget.epochs": tuning.epochs,
        "data.refit": False,
        "pretrain.epochs": 0,
        "distill.teachers": 0,
        "distill.weight": tuning.distill,
        "distill.temperature": tuning.temperature,
    }
    return resolve(resolved.override(changes), registry)


def images_for(
    model: Model, recipe: Recipe, dataset: Dataset, device: torch.device
) -> TrainingData:
    """Training and validation images on the device, standardised as the model's card says."""
    limit = stream_limit(None, device)
    data = build.training_data(recipe, dataset, device, limit)
    scale = model.card["preprocessing"]
    return dataclasses.replace(data, mean=scale["mean"], std=scale["std"])


def finetune(
    module: nn.Module,
    recipe: Recipe,
    data: TrainingData,
    registry: Registry,
    *,
    folder: Path,
    seed: int,
    resume: bool,
    teacher: nn.Module | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = logger.warning,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Train a copy of ``module`` by a recipe from :func:`milder`; its state, and what it took.

    The state lies on the CPU. ``folder`` keeps the checkpoint from which ``resume`` goes on; an
    InterruptedRunError leaves one there. The teacher is used as it is, without gradients.
    """
    device = data.images.device
    net = copy.deepcopy(module).to(device)
    if teacher is not None:
        teacher = copy.deepcopy(teacher).requires_grad_(False).eval().to(device)
    if recipe.train.channels_last:
        for each in (net, teacher):
            if each is not None:
                each.to(memory_format=torch.channels_last)
    parts = build.build_steppers(recipe, registry, data, net)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        recipe, parts, data, seed=seed, device=device, folder=folder, teacher=teacher, say=say
    )
    if resume:
        trainer.resume()
    trainer.fit(on_epoch=on_epoch, should_stop=should_stop)
    state = trainer.kept.state_dict()
    if recipe.train.keep == "best":
        state = load_state(folder / "best.safetensors")["model"]
    progress = trainer.progress
    took = {
        "epochs": recipe.budget.epochs,
        "examples": progress.examples,
        "train_s": progress.train_s,
        "validation_accuracy": progress.validation_accuracy,
        "device": str(device),
    }
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}, took
