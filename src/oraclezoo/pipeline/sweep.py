"""Sweep: many recipes that differ in a few keys, each trained and judged without a test image.

One folder a sweep, with a journal: killed or stopped and started again it goes on with the trials
that are not over, and with the training that was at work from its last checkpoint.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from oraclezoo.artifacts.build import components, open_dataset
from oraclezoo.artifacts.run import writable
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError, nearest
from oraclezoo.pipeline.sweep_importance import Importance, importance
from oraclezoo.pipeline.sweep_journal import Journal, Trial
from oraclezoo.pipeline.sweep_space import Axis, grid_size, read_space
from oraclezoo.pipeline.sweep_suggest import PRUNERS, SAMPLERS, Suggester
from oraclezoo.pipeline.sweep_work import RUNS, Work, parts_of
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.result import write_atomically

logger = logging.getLogger(__name__)

JOURNAL, BEST, FOLDS = "journal.jsonl", "best.toml", "folds"
METRICS = ("accuracy", "loss")
TRIALS = 20
"""As many as there are if nothing is said, but for a grid."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep has found so far; ``trials`` in the order in which they began.

    ``judged`` says in words on what the trials were judged; ``complete`` whether all are over.
    """

    folder: Path
    axes: tuple[Axis, ...]
    trials: tuple[Trial, ...]
    metric: str
    judged: str
    complete: bool
    importance: Importance | None

    @property
    def ranked(self) -> list[Trial]:
        """Trials that are done, the best first; equal ones by the other metric."""
        done = [trial for trial in self.trials if trial.status == "done"]
        keys: dict[str, Callable[[Trial], tuple[float, float]]] = {
            "accuracy": lambda trial: (-trial.accuracy, trial.loss),
            "loss": lambda trial: (trial.loss, -trial.accuracy),
        }
        return sorted(done, key=keys[self.metric])

    @property
    def best(self) -> Trial | None:
        """The first of :attr:`ranked`."""
        return next(iter(self.ranked), None)

    def best_recipe(self) -> Recipe:
        """The best trial's recipe, as ``best.toml`` has it. Raises UsageError if none is done."""
        if self.best is None:
            raise UsageError(f"{self.folder}: no trial is done")
        return Recipe.load(self.folder / BEST)


def sweep(
    recipe: Recipe | str | Path,
    space: Mapping[str, object],
    *,
    sampler: str = "random",
    pruner: str = "none",
    trials: int | None = None,
    timeout_s: float | None = None,
    seeds: int = 1,
    folds: int = 0,
    metric: str = "accuracy",
    seed: int = 0,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    keep_runs: bool = False,
    stream_above: int | str | None = None,
    compile: str = "auto",
    registry: Registry | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Sweep:
    """Train a recipe at many points of a space, and write the best one's to ``best.toml``.

    ``space`` maps keys to lists of values or to texts (``"log:0.01:1"``; docs/sweeps.md).
    ``sampler`` is random, grid, tpe or gp; ``pruner`` none, median, halving or hyperband; all but
    random, grid and none need the extra ``[sweep]``. ``trials``: by default the whole grid, or 20.
    Each trial is trained at ``seeds`` seeds (0, 1, ...) and judged on the validation images; or,
    with ``folds``, on each of so many folds of training and validation images in turn, fold ``k``
    at the seeds ``k``, ``k + folds``, .... ``metric`` is accuracy or loss; ``seed`` is the
    sampler's own. ``timeout_s`` seconds after the call no step is taken any more. ``out`` is by
    default ``sweeps/<recipe's name>``; what its journal has is not trained again, so that a call
    with more ``trials`` goes on. The test split is never read.

    Raises UsageError, DataError or ResultError; InterruptedRunError when stopped on request. A
    trial that diverges, runs out of memory or cannot be built is ``failed``, and the others go on.
    """
    began = time.monotonic()
    registry = registry or build_registry()
    base = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    _check(sampler, pruner, metric, seeds, folds, trials)
    axes = read_space(space, base, registry)
    tried = dataclasses.replace(base, data=dataclasses.replace(base.data, refit=False))
    resolved = resolve(tried, registry)
    size = grid_size(axes)
    if sampler == "grid" and size is None:
        Suggester(axes, sampler=sampler, pruner=pruner, seed=seed, maximise=True).propose(0, ())
    wanted = trials or (size if sampler == "grid" else None) or TRIALS
    if size is not None and sampler in ("grid", "random"):
        wanted = min(wanted, size)  # no point twice
    maximise = metric == "accuracy"
    suggester = Suggester(axes, sampler=sampler, pruner=pruner, seed=seed, maximise=maximise)
    place = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(resolved, registry, place, progress, limit)
    dataset.split("train"), dataset.split("validation")
    folder = Path("sweeps") / base.name if out is None else Path(out)
    writable(folder)
    with _alone(folder):
        journal = Journal(folder / JOURNAL)
        journal.begin(
            {
                "recipe": resolved.canonical(),
                "space": {axis.key: axis.text() for axis in axes},
                "sampler": sampler,
                "pruner": pruner,
                "seed": seed,
                "metric": metric,
                "seeds": seeds,
                "folds": folds,
                "components": components(resolved, registry),
                "data_sha256": dict(dataset.sha256),
            }
        )
        work = Work(
            folder=folder,
            base=tried,
            registry=registry,
            journal=journal,
            suggester=suggester,
            metric=metric,
            parts=parts_of(dataset, folder / FOLDS, seeds, folds, place),
            options={"device": device, "stream_above": stream_above, "compile": compile},
            keep_runs=keep_runs,
            on_trial=on_trial,
            should_stop=should_stop,
            progress=progress or logger.warning,
            ends=None if timeout_s is None else began + timeout_s,
        )
        try:
            complete = work.all(wanted)
        finally:
            shutil.rmtree(folder / FOLDS, ignore_errors=True)
        if complete and not keep_runs:
            shutil.rmtree(folder / RUNS, ignore_errors=True)
        found = _found(folder, axes, journal, metric, _judged(resolved, seeds, folds), complete)
        if found.best is not None:
            chosen = _best(base, found)
            write_atomically(folder / BEST, chosen.to_toml().encode())
    return found


def _judged(recipe: Recipe, seeds: int, folds: int) -> str:
    track = recipe.data.track.removeprefix("oraclezoo:")
    at = "one seed" if seeds == 1 else f"{seeds} seeds"
    if folds:
        return f"{folds}-fold cross-validation inside training and validation of {track}, {at}"
    return f"validation of {track}, {at}"


def _found(
    folder: Path,
    axes: tuple[Axis, ...],
    journal: Journal,
    metric: str,
    judged: str,
    complete: bool,
) -> Sweep:
    trials = tuple(trial for _, trial in sorted(journal.trials.items()))
    done = [trial for trial in trials if trial.status == "done"]
    values = [trial.accuracy if metric == "accuracy" else trial.loss for trial in done]
    weight = importance(axes, done, values)
    return Sweep(folder, axes, trials, metric, judged, complete, weight)


def _best(base: Recipe, found: Sweep) -> Recipe:
    """The base recipe with the best point; what it says of a refit is its own."""
    best = found.best
    assert best is not None
    spread = "" if best.accuracy_se is None else f" +- {100 * best.accuracy_se:.1f}"
    tried = sum(trial.status != "running" for trial in found.trials)
    summary = (
        f"{base.name} with the best of {tried} trials: {100 * best.accuracy:.1f}{spread}% in "
        f"{found.judged}"
    )
    name = f"{base.name[:58]}-swept"
    return base.override({**best.point, "name": name, "summary": summary})


def _check(
    sampler: str, pruner: str, metric: str, seeds: int, folds: int, trials: int | None
) -> None:
    for what, value, known in (
        ("sampler", sampler, SAMPLERS),
        ("pruner", pruner, PRUNERS),
        ("metric", metric, METRICS),
    ):
        if value not in known:
            raise UsageError(f"there is no {what} '{value}'{nearest(value, known)}")
    if seeds < 1 or folds < 0 or folds == 1 or (trials is not None and trials < 1):
        raise UsageError("a sweep has one trial or more, one seed or more, and no or two folds up")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time in a sweep's folder; the lock goes with a process that is killed."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UsageError(f"another sweep is at work in {folder}; choose another --out") from error
    try:
        yield
    finally:
        lock.release()
