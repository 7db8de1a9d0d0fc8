"""Construction of data, model, optimizer and scheduler from the names in a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oraclezoo.contracts import Dataset, Images
from oraclezoo.engine.augment import standardise
from oraclezoo.engine.images import Streamed, take
from oraclezoo.engine.records import Parts, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.engine.trainer import steps_per_epoch
from oraclezoo.errors import DataError, PluginError, UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.specs import Kind

INITIALISE_ON = 5000
"""Maximum number of training images for data-dependent initialisation."""

CHUNK_BYTES = 1 << 18
"""Bytes counted at a time; numpy needs eight times as much memory."""


def open_dataset(
    recipe: Recipe,
    registry: Registry,
    data_dir: Path | None,
    progress: Callable[[str], None] | None = None,
    stream_above: int | None = None,
) -> Dataset:
    """Open the recipe's track. Raises DataError with a suggested fix.

    Images that take more than ``stream_above`` bytes are streamed from their file if the track
    supports it.
    """
    dataset: Dataset = registry.create(
        "dataset",
        recipe.data.track,
        data_dir=data_dir,
        progress=progress,
        stream_above=stream_above,
    )
    return dataset


def training_data(
    recipe: Recipe, dataset: Dataset, device: torch.device, stream_above: int | None = None
) -> TrainingData:
    """Load training and validation images to the device, without reading the test split.

    Either is streamed if it takes more than ``stream_above`` bytes.
    """
    train, validation = dataset.split("train"), dataset.split("validation")
    parts = (train, validation) if recipe.data.refit else (train,)
    shape = train.images.shape[1:]
    if len(shape) != 2 or shape[0] != shape[1]:
        raise DataError(f"images of shape {shape}: only square gray ones can be trained")
    if validation.images.shape[1:] != shape:
        raise DataError(f"validation images are {validation.images.shape[1:]}, others {shape}")
    if not len(train.images) or not len(validation.images):
        raise DataError("the training or the validation part has no images")
    if any(part.images.dtype != np.uint8 for part in (train, validation)):
        raise DataError(f"images of type {train.images.dtype}: only uint8 can be trained")
    images = [part.images for part in parts]
    mean, std = _mean_and_std(images)
    labels = np.concatenate([part.labels for part in parts])
    return TrainingData(
        images=_place(images, device, stream_above),
        labels=torch.from_numpy(labels).to(device),
        validation_images=_place([validation.images], device, stream_above),
        validation_labels=torch.from_numpy(validation.labels).to(device),
        mean=mean,
        std=max(std, 1e-6),
        flip_keeps_label=dataset.flip_keeps_label,
    )


def _place(
    parts: Sequence[Images], device: torch.device, stream_above: int | None
) -> Tensor | Streamed:
    """Return all images on the device, or streamed to it."""
    size_bytes = sum(math.prod(part.shape) for part in parts)
    if stream_above is not None and size_bytes > stream_above:
        return Streamed(parts, device)
    arrays = [np.asarray(part) for part in parts]
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return torch.from_numpy(whole).to(device)


def _mean_and_std(parts: Sequence[Images]) -> tuple[float, float]:
    """Return mean and standard deviation of all gray levels in [0, 1], exactly from a histogram."""
    counts = np.zeros(256, np.int64)
    for images in parts:
        step = max(1, CHUNK_BYTES // math.prod(images.shape[1:]))
        for first in range(0, len(images), step):
            counts += np.bincount(images[first : first + step].reshape(-1), minlength=256)
    levels = list(enumerate(counts.tolist()))  # Python integers, which cannot overflow
    pixels = sum(count for _, count in levels)
    total = sum(level * count for level, count in levels)
    squares = sum(level * level * count for level, count in levels)
    variance = (pixels * squares - total * total) / (pixels * pixels)
    return total / (255 * pixels), math.sqrt(variance) / 255


def build_backbone(
    registry: Registry,
    name: str,
    options: dict[str, Any],
    shape: dict[str, int],
    seed: int = 0,
) -> nn.Module:
    """Build a backbone on the CPU, with weights drawn from the seed's initialisation stream.

    ``shape`` contains in_chans, num_classes and image_size. The global random state is restored.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(derive(seed, "initialisation"))
        model: nn.Module = registry.create("backbone", name, **shape, **options)
    if not isinstance(model, nn.Module):
        raise PluginError(f"backbone '{name}' gives a {type(model).__name__}, not a torch module")
    return model


def build_parts(
    recipe: Recipe, registry: Registry, data: TrainingData, shape: dict[str, int], seed: int
) -> Parts:
    """Build model, optimizer and scheduler of a resolved recipe on the data's device."""
    steps_per_epoch(recipe, len(data.images))  # rejects a batch that is too large, before any work
    model = _build_model(recipe, registry, data, shape, seed)
    return build_steppers(recipe, registry, data, model)


def _build_model(
    recipe: Recipe, registry: Registry, data: TrainingData, shape: dict[str, int], seed: int
) -> nn.Module:
    """Build and initialise the recipe's backbone on the data's device."""
    backbone = registry.get("backbone", recipe.backbone.name).spec
    model = build_backbone(
        registry, recipe.backbone.name, dict(recipe.backbone.options), shape, seed
    )
    if backbone.facts.get("data_init"):
        sample = _sample(data, seed).cpu()
        model.initialize(standardise(sample, data.mean, data.std))  # type: ignore[operator]  # the fact declares the method
    device = data.images.device
    model.to(device)
    if recipe.train.channels_last:  # before the optimizer, which may depend on the layout
        model.to(memory_format=torch.channels_last)
    _check_output(model, recipe.backbone.name, shape, device)
    return model


def build_steppers(
    recipe: Recipe, registry: Registry, data: TrainingData, model: nn.Module
) -> Parts:
    """Build a new optimizer and scheduler for ``model`` and the recipe's whole budget."""
    optimizer_facts = registry.get("optimizer", recipe.optimizer.name).spec.facts
    scheduler_facts = registry.get("scheduler", recipe.scheduler.name).spec.facts
    per_epoch = steps_per_epoch(recipe, len(data.images))
    optimizer = registry.create(
        "optimizer",
        recipe.optimizer.name,
        list(model.named_parameters()),
        **recipe.optimizer.options,
    )
    scheduler = registry.create(
        "scheduler",
        recipe.scheduler.name,
        optimizer,
        total_steps=per_epoch * recipe.budget.epochs,
        steps_per_epoch=per_epoch,
        **recipe.scheduler.options,
    )
    metric = bool(scheduler_facts.get("metric"))
    if recipe.data.refit and (metric or recipe.train.keep == "best"):
        what = f"scheduler {recipe.scheduler.name}" if metric else 'train.keep = "best"'
        raise UsageError(
            f"{what} goes by validation images, which data.refit = true trains on; drop one of them"
        )
    return Parts(
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        needs_closure=bool(optimizer_facts.get("needs_closure")),
        train_eval=bool(optimizer_facts.get("train_eval")),
        metric_scheduler=metric,
    )


def _check_output(model: nn.Module, name: str, shape: dict[str, int], device: torch.device) -> None:
    """Raise PluginError unless two blank images give two rows of logits."""
    size, classes = shape["image_size"], shape["num_classes"]
    images = torch.zeros(2, shape["in_chans"], size, size, device=device)
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            logits = model(images)
    except torch.OutOfMemoryError:  # caused by the device, not the backbone
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise PluginError(
            f"backbone '{name}' fails on images of {size} x {size}: {type(error).__name__}: {text}"
        ) from error
    found = tuple(getattr(logits, "shape", ()))
    if found != (2, classes):
        raise PluginError(f"backbone '{name}' gives {found} for 2 images, not (2, {classes})")


def _sample(data: TrainingData, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "initialisation images"))
    order = torch.randperm(len(data.images), generator=generator)[:INITIALISE_ON]
    return take(data.images, order)


def components(recipe: Recipe, registry: Registry) -> dict[str, dict[str, str]]:
    """Return distribution and version of each component of a resolved recipe."""
    names: dict[Kind, str] = {kind: getattr(recipe, kind).name for kind in COMPONENTS}
    names["dataset"] = recipe.data.track
    found: dict[str, dict[str, str]] = {}
    for kind, name in names.items():
        entry = registry.get(kind, name)
        found[kind] = {"name": name, "distribution": entry.distribution, "version": entry.version}
    return found
