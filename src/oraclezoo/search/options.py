"""Options of compression, as records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.errors import UsageError
from oraclezoo.pruning.options import Pruning, check_epochs
from oraclezoo.quantization.options import Int8
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.timing import ROUNDS, Setting
from oraclezoo.recipe import Recipe
from oraclezoo.search.goals import Goals
from oraclezoo.training.finetune import Tuning

TRIALS = 8
"""Default maximum number of trials."""


@dataclass(frozen=True)
class Timing:
    """Settings of latency measurements: batch size, number of threads, and number of rounds."""

    batch_size: int = 1
    threads: int = 1
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        for name, value in self.document().items():
            if value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")

    @property
    def setting(self) -> Setting:
        """The batch size and the number of threads."""
        return self.batch_size, self.threads

    def document(self) -> dict[str, int]:
        """Return the options under the names that version 0.1 hashed and stored in receipts."""
        return {"batch_size": self.batch_size, "threads": self.threads, "rounds": self.rounds}


@dataclass(frozen=True)
class Compression:
    """All options of a compression search; see :func:`oraclezoo.compress`.

    ``pruning`` holds the options of every trial except the pruning target. ``measurement`` sets the
    data set and split for the last receipt, and ``timing`` sets the latency measurements.

    Raises:
        UsageError: ``trials`` is less than 1, or there are fewer epochs than pruning steps.
    """

    goals: Goals
    pruning: Pruning
    tuning: Tuning
    int8: Int8 = field(default_factory=Int8)
    timing: Timing = field(default_factory=Timing)
    trials: int = TRIALS
    recipe: Recipe | str | Path | None = None
    device: str = "auto"
    measurement: Measurement = field(default_factory=Measurement)
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"trials is {self.trials}; it must be at least 1")
        check_epochs(self.tuning, self.pruning.steps)

    @property
    def data_only(self) -> Measurement:
        """Measurement settings for trials: validation images, no latency, no ledger."""
        return Measurement(self.measurement.track, self.measurement.data_dir, timed=False)

    def pruning_document(self) -> dict[str, Any]:
        """Return the options of pruning and fine-tuning under the names that version 0.1 used."""
        return {**self.pruning.selection(), **asdict(self.tuning)}

    def int8_document(self) -> dict[str, Any]:
        """Return the options of quantization under the names that version 0.1 used."""
        return {
            "calibration": self.int8.calibration,
            "images": self.int8.images,
            "sensitivity": self.int8.sensitivity,
        }

    def hashed(self) -> dict[str, Any]:
        """Return the options that affect a trial, in the form that version 0.1 hashed."""
        return {
            **self.pruning_document(),
            **self.int8_document(),
            **self.timing.document(),
            "track": self.measurement.track,
        }
