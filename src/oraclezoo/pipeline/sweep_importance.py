"""Importance: how much of the spread between trials each key accounts for.

Where Optuna and scikit-learn are installed: functional analysis of variance over a random forest
(fANOVA; Hutter, Hoos and Leyton-Brown 2014), as Optuna has it. Otherwise the share of the variance
that a key explains alone: Kelley's epsilon squared over its values, or a range's five groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oraclezoo.errors import OracleZooError
from oraclezoo.pipeline.sweep_journal import Trial
from oraclezoo.pipeline.sweep_space import Axis, Choices
from oraclezoo.pipeline.sweep_suggest import Study

FEWEST = 4
"""Trials that importance can be told from."""

GROUPS = 5


@dataclass(frozen=True)
class Importance:
    """``shares`` in [0, 1] by key, the largest first; ``method`` says what of."""

    method: str
    shares: dict[str, float]


def importance(
    axes: Sequence[Axis], trials: Sequence[Trial], values: Sequence[float]
) -> Importance | None:
    """Of finished trials and their values; None of fewer than four, or of equal ones."""
    if len(trials) < FEWEST or len(set(values)) < 2:
        return None
    try:
        return _sorted("fANOVA over a random forest, by Optuna", _fanova(axes, trials, values))
    except (OracleZooError, ImportError):  # Optuna, or scikit-learn, which its fANOVA needs
        shares = {axis.key: explained(axis, trials, values) for axis in axes}
        return _sorted("share of the variance explained alone (epsilon squared)", shares)


def explained(axis: Axis, trials: Sequence[Trial], values: Sequence[float]) -> float:
    """Kelley's epsilon squared of one key, not below 0; 0 where groups are as many as trials."""
    found = np.asarray(values, np.float64)
    groups = _groups(axis, [trial.point[axis.key] for trial in trials])
    kinds = np.unique(groups)
    total = float(((found - found.mean()) ** 2).sum())
    inside = sum(
        float(((of - of.mean()) ** 2).sum()) for of in (found[groups == kind] for kind in kinds)
    )
    free = len(found) - len(kinds)
    if free <= 0 or total == 0:
        return 0.0
    return max(0.0, 1 - (inside / free) / (total / (len(found) - 1)))


def _groups(axis: Axis, points: Sequence[object]) -> npt.NDArray[np.int64]:
    """Which group each trial is of."""
    if isinstance(axis, Choices):
        places = {repr(value): place for place, value in enumerate(axis.values)}
        return np.array([places[repr(point)] for point in points], np.int64)
    numbers = np.array(points, np.float64)
    ends = np.quantile(numbers, np.linspace(0, 1, GROUPS + 1)[1:-1])
    return np.searchsorted(ends, numbers).astype(np.int64)


def _fanova(
    axes: Sequence[Axis], trials: Sequence[Trial], values: Sequence[float]
) -> dict[str, float]:
    study = Study(axes, maximise=True)
    for trial, value in zip(trials, values, strict=True):
        study.add(trial, value)
    kinds = study.optuna.importance
    evaluator = kinds.FanovaImportanceEvaluator(seed=0)
    found = kinds.get_param_importances(study.study, evaluator=evaluator)
    return {axis.key: float(found.get(axis.key, 0.0)) for axis in axes}


def _sorted(method: str, shares: dict[str, float]) -> Importance:
    order = sorted(shares, key=lambda key: -shares[key])
    return Importance(method, {key: shares[key] for key in order})
