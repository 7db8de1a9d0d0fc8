"""Fine-tuning of a modified model with an adapted version of its training recipe."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from oraclezoo.artifacts import build
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.checkpoint import load_checkpoint
from oraclezoo.engine.records import Callbacks, Checkpoint, TrainerOptions, TrainingData
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import UsageError
from oraclezoo.plugins.blame import blaming
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe, shipped
from oraclezoo.recipe.resolve import resolve

LR_SCALE = 1.0
"""Default factor for the recipe's learning rates in fine-tuning.

The recipe's original learning rates work best, as in learning rate rewinding (Renda et al. 2020,
arXiv:2003.02389). In cross-validation (``benchmarks/studies/finetuning.py``), halving them reduced
the accuracy, and the more so the more channels were pruned.
"""


@dataclass(frozen=True)
class Tuning:
    """Fine-tuning settings. The field names must not change: receipts and digests contain them.

    Attributes:
        epochs: Number of passes over the training images.
        lr_scale: Factor for the recipe's learning rates.
        distill: Weight of the distillation loss, from 0 to 1; 0 for no teacher.
        temperature: Temperature for the distillation loss.
    """

    epochs: int
    lr_scale: float = LR_SCALE
    distill: float = 0.0
    temperature: float = 2.0


@dataclass(frozen=True)
class FineTuned:
    """Cost and result of a fine-tuning run."""

    epochs: int
    examples: int
    train_s: float
    validation_accuracy: float | None
    device: str


def recipe_of(source: Model | Run | str | Path, model: Model, registry: Registry) -> Recipe:
    """Return a model's training recipe.

    Args:
        source: The argument that the model was loaded from; a run contains its recipe.
        model: The model; its card contains a recipe, or the name and hash of a bundled recipe.
        registry: Registry of components.

    Raises:
        UsageError: The model's recipe is not known.
    """
    if isinstance(source, Run):
        return source.recipe
    if isinstance(source, (str, Path)) and (Path(source) / "run.json").is_file():
        return Run.load(source).recipe
    if model.card.recipe is not None:
        return Recipe.from_dict(model.card.recipe)
    origin = model.card.provenance
    if origin is not None and origin.recipe.name in shipped() and "dataset" in origin.components:
        track = origin.components["dataset"].name
        recipe = resolve(Recipe.load(origin.recipe.name, {"data.track": track}), registry)
        if recipe.hash == origin.recipe.hash:
            return recipe
    raise UsageError(
        "the model's card does not say which recipe it was trained with: pass the folder of its "
        "run, a recipe for fine-tuning (--recipe), or no epochs (--epochs 0)"
    )


def milder(recipe: Recipe, tuning: Tuning, registry: Registry) -> Recipe:
    """Return the recipe for fine-tuning, adapted from the model's training recipe.

    Learning rates are multiplied by ``lr_scale`` and decay linearly to zero (they stay constant for
    an optimizer that needs no schedule). ``tuning`` sets the number of epochs. Fine-tuning does not
    train on validation images, does not repeat pre-training, and uses no teachers other than the
    original model.
    """
    resolved = resolve(recipe, registry)
    optimizer = resolved.optimizer
    schedule_free = registry.get("optimizer", optimizer.name).spec.facts.get("train_eval")
    learning_rates = {
        f"optimizer.{key}": tuning.lr_scale * value
        for key, value in optimizer.options.items()
        if (key == "lr" or key.endswith("_lr")) and isinstance(value, float)
    }
    changes = {
        **learning_rates,
        "scheduler.name": "constant" if schedule_free else "linear",
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
    """Return images on the device, with the mean and standard deviation from the model's card."""
    limit = stream_limit(None, device)
    data = build.training_data(recipe, dataset, device, limit)
    steps = model.card.preprocessing
    return dataclasses.replace(data, mean=steps.mean, std=steps.std)


def finetune(
    module: nn.Module,
    recipe: Recipe,
    data: TrainingData,
    registry: Registry,
    *,
    seed: int,
    checkpoint: Checkpoint,
    teacher: nn.Module | None = None,
    callbacks: Callbacks | None = None,
) -> tuple[dict[str, Tensor], FineTuned]:
    """Train a copy of ``module`` with a recipe from :func:`milder`.

    Args:
        module: The model to fine-tune; it is not changed.
        recipe: The recipe for fine-tuning.
        data: Images on the training device.
        registry: Registry of components.
        seed: Seed for data order and augmentation.
        checkpoint: Folder for checkpoints, and whether training resumes from the one there.
        teacher: Teacher for the distillation loss; no gradients are computed for it.
        callbacks: Functions to call during training.

    Returns:
        The state dict of the fine-tuned module on the CPU, and the record of the run.

    Raises:
        InterruptedRunError: ``should_stop`` returned True; the state is saved.
    """
    callbacks = callbacks or Callbacks()
    device = data.images.device
    net = copy.deepcopy(module).to(device)
    if teacher is not None:
        teacher = copy.deepcopy(teacher).requires_grad_(False).eval().to(device)
    if recipe.train.channels_last:
        for each in (net, teacher):
            if each is not None:
                each.to(memory_format=torch.channels_last)
    parts = build.build_steppers(recipe, registry, data, net)
    folder = checkpoint.folder
    folder.mkdir(parents=True, exist_ok=True)
    options = TrainerOptions(teacher=teacher, warn=callbacks.warn)
    trainer = Trainer(recipe, parts, data, seed=seed, device=device, folder=folder, options=options)
    if checkpoint.resume:
        trainer.resume()
    with blaming(registry):
        trainer.fit(
            on_epoch=callbacks.on_epoch,
            on_step=callbacks.on_step,
            should_stop=callbacks.should_stop,
        )
    state = trainer.kept.state_dict()
    if recipe.train.keep == "best":
        state = load_checkpoint(folder / "best.safetensors")["model"]
    progress = trainer.progress
    cost = FineTuned(
        epochs=recipe.budget.epochs,
        examples=progress.examples,
        train_s=progress.train_s,
        validation_accuracy=progress.validation_accuracy,
        device=str(device),
    )
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}, cost
