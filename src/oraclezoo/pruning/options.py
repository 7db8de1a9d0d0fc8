"""Data classes for the options and results of pruning."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.choices import IMPORTANCES, PRUNING_RUNTIMES, SCOPES
from oraclezoo.errors import UsageError
from oraclezoo.receipts.measurement import Gates, Measurement
from oraclezoo.receipts.timing import Setting
from oraclezoo.recipe import Recipe
from oraclezoo.training.finetune import FineTuned, Tuning

EPOCHS = 10
"""Default number of fine-tuning epochs."""


@dataclass(frozen=True)
class Pruning:
    """Pruning target and options for channel selection.

    ``target`` is the maximum fraction of ``what`` (macs, params or latency) that remains after all
    ``steps``. If ``scope`` is None, it is isomorphic for transformers and uniform for other models.
    Latency is measured with ``runtime`` at ``setting`` (batch size and threads).

    Raises:
        UsageError: A value is out of range, or a name is unknown.
    """

    what: str
    target: float
    importance: str = "taylor"
    scope: str | None = None
    round_to: int = 8
    steps: int = 1
    seed: int = 0
    runtime: str = PRUNING_RUNTIMES[0]
    setting: Setting = (1, 1)

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise UsageError(f"{self.what} is {self.target}; it must be above 0 and at most 1")
        for name, value, choices in (
            ("importance", self.importance, IMPORTANCES),
            ("scope", self.scope or SCOPES[0], SCOPES),
            ("runtime", self.runtime, PRUNING_RUNTIMES),
        ):
            if value not in choices:
                raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(choices)}")
        for name, number in (("round_to", self.round_to), ("steps", self.steps)):
            if number < 1:
                raise UsageError(f"{name} is {number}; it must be at least 1")

    @classmethod
    def of_target(
        cls, macs: float | None, params: float | None, latency: float | None, **choices: Any
    ) -> Pruning:
        """Return options for the target that is set. Raises UsageError unless exactly one is."""
        targets = {"macs": macs, "params": params, "latency": latency}
        set_targets = [(name, value) for name, value in targets.items() if value is not None]
        if len(set_targets) != 1:
            raise UsageError("pass exactly one of macs, params and latency, e.g. macs 0.5")
        return cls(*set_targets[0], **choices)

    def selection(self) -> dict[str, Any]:
        """Return the options for channel selection, without the target and latency measurement."""
        return {
            "importance": self.importance,
            "scope": self.scope,
            "round_to": self.round_to,
            "steps": self.steps,
            "seed": self.seed,
        }

    def document(self) -> dict[str, Any]:
        """Return all options for the digest that ``--resume`` checks, under the names of 0.1."""
        return {
            "what": self.what,
            "target": self.target,
            **self.selection(),
            "runtime": self.runtime,
            "setting": list(self.setting),
        }


def check_epochs(tuning: Tuning, steps: int) -> None:
    """Raise UsageError if fine-tuning is on but has fewer epochs than there are pruning steps."""
    if tuning.epochs and tuning.epochs < steps:
        raise UsageError(
            f"{tuning.epochs} epochs are too few for {steps} steps: use at least one per step, or 0"
        )


@dataclass(frozen=True)
class PruneOptions:
    """All options of a pruning job.

    Fine-tuning uses ``recipe`` instead of the model's training recipe, and runs on ``device``.
    ``resume`` continues an unfinished job in the output folder; ``overwrite`` discards the job.
    """

    pruning: Pruning
    tuning: Tuning = field(default_factory=lambda: Tuning(EPOCHS))
    recipe: Recipe | str | Path | None = None
    device: str = "auto"
    gates: Gates = field(default_factory=Gates)
    measurement: Measurement = field(default_factory=Measurement)
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Cut:
    """Result of channel selection; ``reached`` is the remaining fraction of the targeted cost.

    ``strength`` ranges from 0 (no pruning) to 1 (the maximum); ``whole`` maps the layers that were
    not pruned to the reasons.
    """

    scope: str
    strength: float
    reached: float
    whole: dict[str, str]


@dataclass(frozen=True)
class PruneReport:
    """Options and results of a pruning job for its receipt, with the cut of the last step."""

    pruning: Pruning
    tuning: Tuning
    cut: Cut
    fine_tuned: tuple[FineTuned, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the ``options`` entry of the receipt."""
        pruning = self.pruning
        entry = {pruning.what: pruning.target, **pruning.selection()}
        if pruning.what == "latency":
            entry |= {"runtime": pruning.runtime, "setting": list(pruning.setting)}
        return {
            **entry,
            **dataclasses.asdict(self.tuning),
            **dataclasses.asdict(self.cut),
            "fine_tuned": [dataclasses.asdict(step) for step in self.fine_tuned],
        }
