"""Score: a trained model on a split, kept as probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.robustness import robustness
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import pick
from oraclezoo.errors import ResultError
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.ranking.predictions import accuracy_of, losses
from oraclezoo.result import data_key, write_atomically


@dataclass(frozen=True)
class Score:
    """Probabilities float16 ``(N, C)`` as results keep them, and labels int64 ``(N,)``."""

    probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of right answers in [0, 1], as the protocol takes it."""
        return accuracy_of(self.probabilities, self.labels)

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood, nats; a float16 zero counts as 1e-7."""
        return float(losses(self.probabilities, self.labels))

    def save(self, path: Path) -> None:
        """Write ``probabilities`` and ``labels`` to a safetensors file, atomically."""
        content = save({"probabilities": self.probabilities, "labels": self.labels})
        write_atomically(path, content)

    @classmethod
    def load(cls, path: Path) -> Score:
        """What :meth:`save` wrote. Raises ResultError."""
        try:
            arrays = load_file(path)
            return cls(arrays["probabilities"], arrays["labels"])
        except (OSError, KeyError, SafetensorError) as error:
            raise ResultError(f"{path}: not a score file ({error})") from error


def score(model: Model, dataset: Dataset, split: str = "test", device: str = "auto") -> Score:
    """The model's probabilities on a split of a data set. This is where test images are read."""
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
    """Score a finished run on the test split, note the look, and keep it all in the run's folder.

    ``calibration_s`` is the machine's speed when it was trained, None where no time is taken;
    ``robust`` scores it on corrupted test images as well.
    """
    model = run.model(registry=registry)
    note_look(run, dataset, results)
    found = score(model, dataset, "test", device)
    found.save(run.folder / "score.safetensors")
    run.update(
        robust=robustness(model, dataset, device) if robust else None,
        score={"accuracy": found.accuracy, "loss": found.loss},
        test_sha256=dict(dataset.sha256),
        calibration_s=calibration_s,
    )


def note_look(run: Run, dataset: Dataset, results: Path) -> None:
    """Note in the results folder's ledger that a run's recipe is scored on its test split.

    Before the scoring, so that a look is noted even if it is cut short.
    """
    dataset.split("test")  # now its digests are known
    record = run.record
    digests = {**record["data_sha256"], **dataset.sha256}
    ledger.note(
        results,
        track=record["components"]["dataset"]["name"],
        data_key=data_key(digests),
        recipe_hash=record["recipe"]["hash"],
    )
