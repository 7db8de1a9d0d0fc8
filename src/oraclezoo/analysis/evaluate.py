"""Evaluate a run's model on a split: accuracy, loss and the recall of each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oraclezoo.artifacts.build import open_dataset
from oraclezoo.artifacts.resolve import other_files
from oraclezoo.artifacts.run import Run, occupied
from oraclezoo.artifacts.score import record_test_evaluation, score
from oraclezoo.data.dataset import digests
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve


@dataclass(frozen=True, slots=True)
class ClassRecall:
    """Number of images and recall of a class."""

    name: str
    glyph: str
    images: int
    recall: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a run's model on a split.

    ``accuracy`` is in [0, 1], with Wilson's 95% confidence interval over images, and ``loss`` is
    the cross-entropy in nats. ``classes`` lists the classes with images in the split.
    ``trained_on`` is true if the run was trained on these images, so that the scores do not measure
    generalization. ``other_data`` is true if a file of the split differs from the file that the run
    was trained with.
    """

    run: str
    track: str
    synthetic: bool
    split: str
    images: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    loss: float
    classes: tuple[ClassRecall, ...]
    trained_on: bool = False
    other_data: bool = False

    def to_json_dict(self) -> dict[str, Any]:
        """Return the scores as a JSON document."""
        return {
            **dataclasses.asdict(self),
            "accuracy_ci95": list(self.accuracy_ci95),
            "classes": [dataclasses.asdict(row) for row in self.classes],
        }


def evaluate(
    run: Run | str | Path,
    *,
    split: str = "validation",
    data_dir: str | Path | None = None,
    device: str = "auto",
    results: str | Path = "results",
    stream_above: int | str | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] | None = None,
    on_step: Callable[[float], None] | None = None,
) -> Evaluation:
    """Evaluate a run's model on a split of its track.

    Args:
        run: A run, or its folder.
        split: ``train``, ``validation`` or ``test``. An evaluation on the test split requires a
            finished run and is recorded in the ledger of the ``results`` folder.
        data_dir: Folder with the files of the data set; None for the default folders.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        results: Results folder, which contains the ledger.
        stream_above: Size in bytes above which a split is streamed, see :func:`oraclezoo.train`.
        registry: Registry of components; by default all installed components.
        progress: Called with messages while data are downloaded or generated.
        on_step: Called with the finished share of the images, from 0 to 1.

    Raises:
        UsageError: The run is unfinished and ``split`` is ``test``, or the classes do not match.
        ResultError: A file in the run folder is missing or corrupt.
        DataError: The data cannot be read.
    """
    registry = registry or build_registry()
    opened = run if isinstance(run, Run) else Run.load(run)
    recipe = resolve(opened.recipe, registry)
    data_folder = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(recipe, registry, data_folder, progress, limit)
    model = opened.model(registry=registry)
    if dataset.classes != model.classes:
        raise UsageError(
            f"{recipe.data.track} and {opened.folder} have different classes: pass the data set "
            "that the run was trained on with --data-dir"
        )
    digests(dataset, *({"validation", split} - {"test"}))
    other = other_files(model, dataset)
    if other and progress:
        progress(
            f"{other[0]} is not the file that the run was trained with: scoring different data"
        )
    if split == "test":
        require_finished(opened)
        with occupied(Path(results)):
            record_test_evaluation(opened, dataset, Path(results))
    scores = score(model, dataset, split, device, on_step)
    correct = scores.probabilities.argmax(1) == scores.labels
    return Evaluation(
        run=str(opened.folder),
        track=recipe.data.track.removeprefix("oraclezoo:"),
        synthetic=dataset.synthetic,
        split=split,
        images=len(correct),
        accuracy=scores.accuracy,
        accuracy_ci95=wilson(int(correct.sum()), len(correct)),
        loss=scores.loss,
        classes=tuple(
            ClassRecall(
                name=dataset.classes[label],
                glyph=dataset.glyphs[label],
                images=int((scores.labels == label).sum()),
                recall=float(correct[scores.labels == label].mean()),
            )
            for label in np.unique(scores.labels)
        ),
        trained_on=trained_on(recipe, split) and not other,
        other_data=bool(other),
    )


def trained_on(recipe: Recipe, split: str) -> bool:
    """Return whether a recipe trains on the images of a split."""
    return split == "train" or (split == "validation" and recipe.data.refit)


def require_finished(run: Run) -> None:
    """Raise UsageError unless the run is finished, as test-set evaluations require."""
    status = run.record.status
    if status != "done":
        raise UsageError(
            f"{run.folder} is {status}, not done: finish it with --resume before evaluating it on "
            "the test split"
        )


def wilson(correct: int, images: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval for a proportion (Wilson 1927).

    >>> low, high = wilson(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
