"""Plot the figures of a run from its record and from its model's predictions on a split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from oraclezoo.analysis.evaluate import require_finished, trained_on, wilson
from oraclezoo.artifacts.build import open_dataset
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import PLOTS, Run, writable
from oraclezoo.artifacts.score import record_test_evaluation
from oraclezoo.contracts import Dataset
from oraclezoo.data.lettering import FONT
from oraclezoo.engine.device import exact_float32, pick
from oraclezoo.engine.evaluate import probabilities
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.records import Epoch
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.plots.style import need_matplotlib
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import Augment

if TYPE_CHECKING:
    from oraclezoo.plots.records import Course, Scored


def plot(
    run: Run | str | Path,
    *,
    out: str | Path | None = None,
    split: str = "validation",
    data_dir: str | Path | None = None,
    device: str = "auto",
    results: str | Path = "results",
    stream_above: int | str | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Plot the figures of a run, each as SVG and PNG.

    The figures are ``curves`` and, with the name of the split in the file name, ``confusion``,
    ``per-class``, ``mistakes`` and ``embedding``. Equal runs give byte-identical SVG files.

    Args:
        run: A run, or its folder.
        out: Output folder; by default the run folder's ``plots``.
        split: ``train``, ``validation`` or ``test``. Plotting the test split requires a finished
            run, and the ledger records it as a test-set evaluation.
        data_dir: Folder with the files of the data set; None for the default folders.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        results: Results folder, which contains the ledger.
        stream_above: Size in bytes above which a split is streamed, see :func:`oraclezoo.train`.
        registry: Registry of components; by default all installed components.
        progress: Called with progress messages.

    Returns:
        The paths of the files that were written.

    Raises:
        OracleZooError: matplotlib or scikit-learn is not installed.
        ResultError: A file in the run folder is missing or corrupt.
        DataError: The data cannot be read.
        UsageError: ``split`` is unknown, or it is ``test`` and the run is unfinished.

    >>> import oraclezoo as oz
    >>> files = oz.plot("runs/quick-seed0", out="figures")  # doctest: +SKIP
    """
    need_matplotlib()
    from oraclezoo.plots.classes import confusion, per_class
    from oraclezoo.plots.curves import curves
    from oraclezoo.plots.embedding import embedding
    from oraclezoo.plots.mistakes import mistakes
    from oraclezoo.plots.style import Letters, drawing

    registry = registry or build_registry()
    opened = run if isinstance(run, Run) else Run.load(run)
    recipe = resolve(opened.recipe, registry)
    if split not in ("train", "validation", "test"):
        raise UsageError(f"split is '{split}'; it must be train, validation or test")
    place = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(recipe, registry, place, progress, limit)
    model = opened.model(registry=registry).to(pick(device))
    if split == "test":
        require_finished(opened)
        record_test_evaluation(opened, dataset, Path(results))
    folder = opened.folder / PLOTS if out is None else Path(out)
    writable(folder)
    scored = _scored(opened, model, dataset, split)
    letters = Letters(FONT, [*scored.classes, *scored.glyphs])
    correct = scored.predicted == scored.labels
    members = [scored.labels == label for label in scored.present]
    intervals = [wilson(int(correct[in_class].sum()), int(in_class.sum())) for in_class in members]
    with drawing(letters):
        files = curves(_course(opened), folder)
        files += confusion(scored, letters, folder, f"{split}-confusion")
        files += per_class(scored, intervals, letters, folder, f"{split}-per-class")
        files += mistakes(scored, letters, folder, f"{split}-mistakes")
        progress("computing the t-SNE embedding")
        files += embedding(scored, letters, folder, f"{split}-embedding")
    return files


def _course(run: Run) -> Course:
    from oraclezoo.plots.records import Course, EpochMetrics

    recipe, record = run.recipe, run.record
    none = Augment(elastic_grid=recipe.augment.elastic_grid)
    unfinished = "" if record.status == "done" else f", {record.status}"
    counts = f"{record.train_images:,} training and {record.validation_images:,} validation"
    held_out = not recipe.data.refit  # runs of 0.1.0 recorded accuracy on training images
    return Course(
        title=f"{recipe.name}, seed {record.provenance.seed}{unfinished}: training",
        subtitle=f"{_track(run)}, {counts} images{'' if held_out else ', all trained on'}",
        epochs=tuple(
            EpochMetrics(
                epoch=row.epoch,
                lr=row.lr,
                train_loss=row.train_loss,
                validation_loss=row.validation_loss if held_out else None,
                validation_accuracy=row.validation_accuracy if held_out else None,
            )
            for row in _epochs(run)
        ),
        smoothing=recipe.loss.label_smoothing,
        augmented=recipe.augment != none,
    )


def _epochs(run: Run) -> list[Epoch]:
    """Return the metrics of a run. Raises ResultError if epochs are missing from the file."""
    rows, outcome = run.metrics, run.record.outcome
    least = 0 if outcome is None else outcome.best_epoch or 1
    if [row.epoch for row in rows] != list(range(1, len(rows) + 1)) or len(rows) < least:
        raise ResultError(f"{run.folder / 'metrics.jsonl'}: epochs are missing; train again")
    return rows


def _scored(run: Run, model: Model, dataset: Dataset, split: str) -> Scored:
    from oraclezoo.plots.records import Scored

    part = dataset.split(split)
    probs = model.predict(part.images).probabilities
    vectors, source = embeddings(model, part.images)
    correct = int((probs.argmax(1) == part.labels).sum())
    low, high = wilson(correct, len(part.labels))
    record = run.record
    unfinished = "" if record.status == "done" else f" ({record.status})"
    return Scored(
        title=f"{run.recipe.name}, seed {record.provenance.seed}{unfinished}",
        subtitle=(
            f"{_track(run)}, {split}: {100 * correct / len(part.labels):.1f}% "
            f"({100 * low:.1f} to {100 * high:.1f}) of {len(part.labels):,} images"
            f"{', trained on' if trained_on(run.recipe, split) else ''}"
        ),
        classes=tuple(dataset.classes),
        glyphs=tuple(dataset.glyphs),
        labels=part.labels,
        probabilities=probs,
        images=part.images,
        embeddings=vectors,
        embedded=source,
    )


def _track(run: Run) -> str:
    record = run.record
    name = record.provenance.components["dataset"].name.removeprefix("oraclezoo:")
    return f"{name} (synthetic)" if record.model and record.model.synthetic else name


def embeddings(model: Model, images: Any) -> tuple[npt.NDArray[np.float32], str]:
    """Return the input of the classifier layer, float32 ``(N, D)``, and a description of it.

    The classifier layer is the last linear or convolutional layer in the forward pass that has one
    output per class; feature maps and sequences are averaged over positions. For a model without
    such a layer, the log-probabilities are returned.
    """
    device = next(model.module.parameters()).device
    classes, steps = len(model.classes), model.card.preprocessing
    with _watched(model.module, classes) as seen, exact_float32():
        source = Streamed([images], device)
        logits = probabilities(model.module, source, mean=steps.mean, std=steps.std)
    if not seen.batches:
        return logits.clamp_min(1e-7).log().cpu().numpy(), "logarithms of the probabilities"
    vectors = torch.cat(seen.batches).float().numpy()
    return vectors, f"input of the last layer, {vectors.shape[1]} features per image"


@dataclasses.dataclass
class _Seen:
    """Inputs of the last watched layer for each batch; ``latest`` is its input in this batch."""

    batches: list[Tensor] = dataclasses.field(default_factory=list)
    latest: Tensor | None = None


@contextmanager
def _watched(module: nn.Module, classes: int) -> Iterator[_Seen]:
    seen = _Seen()

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.latest = inputs[0].detach()

    def close(net: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if seen.latest is not None:
            seen.batches.append(_flat(seen.latest, len(inputs[0])).cpu())
        seen.latest = None

    handles = [
        layer.register_forward_hook(record)
        for layer in module.modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == classes)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == classes)
    ]
    handles.append(module.register_forward_hook(close))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _flat(values: Tensor, images: int) -> Tensor:
    """Return one vector per image: the mean of a map ``(N, D, H, W)`` or sequence ``(N, T, D)``."""
    if values.dim() == 4:
        return values.mean((2, 3))
    if values.dim() == 3:
        return values.mean(1)
    return values.reshape(images, -1)
