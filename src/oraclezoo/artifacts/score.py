"""Score a trained model on a split and store its probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.record import Evaluated, Scores
from oraclezoo.artifacts.robustness import measure_robustness
from oraclezoo.artifacts.run import Run, occupied
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
from oraclezoo.engine import evaluate
from oraclezoo.engine.device import pick
from oraclezoo.errors import ResultError
from oraclezoo.onnx_export import session
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.ranking.predictions import accuracy_of, losses
from oraclezoo.result import data_key
from oraclezoo.storage import write_atomically

BATCHES = 4
"""Number of batches between two reports of progress."""


@dataclass(frozen=True)
class Score:
    """Probabilities float16 ``(N, C)`` and labels int64 ``(N,)`` of a split."""

    probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Accuracy in [0, 1], as the protocol defines it."""
        return accuracy_of(self.probabilities, self.labels)

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood in nats; float16 zeros are clipped to 1e-7."""
        return float(losses(self.probabilities, self.labels))

    def save(self, path: Path) -> None:
        """Write ``probabilities`` and ``labels`` to a safetensors file, atomically."""
        content = save({"probabilities": self.probabilities, "labels": self.labels})
        write_atomically(path, content)

    @classmethod
    def load(cls, path: Path) -> Score:
        """Read a file written by :meth:`save`. Raises ResultError."""
        try:
            arrays = load_file(path)
            return cls(arrays["probabilities"], arrays["labels"])
        except (OSError, KeyError, SafetensorError) as error:
            raise ResultError(f"{path}: not a score file ({error})") from error


def score(
    model: Model,
    dataset: Dataset,
    split: str = "test",
    device: str = "auto",
    on_step: Callable[[float], None] | None = None,
) -> Score:
    """Read a split of a data set and return the model's probabilities on it.

    Args:
        model: The model.
        dataset: The data set.
        split: The split.
        device: Device to run the model on.
        on_step: Called with the finished share, from 0 to 1. The result does not depend on it.
    """
    part = dataset.split(split)
    model.to(pick(device))
    if on_step is None or not len(part.images):
        prediction = model.predict(part.images)
        return Score(prediction.probabilities.astype(np.float16), part.labels)
    # whole batches, so that each image is in the same batch as without the split into chunks
    size = BATCHES * (session.BATCH_SIZE if model.onnx else evaluate.BATCH_SIZE)
    images, total = part.images, len(part.images)
    rows = []
    for start in range(0, total, size):
        batch = np.ascontiguousarray(images[start : start + size])
        rows.append(model.predict(batch).probabilities.astype(np.float16))
        on_step(min(start + size, total) / total)
    return Score(np.concatenate(rows), part.labels)


def keep_score(
    run: Run,
    dataset: Dataset,
    results: Path,
    *,
    device: str,
    registry: Registry,
    calibration_s: float | None,
    robust: bool = False,
) -> None:
    """Score a finished run on the test split and save the scores in its folder.

    The test-set evaluation is recorded in the ledger.

    Args:
        run: The run.
        dataset: The data set; its test images are read.
        results: Results folder, which contains the ledger.
        device: Device to run the model on.
        registry: Registry of components.
        calibration_s: Seconds of the calibration workload when the run was trained, a measure of
            machine speed; None if the run is not timed.
        robust: Whether to score the model on corrupted test images too.

    Raises:
        UsageError: Another process writes to the run folder.
    """
    model = run.model(registry=registry)
    record_test_evaluation(run, dataset, results)
    with occupied(run.folder):
        test = score(model, dataset, "test", device)
        test.save(run.folder / "score.safetensors")
        evaluated = Evaluated(
            score=Scores(test.accuracy, test.loss),
            test_sha256=digests(dataset, "test"),
            calibration_s=calibration_s,
            robustness=measure_robustness(model, dataset, device) if robust else None,
        )
        run.write(replace(run.record, evaluated=evaluated))


def record_test_evaluation(run: Run, dataset: Dataset, results: Path) -> None:
    """Record in the ledger of a results folder that a run's recipe was evaluated on the test set.

    Call this before scoring, so that interrupted evaluations count too.
    """
    trained = run.record.provenance
    ledger.note(
        results,
        track=trained.components["dataset"].name,
        data_key=data_key({**trained.data_sha256, **digests(dataset, "test")}),
        recipe_hash=trained.recipe.hash,
    )
