"""The Optuna study of a sweep, stored in a journal file.

Each proposal depends only on the seed of the sampler, the number of the trial and the finished
trials, and the first record of a trial contains all values of its point. If a sweep is killed and
resumed, it therefore runs the same trials as an uninterrupted sweep.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from oraclezoo.errors import OracleZooError, ResultError, UsageError
from oraclezoo.sweeping.records import Importance, Part, Point, Settings, Trial
from oraclezoo.sweeping.space import LARGEST_GRID, Axis, Choices, grid_size

NAME = "sweep"
"""Name of the study. It must not change: Hyperband uses it to assign trials to brackets."""

DEFINITION, HASH, REASON, PART = "definition", "recipe_hash", "reason", "training_"
"""Optuna user attributes: the study's definition, and the fields of a trial except its point."""

RECORD = b'{"op_code":'
"""Initial bytes of each record in Optuna's journal."""

FEWEST = 4
"""Minimum number of finished trials for computing importance."""

_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


class Study:
    """The trials of one sweep; only one process at a time may use it.

    ``definition`` is JSON-serializable data that identifies the search. Raises UsageError if the
    journal at ``path`` belongs to a different sweep, and ResultError if it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        axes: Sequence[Axis],
        settings: Settings,
        definition: Mapping[str, object],
    ) -> None:
        self.path, self.axes, self.settings = path, axes, settings
        self._distributions = {axis.key: _distribution(axis) for axis in axes}
        with self._reading():
            _discard_torn_record(path)
            self._storage = JournalStorage(
                JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
            )
            self._study = self._create(self._storage, optuna.samplers.RandomSampler(seed=0))
            self._id = self._storage.get_study_id_from_name(NAME)
            self._define(definition)
            self.trials()

    def trials(self) -> list[Trial]:
        """Return all trials in the order in which they started."""
        with self._reading():
            return [self._trial(frozen) for frozen in self._study.trials]

    def propose(self) -> Point:
        """Return the point of the next trial. All earlier trials must have ended."""
        scratch = self._create(None, self._sampler(len(self._study.trials)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            scratch.add_trials(self._study.trials)
            params = scratch.ask(self._distributions).params
        return {axis.key: axis.decode(params[axis.key]) for axis in self.axes}

    def start(self, point: Point, recipe_hash: str) -> Trial:
        """Add a trial with status running."""
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params={axis.key: axis.encode(point[axis.key]) for axis in self.axes},
                distributions=self._distributions,
                user_attrs={HASH: recipe_hash},
            )
        )
        return self.trials()[-1]

    def add_part(self, number: int, part: int, result: Part) -> Trial:
        """Record a finished training run of trial ``number``."""
        self._live(number).set_user_attr(f"{PART}{part}", asdict(result))
        return self.trials()[number]

    def should_prune(self, number: int, step: int, value: float) -> bool:
        """Report the value of a running trial after ``step``; return whether to prune the trial.

        If a step is reported again, its first value is kept.
        """
        live = self._live(number)
        if step not in self.trials()[number].curve:
            live.report(value, step)
        return live.should_prune()

    def end(self, number: int, status: str, reason: str = "") -> Trial:
        """Record that trial ``number`` is done, pruned or failed."""
        live = self._live(number)
        if reason:
            live.set_user_attr(REASON, reason)
        if status == "done":
            live.study.tell(live, self.trials()[number].value(self.settings.metric))
        else:
            state = TrialState.PRUNED if status == "pruned" else TrialState.FAIL
            live.study.tell(live, state=state)
        return self.trials()[number]

    def importance(self) -> Importance | None:
        """Return the fANOVA importance of each key; None for too few trials or equal values."""
        values = [frozen.value for frozen in self._study.trials if _STATES[frozen.state] == "done"]
        if len(values) < FEWEST or len(set(values)) < 2:
            return None
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        importances = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        shares = {axis.key: float(importances.get(axis.key, 0.0)) for axis in self.axes}
        order = sorted(shares, key=lambda key: -shares[key])
        return Importance(
            "fANOVA over a random forest, by Optuna", {key: shares[key] for key in order}
        )

    def _create(self, storage: JournalStorage | None, sampler: BaseSampler) -> optuna.Study:
        return optuna.create_study(
            storage=storage,
            study_name=NAME,
            direction="maximize" if self.settings.maximize else "minimize",
            sampler=sampler,
            pruner=_pruner(self.settings.pruner),
            load_if_exists=True,
        )

    def _sampler(self, number: int) -> BaseSampler:
        """Return the sampler for trial ``number``."""
        name, seed = self.settings.sampler, (self.settings.seed * 1_000_003 + number) % 2**31
        size = grid_size(self.axes)
        if name == "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if name == "gp":
                return optuna.samplers.GPSampler(seed=seed)
            if size is not None and (name == "grid" or size <= LARGEST_GRID):
                return optuna.samplers.BruteForceSampler(seed=seed)  # never repeats a point
        return optuna.samplers.RandomSampler(seed=seed)

    def _define(self, definition: Mapping[str, object]) -> None:
        """Store the definition, or compare it with the stored definition."""
        stored = self._study.user_attrs.get(DEFINITION)
        if stored is None and not self._study.trials:
            self._study.set_user_attr(DEFINITION, definition)
            return
        if not isinstance(stored, dict):
            raise ValueError("no sweep definition")
        for key, value in json.loads(json.dumps(definition)).items():
            if stored.get(key) != value:
                raise UsageError(
                    f"{self.path.parent} has a sweep with a different {key}; "
                    "resume it with its original options, or choose another --out"
                )

    def _live(self, number: int) -> optuna.Trial:
        """Return Optuna's object for a running trial, even if a killed process started it."""
        return optuna.Trial(
            self._study, self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        )

    def _trial(self, frozen: FrozenTrial) -> Trial:
        """Return the record of an Optuna trial. A corrupt journal may raise any exception."""
        for axis in self.axes:
            if frozen.distributions[axis.key] != self._distributions[axis.key]:
                raise ValueError(f"trial {frozen.number} has a different range of {axis.key}")
        parts = {
            int(name.removeprefix(PART)): _part(value)
            for name, value in frozen.user_attrs.items()
            if name.startswith(PART)
        }
        status = _STATES[frozen.state]
        if status == "done" and (not parts or not math.isfinite(frozen.values[0])):
            raise ValueError(f"trial {frozen.number} is done but has no result")
        return Trial(
            number=frozen.number,
            point={axis.key: axis.decode(frozen.params[axis.key]) for axis in self.axes},
            hash=str(frozen.user_attrs[HASH]),
            parts=dict(sorted(parts.items())),
            status=status,
            reason=str(frozen.user_attrs.get(REASON, "")),
            curve={int(k): float(v) for k, v in sorted(frozen.intermediate_values.items())},
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OracleZooError, OSError):
            raise
        except Exception as error:  # Optuna may raise any exception for a corrupt line
            cause = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ResultError(
                f"{self.path}: corrupt sweep journal ({cause}); "
                "restore the file or choose another --out"
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager that silences Optuna's log handler, and restores the verbosity at the end."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _discard_torn_record(path: Path) -> None:
    """Remove an incomplete last line, and Optuna's lock file, left by a killed process.

    Otherwise Optuna would append its next record to the incomplete line. The caller must hold the
    sweep's lock. Raises ValueError if the end of the file is not part of a journal.
    """
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        if content[end:].startswith(RECORD) or RECORD.startswith(content[end:]):
            file.truncate(end)
        else:
            raise ValueError("its last line is not a record")


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Choices) or axis.count is not None:
        return CategoricalDistribution([axis.encode(value) for value in axis.grid() or ()])
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _pruner(name: str) -> BasePruner:
    pruners: dict[str, type[BasePruner]] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "halving": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }
    return pruners[name]()


def _part(value: Mapping[str, float]) -> Part:
    part = Part(float(value["accuracy"]), float(value["loss"]), float(value["train_s"]))
    if not all(map(math.isfinite, (part.accuracy, part.loss, part.train_s))):
        raise ValueError("a training run has a metric that is not finite")
    return part
