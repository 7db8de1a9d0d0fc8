"""Build the components of a recipe: data set, model, optimizer and scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from oraclezoo.contracts import Dataset, Images
from oraclezoo.data.lock import check_lock
from oraclezoo.engine.augment import standardize
from oraclezoo.engine.images import Streamed, take
from oraclezoo.engine.inputs import check_fits, steps_per_epoch
from oraclezoo.engine.records import Parts, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.errors import DataError, PluginError, UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.specs import Value

INITIALISE_ON = 5000
"""Maximum number of training images used for a backbone's data-dependent initialization."""

CHUNK_BYTES = 1 << 18
"""Number of bytes counted at a time; NumPy needs eight times as much memory for it."""


def open_dataset(
    recipe: Recipe,
    registry: Registry,
    data_dir: Path | None,
    progress: Callable[[str], None] | None = None,
    stream_above: int | None = None,
) -> Dataset:
    """Open the data set of the recipe's track.

    Args:
        recipe: The recipe.
        registry: Registry of components.
        data_dir: Folder with the files of the data set; None for the default folders.
        progress: Called with progress messages.
        stream_above: Size of a split in bytes above which its images are streamed, if the track
            supports it; None for never.

    Returns:
        The data set; splits are read on first use.

    Raises:
        DataError: If files are missing or invalid, or do not match ``data.lock``.
    """
    dataset: Dataset = registry.create(
        "dataset",
        recipe.data.track,
        data_dir=data_dir,
        progress=progress,
        stream_above=stream_above,
    )
    check_lock(dataset, recipe.data.lock)
    return dataset


def training_data(
    recipe: Recipe, dataset: Dataset, device: torch.device, stream_above: int | None = None
) -> TrainingData:
    """Move training and validation images to the device, without reading the test split.

    Args:
        recipe: The recipe.
        dataset: The data set of the recipe.
        device: Device to train on.
        stream_above: Size of images in bytes above which a split is streamed to the device; None
            for never.

    Returns:
        The images and labels, and the mean and standard deviation of the gray levels.

    Raises:
        DataError: If a split is empty, or its images are not square uint8 images of the same size.
    """
    train, validation = dataset.split("train"), dataset.split("validation")
    parts = (train, validation) if recipe.data.refit else (train,)
    shape = train.images.shape[1:]
    if len(shape) != 2 or shape[0] != shape[1]:
        raise DataError(f"training images have shape {shape}; they must be square and gray")
    if validation.images.shape[1:] != shape:
        raise DataError(
            f"validation images have shape {validation.images.shape[1:]}, training images {shape}"
        )
    if not len(train.images) or not len(validation.images):
        raise DataError("the training or validation split has no images")
    if any(part.images.dtype != np.uint8 for part in (train, validation)):
        raise DataError(f"training images are {train.images.dtype}; they must be uint8")
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
    """Return the images of all splits on the device, or streamed to it."""
    size_bytes = sum(math.prod(part.shape) for part in parts)
    if stream_above is not None and size_bytes > stream_above:
        return Streamed(parts, device)
    arrays = [np.asarray(part) for part in parts]
    images = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return torch.from_numpy(images).to(device)


def _mean_and_std(parts: Sequence[Images]) -> tuple[float, float]:
    """Return the exact mean and standard deviation of the gray levels in [0, 1], from counts."""
    counts = np.zeros(256, np.int64)
    for images in parts:
        step = max(1, CHUNK_BYTES // math.prod(images.shape[1:]))
        for first in range(0, len(images), step):
            counts += np.bincount(images[first : first + step].reshape(-1), minlength=256)
    levels = list(enumerate(counts.tolist()))  # Python integers do not overflow
    pixels = sum(count for _, count in levels)
    total = sum(level * count for level, count in levels)
    squares = sum(level * level * count for level, count in levels)
    variance = (pixels * squares - total * total) / (pixels * pixels)
    return total / (255 * pixels), math.sqrt(variance) / 255


def build_backbone(
    registry: Registry,
    name: str,
    options: Mapping[str, Value],
    shape: dict[str, int],
    seed: int = 0,
) -> nn.Module:
    """Build a backbone on the CPU and initialize its weights from a separate random stream.

    The stream depends on ``seed`` only; the caller's random state does not change.

    Args:
        registry: Registry of components.
        name: Name of the backbone.
        options: Options of the backbone.
        shape: ``in_chans``, ``num_classes`` and ``image_size``.
        seed: Random seed.

    Returns:
        A module that maps images ``(N, in_chans, H, W)`` to logits ``(N, num_classes)``.

    Raises:
        PluginError: If the backbone is not a ``torch.nn.Module``.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(derive(seed, "initialisation"))
        model: nn.Module = registry.create("backbone", name, **shape, **options)
    if not isinstance(model, nn.Module):
        raise PluginError(
            f"backbone '{name}' returned a {type(model).__name__}, not a torch module"
        )
    return model


def build_parts(
    recipe: Recipe, registry: Registry, data: TrainingData, shape: dict[str, int], seed: int
) -> Parts:
    """Build the model, optimizer and scheduler of a recipe, on the device of the data.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.
        data: Training data.
        shape: ``in_chans``, ``num_classes`` and ``image_size``.
        seed: Random seed for the initial weights.

    Returns:
        The model, optimizer and scheduler.

    Raises:
        PluginError: If a component does not satisfy its contract.
        UsageError: If a value or option of the recipe is not valid for the data.
    """
    check_fits(recipe, data)
    recipe.train.check_fits(recipe.budget.epochs * steps_per_epoch(recipe, len(data.images)))
    model = _build_model(recipe, registry, data, shape, seed)
    return build_steppers(recipe, registry, data, model)


def _build_model(
    recipe: Recipe, registry: Registry, data: TrainingData, shape: dict[str, int], seed: int
) -> nn.Module:
    """Build the backbone on the data's device and run its data-dependent initialization, if any."""
    backbone = registry.get("backbone", recipe.backbone.name).spec
    model = build_backbone(
        registry, recipe.backbone.name, dict(recipe.backbone.options), shape, seed
    )
    if backbone.facts.get("data_init"):
        sample = _sample(data, seed).cpu()
        model.initialize(standardize(sample, data.mean, data.std))  # type: ignore[operator]  # declared by data_init
    device = data.images.device
    model.to(device)
    if recipe.train.channels_last:  # before the optimizer, which may depend on the layout
        model.to(memory_format=torch.channels_last)
    _check_output(model, recipe.backbone.name, shape, device)
    return model


def build_steppers(
    recipe: Recipe, registry: Registry, data: TrainingData, model: nn.Module
) -> Parts:
    """Build the optimizer and scheduler for a model, for the full training budget of the recipe.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.
        data: Training data.
        model: The model, on the data's device.

    Returns:
        The model with its optimizer and scheduler.

    Raises:
        UsageError: If the scheduler or ``train.keep`` needs validation images that ``data.refit``
            uses for training, or if the batch size does not fit the data.
    """
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
        requirement = f"scheduler {recipe.scheduler.name}" if metric else 'train.keep = "best"'
        raise UsageError(
            f"{requirement} depends on validation images, which data.refit = true trains on; "
            "remove one of the two"
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
    """Raise PluginError unless the model maps two blank images to two rows of logits."""
    size, classes = shape["image_size"], shape["num_classes"]
    images = torch.zeros(2, shape["in_chans"], size, size, device=device)
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            logits = model(images)
    except torch.OutOfMemoryError:  # the device is too small; the backbone may be correct
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise PluginError(
            f"backbone '{name}' fails on images of {size} x {size}: {type(error).__name__}: {text}"
        ) from error
    if not isinstance(logits, Tensor):
        raise PluginError(
            f"backbone '{name}' returns a {type(logits).__name__}, not a tensor of logits"
        )
    logits_shape = tuple(logits.shape)
    if logits_shape != (2, classes):
        raise PluginError(
            f"backbone '{name}' returned shape {logits_shape} for 2 images, not (2, {classes})"
        )


def _sample(data: TrainingData, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "initialisation images"))
    order = torch.randperm(len(data.images), generator=generator)[:INITIALISE_ON]
    return take(data.images, order)
