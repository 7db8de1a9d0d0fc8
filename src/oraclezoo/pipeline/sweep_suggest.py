"""Suggest: which point of the space is tried next, and which trial is given up.

A sampler's choice is a function of the seed, the trial's number and the trials before it, so that a
sweep that was killed goes on as if it had not been. ``grid`` and ``random`` are our own; ``tpe``,
``gp`` and the pruners are Optuna's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from oraclezoo.errors import OracleZooError
from oraclezoo.pipeline.sweep_journal import Trial
from oraclezoo.pipeline.sweep_space import Axis, Choices, Point, grid_point, random_point

SAMPLERS = ("random", "grid", "tpe", "gp")
PRUNERS = ("none", "median", "halving", "hyperband")


Ended = Iterable[tuple[Trial, float | None]]
"""Trials that are over, each with what it got to: the value that is maximised or minimised."""


class Suggester:
    """For one sweep."""

    def __init__(
        self, axes: Sequence[Axis], *, sampler: str, pruner: str, seed: int, maximise: bool
    ) -> None:
        self.axes, self.sampler, self.pruner, self.seed = axes, sampler, pruner, seed
        self.maximise = maximise
        if sampler in ("tpe", "gp") or pruner != "none":
            need_optuna()
        self._live: Any = None

    def propose(self, number: int, ended: Ended) -> Point:
        """The point of a new trial."""
        if self.sampler == "grid":
            return grid_point(self.axes, number)
        if self.sampler == "random":
            return random_point(self.axes, self.seed, number)
        return self._study(ended).ask(self.sampler, (self.seed * 1_000_003 + number) % 2**31)

    def begin(self, point: Point, ended: Ended) -> None:
        """A trial at this point is trained from here on, beside those that are over."""
        self._live = self._study(ended).begin(point) if self.pruner != "none" else None

    def should_prune(self, step: int, value: float) -> bool:
        """Whether that trial, with this value after so many steps, is to be given up."""
        if self._live is None:
            return False
        self._live.report(value, step)
        return bool(self._live.should_prune())

    def _study(self, ended: Ended) -> Study:
        study = Study(self.axes, pruner=self.pruner, maximise=self.maximise)
        for trial, value in ended:
            study.add(trial, value)
        return study


class Study:
    """An Optuna study in memory, made of what the journal tells.

    Raises OracleZooError if Optuna is not installed.
    """

    def __init__(self, axes: Sequence[Axis], *, pruner: str = "none", maximise: bool) -> None:
        self.optuna = need_optuna()
        self.axes = axes
        pruners = self.optuna.pruners
        made = {
            "none": pruners.NopPruner,
            "median": pruners.MedianPruner,
            "halving": pruners.SuccessiveHalvingPruner,
            "hyperband": pruners.HyperbandPruner,
        }[pruner]()
        self.study = self.optuna.create_study(
            study_name="sweep",  # Hyperband divides trials by it: the same at any time
            direction="maximize" if maximise else "minimize",
            pruner=made,
        )
        self.distributions = {axis.key: self._distribution(axis) for axis in axes}

    def add(self, trial: Trial, value: float | None) -> None:
        """A trial that has ended, with the value it got to, if any."""
        states = self.optuna.trial.TrialState
        state = {"done": states.COMPLETE, "pruned": states.PRUNED}.get(trial.status, states.FAIL)
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=state,
                value=value if state == states.COMPLETE else None,
                params=self._params(trial.point),
                distributions=self.distributions,
                intermediate_values=trial.curve,
            )
        )

    def ask(self, sampler: str, seed: int) -> Point:
        """Where the sampler would look next."""
        samplers = self.optuna.samplers
        kind = {"tpe": samplers.TPESampler, "gp": samplers.GPSampler}[sampler]
        self.study.sampler = kind(seed=seed)
        params = self.study.ask(self.distributions).params
        return {axis.key: self._value(axis, params[axis.key]) for axis in self.axes}

    def begin(self, point: Point) -> Any:
        """Optuna's trial at a point."""
        self.study.enqueue_trial(self._params(point))
        return self.study.ask(self.distributions)

    def _distribution(self, axis: Axis) -> Any:
        kinds = self.optuna.distributions
        values = axis.grid() if isinstance(axis, Choices) or axis.count is not None else None
        if values is not None:  # by place: any value can be a choice, a list too
            if isinstance(axis, Choices):
                return kinds.CategoricalDistribution(list(range(len(values))))
            return kinds.IntDistribution(0, len(values) - 1)
        assert not isinstance(axis, Choices)
        if axis.whole:
            return kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return kinds.FloatDistribution(axis.low, axis.high, log=axis.log)

    def _params(self, point: Point) -> dict[str, Any]:
        """Our values as the distributions have them."""
        return {axis.key: self._param(axis, point[axis.key]) for axis in self.axes}

    def _param(self, axis: Axis, value: Any) -> Any:
        if isinstance(axis, Choices) or axis.count is not None:
            return (axis.grid() or ()).index(value)
        return value

    def _value(self, axis: Axis, param: Any) -> Any:
        if isinstance(axis, Choices) or axis.count is not None:
            return (axis.grid() or ())[param]
        return param if axis.whole else min(max(float(f"{param:.6g}"), axis.low), axis.high)


def need_optuna() -> Any:
    """The module. Raises OracleZooError with what to install."""
    try:
        import optuna
    except ImportError as error:
        raise OracleZooError(
            f"this needs Optuna ({error}): pip install 'oraclezoo[sweep]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
