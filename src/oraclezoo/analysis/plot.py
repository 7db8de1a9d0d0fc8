"""Plot: the figures of a run, from its record and from its model on a split."""

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

from oraclezoo.analysis.evaluate import require_finished, wilson
from oraclezoo.artifacts.build import open_dataset
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import PLOTS, Run, writable
from oraclezoo.artifacts.score import note_look
from oraclezoo.contracts import Dataset
from oraclezoo.data.sheet import FONT
from oraclezoo.engine.device import exact_float32, pick
from oraclezoo.engine.evaluate import probabilities
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError
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
    """Draw a run's figures, each as SVG and PNG; the files, in ``out`` or the run's ``plots``.

    ``curves``; and of the model on a split, with that in their names: ``confusion``, ``per-class``,
    ``mistakes``, ``embedding``. The test split is looked at if it is named, of a finished run, and
    that is noted in the ledger of the ``results`` folder. Equal runs give equal SVG files.

    Raises OracleZooError where matplotlib or scikit-learn is not installed, ResultError, DataError
    or UsageError.
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
        note_look(opened, dataset, Path(results))
    folder = opened.folder / PLOTS if out is None else Path(out)
    writable(folder)
    scored = _scored(opened, model, dataset, split)
    letters = Letters(FONT, [*scored.classes, *scored.glyphs])
    right = scored.predicted == scored.labels
    of = [scored.labels == label for label in scored.present]
    intervals = [wilson(int(right[mine].sum()), int(mine.sum())) for mine in of]
    with drawing(letters):
        files = curves(_course(opened), folder)
        files += confusion(scored, letters, folder, f"{split}-confusion")
        files += per_class(scored, intervals, letters, folder, f"{split}-per-class")
        files += mistakes(scored, letters, folder, f"{split}-mistakes")
        progress("laying out the embeddings by t-SNE")
        files += embedding(scored, letters, folder, f"{split}-embedding")
    return files


def _course(run: Run) -> Course:
    from oraclezoo.plots.records import Course

    recipe, record = run.recipe, run.record
    none = Augment(elastic_grid=recipe.augment.elastic_grid)
    unfinished = "" if record["status"] == "done" else f", {record['status']}"
    images = f"{record['train_images']:,} training and {record['validation_images']:,} validation"
    return Course(
        title=f"{recipe.name}, seed {record['seed']}{unfinished}: training",
        subtitle=f"{_track(run)}, {images} images",
        epochs=tuple(run.metrics),
        smoothing=recipe.loss.label_smoothing,
        augmented=recipe.augment != none,
    )


def _scored(run: Run, model: Model, dataset: Dataset, split: str) -> Scored:
    from oraclezoo.plots.records import Scored

    part = dataset.split(split)
    probs = model.predict(part.images).probabilities
    vectors, what = embeddings(model, part.images)
    right = int((probs.argmax(1) == part.labels).sum())
    low, high = wilson(right, len(part.labels))
    record = run.record
    unfinished = "" if record["status"] == "done" else f" ({record['status']})"
    return Scored(
        title=f"{record['recipe']['name']}, seed {record['seed']}{unfinished}",
        subtitle=(
            f"{_track(run)}, {split}: {100 * right / len(part.labels):.1f}% "
            f"({100 * low:.1f} to {100 * high:.1f}) of {len(part.labels):,} images"
        ),
        classes=tuple(dataset.classes),
        glyphs=tuple(dataset.glyphs),
        labels=part.labels,
        probabilities=probs,
        images=part.images,
        embeddings=vectors,
        embedded=what,
    )


def _track(run: Run) -> str:
    record = run.record
    name = str(record["components"]["dataset"]["name"]).removeprefix("oraclezoo:")
    return f"{name} (synthetic)" if record["model"]["synthetic"] else name


def embeddings(model: Model, images: Any) -> tuple[npt.NDArray[np.float32], str]:
    """What comes into the layer that gives the classes, float32 ``(N, D)``, and what that is.

    The layer is the last one called that gives as many channels as there are classes, linear or a
    convolution; of a map or a sequence the mean is taken. A net without one has its logits taken.
    """
    device = next(model.module.parameters()).device
    scale = {key: model.card["preprocessing"][key] for key in ("mean", "std")}
    classes = len(model.classes)
    with _watched(model.module, classes) as seen, exact_float32():
        logits = probabilities(model.module, Streamed([images], device), **scale)
    if not seen.batches:
        return logits.clamp_min(1e-7).log().cpu().numpy(), "logarithms of the probabilities"
    vectors = torch.cat(seen.batches).float().numpy()
    return vectors, f"input of the last layer, {vectors.shape[1]} numbers an image"


@dataclasses.dataclass
class _Seen:
    """What the last of the watched layers got in each batch; ``latest`` is that of this batch."""

    batches: list[Tensor] = dataclasses.field(default_factory=list)
    latest: Tensor | None = None


@contextmanager
def _watched(module: nn.Module, classes: int) -> Iterator[_Seen]:
    seen = _Seen()

    def note(layer: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        seen.latest = given[0].detach()

    def close(net: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        if seen.latest is not None:
            seen.batches.append(_flat(seen.latest, len(given[0])).cpu())
        seen.latest = None

    handles = [
        layer.register_forward_hook(note)
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
    """One vector an image: the mean over a map ``(N, D, H, W)`` or a sequence ``(N, T, D)``."""
    if values.dim() == 4:
        return values.mean((2, 3))
    if values.dim() == 3:
        return values.mean(1)
    return values.reshape(images, -1)
