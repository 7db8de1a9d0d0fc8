"""Sweeps: train a recipe at many points of a search space, without reading the test split."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from oraclezoo.artifacts.build import open_dataset
from oraclezoo.artifacts.plugins import encoded, plugin_code
from oraclezoo.artifacts.provenance import components
from oraclezoo.artifacts.run import occupied
from oraclezoo.codec import encode
from oraclezoo.contracts import Dataset
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo.executors.placement import Placement
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.storage import write_atomically
from oraclezoo.sweeping.placed import PlacedSearch
from oraclezoo.sweeping.records import TRIALS, Importance, Settings, Trial, Watch
from oraclezoo.sweeping.search import RUNS, Search, plan
from oraclezoo.sweeping.space import Axis, check_grid, grid_size, read_space

logger = logging.getLogger(__name__)

JOURNAL, BEST, FOLDS = "journal.log", "best.toml", "folds"
OLD_JOURNAL, OLD_SCHEMA = "journal.jsonl", b"oraclezoo/sweep-journal/"
"""Journal of version 0.1.0: its file name, and the start of its first line."""


@dataclass(frozen=True)
class Sweep:
    """Current state of a sweep; ``trials`` are in the order in which they were started.

    ``judged`` describes the evaluation images; ``complete`` is False if the time limit was reached
    before the last trial ended; ``importance`` is None if there are too few trials.
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
        """Finished trials, best first; ties are broken by the other metric."""
        completed = [trial for trial in self.trials if trial.status == "done"]
        keys: dict[str, Callable[[Trial], tuple[float, float]]] = {
            "accuracy": lambda trial: (-trial.accuracy, trial.loss),
            "loss": lambda trial: (trial.loss, -trial.accuracy),
        }
        return sorted(completed, key=keys[self.metric])

    @property
    def best(self) -> Trial | None:
        """The first of :attr:`ranked`."""
        return next(iter(self.ranked), None)

    def best_recipe(self) -> Recipe:
        """Return the best trial's recipe, as in ``best.toml``. Raises UsageError if none exists."""
        if self.best is None:
            raise UsageError(f"{self.folder}: no trial has finished")
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
    on: str | None = None,
    executor_options: Mapping[str, object] = MappingProxyType({}),
    registry: Registry | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_step: Callable[[float], None] = lambda trials: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Sweep:
    """Train a recipe at many points of a search space and write the best recipe to ``best.toml``.

    A call with the same ``out`` and settings resumes the sweep; a larger ``trials`` extends it. A
    trial that diverges, runs out of memory or cannot be built gets the status ``failed``, and the
    sweep continues. Requires the ``[sweep]`` extra.

    Args:
        recipe: A recipe, its name, or the path of its file.
        space: Keys with lists of values or strings such as ``"log:0.01:1"``
            (see docs/how-to/train/sweeps.md).
        sampler: ``"random"``, ``"grid"``, ``"tpe"`` or ``"gp"``.
        pruner: ``"none"``, ``"median"``, ``"halving"`` or ``"hyperband"``.
        trials: Number of trials; by default the full grid, or 20 for other samplers.
        timeout_s: Time in seconds after which no further step is started.
        seeds: Number of training runs of each trial, with seeds 0, 1, ....
        folds: Number of folds for cross-validation on the training and validation images; fold
            ``k`` uses the seeds ``k``, ``k + folds``, .... 0 evaluates on the validation images.
        metric: Metric to optimize: ``"accuracy"`` or ``"loss"``.
        seed: Random seed of the sampler.
        out: Folder of the sweep; by default ``sweeps/<name of the recipe>``.
        keep_runs: Whether to keep the run folders of all trials.
        on_trial: Called after each trial.
        on_step: Called after each step of a training run with the number of finished trials,
            including fractions.
        on: Name of an executor that runs the trainings of a trial at the same time, and for the
            samplers ``"random"`` and ``"grid"`` those of all trials; not with a pruner. None trains
            in this process.
        executor_options: Options of the executor.

    Raises:
        UsageError, DataError, ResultError: Settings, data or the journal are invalid.
        OracleZooError: Optuna is not installed.
        InterruptedRunError: A stop was requested.

    Example:
        >>> space = {"optimizer.lr": "log:0.02:1"}
        >>> oz.sweep("quick", space, trials=10).ranked[0].accuracy  # doctest: +SKIP
        0.91
    """
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    settings = Settings(sampler, pruner, metric, trials, seeds, folds, seed)
    data_folder = None if data_dir is None else Path(data_dir).absolute()
    execution = Execution(data_folder, device, compile, stream_above=stream_above)
    watch = Watch(on_trial, should_stop, progress or logger.warning, on_step)
    registry = registry or build_registry()
    placement = None if on is None else Placement.of(on, executor_options, registry, leave=False)
    if placement is not None and pruner != "none":
        raise UsageError(
            f"with an executor, trainings run at the same time, so that the pruner '{pruner}' "
            "cannot stop them early: leave the pruner out"
        )
    base = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    axes = read_space(space, base, registry)
    if sampler == "grid":
        check_grid(axes)
    _need_optuna()
    trial_base = dataclasses.replace(base, data=dataclasses.replace(base.data, refit=False))
    resolved = resolve(trial_base, registry)
    dataset = open_dataset(resolved, registry, data_folder, progress, execution.stream_limit())
    definition = _definition(resolved, axes, settings, registry, dataset)
    folder = Path("sweeps") / base.name if out is None else Path(out)
    from oraclezoo.sweeping.study import Study, quiet  # imports Optuna

    with occupied(folder), quiet():
        _refuse_old_journal(folder)
        study = Study(folder / JOURNAL, axes, settings, definition)
        if placement is not None:
            folder = folder.absolute()
        trainings = plan(dataset, folder / FOLDS, settings, data_folder)
        search = (Search if placement is None else partial(PlacedSearch, placement))(
            folder,
            trial_base,
            registry,
            study,
            settings,
            execution,
            watch,
            trainings,
            ends,
            keep_runs,
        )
        try:
            complete = search.run(_wanted(settings, axes))
        finally:
            shutil.rmtree(folder / FOLDS, ignore_errors=True)
        if complete and not keep_runs:
            shutil.rmtree(folder / RUNS, ignore_errors=True)
        result = Sweep(
            folder=folder,
            axes=axes,
            trials=tuple(study.trials()),
            metric=metric,
            judged=_judged(resolved, settings),
            complete=complete,
            importance=study.importance(),
        )
        if result.best is not None:
            write_atomically(folder / BEST, _best(base, result, result.best).to_toml().encode())
    return result


def _wanted(settings: Settings, axes: tuple[Axis, ...]) -> int:
    """Return the number of trials to run."""
    size = grid_size(axes)
    number = settings.trials or (size if settings.sampler == "grid" else None) or TRIALS
    if size is not None and settings.sampler in ("grid", "random"):
        return min(number, size)  # a grid never repeats a point
    return number


def _definition(
    recipe: Recipe,
    axes: tuple[Axis, ...],
    settings: Settings,
    registry: Registry,
    dataset: Dataset,
) -> dict[str, object]:
    """Return every input that affects the result of a trial, as JSON-serializable data."""
    dataset.split("train"), dataset.split("validation")  # reading a split computes its digests
    definition: dict[str, object] = {
        "recipe": recipe.canonical(),
        "space": {axis.key: axis.text() for axis in axes},
        "sampler": settings.sampler,
        "pruner": settings.pruner,
        "seed": settings.seed,
        "metric": settings.metric,
        "seeds": settings.seeds,
        "folds": settings.folds,
        "components": {kind: encode(each) for kind, each in components(recipe, registry).items()},
        "data_sha256": dict(dataset.sha256),
    }
    plugins = plugin_code(recipe, registry)
    if plugins:  # omitted if empty, to keep the hashes of earlier studies
        definition["plugins"] = encoded(plugins)
    plain: dict[str, object] = json.loads(json.dumps(definition, default=list))
    return plain


def _judged(recipe: Recipe, settings: Settings) -> str:
    track = recipe.data.track.removeprefix("oraclezoo:")
    at = "one seed" if settings.seeds == 1 else f"{settings.seeds} seeds"
    if settings.folds:
        return (
            f"{settings.folds}-fold cross-validation inside training and validation of {track}, "
            f"{at}"
        )
    return f"validation of {track}, {at}"


def _best(base: Recipe, result: Sweep, best: Trial) -> Recipe:
    """Return the base recipe at the best point, with the base recipe's value of ``refit``."""
    spread = "" if best.accuracy_se is None else f" +- {100 * best.accuracy_se:.1f}"
    finished = sum(trial.status != "running" for trial in result.trials)
    summary = (
        f"{base.name} with the best of {finished} trials: {100 * best.accuracy:.1f}{spread}% in "
        f"{result.judged}"
    )
    name = f"{base.name[:58]}-swept"
    return base.override({**best.point, "name": name, "summary": summary})


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise OracleZooError(
            f"sweeps need Optuna ({error}): pip install 'oraclezoo[sweep]'"
        ) from error


def _refuse_old_journal(folder: Path) -> None:
    """Raise UsageError for a sweep of version 0.1.0, whose journal has a different format."""
    for path in (folder / OLD_JOURNAL, folder / JOURNAL):
        if path.is_file():
            with path.open("rb") as file:
                if path.name == OLD_JOURNAL or OLD_SCHEMA in file.read(4096):
                    raise UsageError(
                        f"{path} is from oraclezoo 0.1.0, whose sweeps cannot be resumed; "
                        "delete it to start over, or choose another --out"
                    )
