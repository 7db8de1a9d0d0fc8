"""Score a trained model on a split and store its probabilities."""

from __future__ import annotations

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
from oraclezoo.engine.device import pick
from oraclezoo.errors import ResultError
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.ranking.predictions import accuracy_of, losses
from oraclezoo.result import data_key
from oraclezoo.storage import write_atomically


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


def score(model: Model, dataset: Dataset, split: str = "test", device: str = "auto") -> Score:
    """Read a split of a data set and return the model's probabilities on it."""
    part = dataset.split(split)
    model.to(pick(device))
    prediction = model.predict(part.images)
    return Score(prediction.probabilities.astype(np.float16), part.labels)


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
