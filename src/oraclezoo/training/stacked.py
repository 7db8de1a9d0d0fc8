"""Stacked training: several seeds of a recipe on one device, each with a separate run folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from oraclezoo.artifacts.run import Run, folder_name, occupied
from oraclezoo.engine import stacked
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Epoch, TrainerOptions
from oraclezoo.engine.stacked import CannotStackError, StackedTrainer
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, ResultError
from oraclezoo.plugins.blame import blaming
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.prepared import Prepared, prepare
from oraclezoo.training.session import Session, recording_failure
from oraclezoo.training.tracking import Tracking


@dataclass(frozen=True)
class SeedCallbacks:
    """Functions that stacked training calls.

    Attributes:
        on_epoch: Called after each epoch with each seed and its metrics.
        on_diverged: Called with each seed whose run diverged; these runs are not returned.
        on_step: Called after each step with the seeds and the finished share of their budget.
        should_stop: Called after each step; if it returns True, the state of all seeds is saved and
            training stops.
        warn: Called with one line of text, e.g. if a tracker fails.
    """

    on_epoch: Callable[[int, Epoch], None] = lambda seed, epoch: None
    on_diverged: Callable[[int, DivergedError], None] = lambda seed, error: None
    on_step: Callable[[Collection[int], float], None] = lambda seeds, share: None
    should_stop: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = lambda text: None


def train(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    registry: Registry,
    execution: Execution,
    out: Path = Path("runs"),
    resume: Collection[int] = (),
    stack_size: int | None = None,
    callbacks: SeedCallbacks | None = None,
) -> list[Run]:
    """Train a recipe with several seeds as a stack.

    Each seed has the same run folder as in separate training, except that ``together`` in
    ``run.json`` is the size of the stack.

    Args:
        recipe: The recipe, which need not be resolved.
        seeds: The seeds to train.
        registry: Registry of components.
        execution: Device and other execution settings; ``torch.compile`` is not used.
        out: Parent folder of the run folders.
        resume: Seeds that resume from the checkpoint in their run folder, if there is one. Seeds at
            different steps are trained in separate stacks.
        stack_size: Number of seeds in a stack; by default as many as fit into half of the free
            memory.
        callbacks: Functions to call during training.

    Returns:
        The finished runs, in the order of ``seeds``.

    Raises:
        CannotStackError: The seeds must be trained one by one. If possible, this is raised before
            any folder is changed.
        OracleZooError: Any error that :func:`oraclezoo.train` raises.
    """
    callbacks = callbacks or SeedCallbacks()
    resolved = resolve(recipe, registry)
    if resolved.pretrain.epochs:
        raise CannotStackError("recipes with pre-training are trained one by one")
    if resolved.distill.teachers:
        raise CannotStackError("recipes with teachers are trained one by one")
    settings = replace(execution, compile="off", deterministic=False)
    prepared = prepare(resolved, registry, settings)
    trial = [_trainer(prepared, seed, out) for seed in seeds[:2]]
    stacked.check(trial)
    size = stack_size or stacked.fitting(trial[0])
    del trial  # their folders do not exist yet
    runs: list[Run] = []
    with ExitStack() as locks:
        for seed in seeds:
            locks.enter_context(occupied(out / folder_name(resolved, seed)))
        for first in range(0, len(seeds), size):
            chunk = seeds[first : first + size]
            sessions = [
                _begin(
                    prepared, seed, out, resume=seed in resume, of=len(chunk), warn=callbacks.warn
                )
                for seed in chunk
            ]
            for _, group in groupby(sorted(sessions, key=_step), key=_step):
                with blaming(registry):
                    runs += _fit(list(group), callbacks)
    return sorted(runs, key=lambda run: list(seeds).index(run.record.provenance.seed))


def _step(session: Session) -> int:
    return session.trainer.step


def _trainer(prepared: Prepared, seed: int, out: Path) -> Trainer:
    """Return the trainer for a seed, as for a separate run; the run folder may not exist yet."""
    return Trainer(
        prepared.recipe,
        prepared.parts(seed),
        prepared.data,
        seed=seed,
        device=prepared.device,
        folder=out / folder_name(prepared.recipe, seed),
        options=TrainerOptions(compile="off"),
    )


def _begin(
    prepared: Prepared,
    seed: int,
    out: Path,
    *,
    resume: bool,
    of: int,
    warn: Callable[[str], None],
) -> Session:
    """Open the run folder for a seed that is trained in a stack of ``of`` seeds."""
    trainer = _trainer(prepared, seed, out)
    run = Run(trainer.folder)
    try:
        resumed = resume and trainer.resume()
    except ResultError:  # ignore a broken checkpoint
        resumed, trainer = False, _trainer(prepared, seed, out)
    tracking = Tracking(prepared.execution.trackers, prepared.registry, warn)
    session = Session(prepared, trainer, run, tracking, concurrent=of)
    session.open(resumed=resumed)
    return session


def _fit(group: list[Session], callbacks: SeedCallbacks) -> list[Run]:
    """Finish training sessions that are at the same step; return the runs that did not diverge."""
    running = {session.trainer.seed: session for session in group}

    def on_epoch(trainer: Trainer, epoch: Epoch) -> None:
        running[trainer.seed].log(epoch)
        callbacks.on_epoch(trainer.seed, epoch)

    def on_diverged(trainer: Trainer, error: DivergedError) -> None:
        running.pop(trainer.seed).end(error)
        callbacks.on_diverged(trainer.seed, error)

    prepared = group[0].prepared
    facts = prepared.registry.get("optimizer", prepared.recipe.optimizer.name).spec.facts
    with recording_failure(running.values()):
        stack = StackedTrainer(
            [session.trainer for session in group], separable=bool(facts.get("separable"))
        )
        stack.fit(
            on_epoch=on_epoch,
            on_diverged=on_diverged,
            on_step=lambda share: callbacks.on_step(running.keys(), share),
            should_stop=callbacks.should_stop,
        )
    return [session.finish() for session in running.values()]


def marking(folder: Path, processes: int, should_stop: Callable[[], bool]) -> Callable[[], bool]:
    """Wrap a run's ``should_stop`` so that each call marks the run's record as concurrent.

    The trainer calls ``should_stop`` after each step and before writing a checkpoint. The mark
    therefore precedes the first checkpoint, and no timed benchmark reuses the run.

    Args:
        folder: The run folder.
        processes: Number of processes that train concurrently.
        should_stop: The function to wrap.
    """
    marked: tuple[int, int] | None = None

    def mark_and_ask() -> bool:
        nonlocal marked
        version = _file_version(folder / "run.json")
        if version is not None and version != marked:  # new, or replaced after pre-training
            run = Run(folder)
            run.write(replace(run.record, concurrent=processes, strategy="processes"))
            marked = _file_version(folder / "run.json")
        return should_stop()

    return mark_and_ask


def _file_version(path: Path) -> tuple[int, int] | None:
    """Return a file's inode and modification time, which change if it is replaced, or None."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
