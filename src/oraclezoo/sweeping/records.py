"""Records of a sweep: settings, trials and their results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oraclezoo.errors import UsageError, nearest

SAMPLERS = ("random", "grid", "tpe", "gp")
PRUNERS = ("none", "median", "halving", "hyperband")
METRICS = ("accuracy", "loss")
TRIALS = 20
"""Default number of trials for all samplers except grid."""

Point = dict[str, Any]
"""Values of one trial, keyed by recipe key."""


@dataclass(frozen=True)
class Settings:
    """Settings for the search and the evaluation of trials; ``seed`` is the seed of the sampler.

    If ``trials`` is None, a grid runs in full, and other samplers run 20 trials. Raises UsageError.
    """

    sampler: str = "random"
    pruner: str = "none"
    metric: str = "accuracy"
    trials: int | None = None
    seeds: int = 1
    folds: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
            ("metric", self.metric, METRICS),
        ):
            if value not in known:
                raise UsageError(f"unknown {name} '{value}'{nearest(value, known)}")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"trials is {self.trials}; it must be at least 1")
        if self.seeds < 1:
            raise UsageError(f"seeds is {self.seeds}; it must be at least 1")
        if self.folds < 0 or self.folds == 1:
            raise UsageError(f"folds is {self.folds}; it must be 0 or at least 2")

    @property
    def maximize(self) -> bool:
        """Whether a larger value of the metric is better."""
        return self.metric == "accuracy"


@dataclass(frozen=True)
class Part:
    """One training run of a trial: accuracy in [0, 1] and loss in nats on held-out images."""

    accuracy: float
    loss: float
    train_s: float


@dataclass(frozen=True)
class Trial:
    """One point of the search space, and its training runs.

    ``parts`` maps the number of a seed or fold to its finished training run; ``curve`` maps steps
    to the values reported to the pruner. ``status`` is running, done, pruned or failed.
    """

    number: int
    point: Point
    hash: str
    parts: Mapping[int, Part] = field(default_factory=dict)
    status: str = "running"
    reason: str = ""
    curve: Mapping[int, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Mean accuracy over training runs, in [0, 1]."""
        return statistics.fmean(part.accuracy for part in self.parts.values())

    @property
    def loss(self) -> float:
        """Mean loss over training runs, in nats."""
        return statistics.fmean(part.loss for part in self.parts.values())

    @property
    def accuracy_se(self) -> float | None:
        """Standard error of the mean accuracy over training runs; None for a single run."""
        values = [part.accuracy for part in self.parts.values()]
        return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None

    @property
    def train_s(self) -> float:
        """Total training time in seconds."""
        return sum(part.train_s for part in self.parts.values())

    def value(self, metric: str) -> float:
        """Mean of ``metric`` over training runs."""
        return self.accuracy if metric == "accuracy" else self.loss


@dataclass(frozen=True)
class Watch:
    """Callbacks of a sweep.

    Attributes:
        on_trial: Called after each trial.
        should_stop: Called before each step; if it returns True, the sweep stops.
        progress: Called with messages.
        on_step: Called after each step with the number of finished trials, including fractions.
    """

    on_trial: Callable[[Trial], None]
    should_stop: Callable[[], bool]
    progress: Callable[[str], None]
    on_step: Callable[[float], None] = lambda trials: None


@dataclass(frozen=True)
class Importance:
    """Fraction of the variance between trials that each key explains, in descending order.

    Fractions are in [0, 1]. ``method`` is the name of the importance measure.
    """

    method: str
    shares: Mapping[str, float]
