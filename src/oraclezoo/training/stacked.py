"""Together: many seeds of one recipe trained as one on a device, and the run folders they leave."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from oraclezoo.artifacts import build, record
from oraclezoo.artifacts.run import SCHEMA, Run, folder_name, writable
from oraclezoo.artifacts.score import keep_score
from oraclezoo.contracts import Dataset
from oraclezoo.engine import together
from oraclezoo.engine.device import pick
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.records import Epoch, TrainingData
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.engine.together import CannotStackError, Together
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError, ResultError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.result import timestamp
from oraclezoo.training.tracking import Trackers, Tracking, choose

STRATEGY = "stacked"
"""What run.json calls it."""


def train(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    registry: Registry,
    data_dir: Path | None = None,
    device: str = "auto",
    out: Path = Path("runs"),
    resume: Collection[int] = (),
    at_once: int | None = None,
    stream_above: int | str | None = None,
    trackers: Trackers = (),
    say: Callable[[str], None] = lambda text: None,
    on_epoch: Callable[[int, Epoch], None] = lambda seed, epoch: None,
    on_diverged: Callable[[int, DivergedError], None] = lambda seed, error: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Run]:
    """Train a recipe at many seeds as one; the finished runs, in the order of ``seeds``.

    Each leaves a run folder as a lone training does, with ``"together"`` in its ``run.json``: how
    many there were. ``at_once`` seeds are trained at a time, by default as many as fit into half of
    the free memory; ``resume`` are those that go on from the state in their folder, if there is one
    (seeds that stand at different steps are trained in groups), all others are trained anew. A seed
    that diverges is told to ``on_diverged`` and has no finished run. Each seed has its own
    ``trackers``, and ``say`` is told of one that fails.

    Raises CannotStackError, before any folder is touched where that can be known, if these seeds
    are to be trained one by one; else as :func:`oraclezoo.train`.
    """
    track = partial(Tracking, choose(trackers, registry), registry, say)
    job = _Job(resolve(recipe, registry), registry, data_dir, device, out, stream_above, track)
    trainers = [job.trainer(seed) for seed in seeds[:2]]
    together.check(trainers)
    size = at_once or together.fitting(trainers[0])
    del trainers  # their folders are not made yet
    done: list[Run] = []
    for first in range(0, len(seeds), size):
        chunk = seeds[first : first + size]
        begun = [job.begin(seed, resume=seed in resume, of=len(chunk)) for seed in chunk]
        for _, group in groupby(sorted(begun, key=_step), key=_step):
            done += job.fit(list(group), on_epoch, on_diverged, should_stop)
    return sorted(done, key=lambda run: list(seeds).index(run.record["seed"]))


@dataclasses.dataclass(frozen=True)
class _Begun:
    """A training whose folder is open."""

    trainer: Trainer
    run: Run
    tracking: Tracking


def _step(begun: _Begun) -> int:
    return begun.trainer.step


class _Job:
    """What all seeds share: recipe, data and device."""

    def __init__(
        self,
        recipe: Recipe,
        registry: Registry,
        data_dir: Path | None,
        device: str,
        out: Path,
        stream_above: int | str | None,
        track: Callable[[], Tracking],
    ) -> None:
        self.track = track
        self.recipe, self.registry, self.out, self.device = recipe, registry, out, pick(device)
        if recipe.pretrain.epochs:
            raise CannotStackError("recipes with a pre-training are trained one by one")
        if recipe.distill.teachers:
            raise CannotStackError("recipes with teachers are trained one by one")
        limit = stream_limit(stream_above, self.device)
        self.dataset: Dataset = build.open_dataset(recipe, registry, data_dir, stream_above=limit)
        self.data: TrainingData = build.training_data(recipe, self.dataset, self.device, limit)
        self.shape = {
            "in_chans": 1,
            "num_classes": len(self.dataset.classes),
            "image_size": int(self.data.images.shape[-1]),
        }

    def trainer(self, seed: int) -> Trainer:
        """A training as a lone one has it; its folder need not be there yet."""
        parts = build.build_parts(self.recipe, self.registry, self.data, self.shape, seed)
        folder = self.out / folder_name(self.recipe, seed)
        return Trainer(
            self.recipe,
            parts,
            self.data,
            seed=seed,
            device=self.device,
            folder=folder,
            compile="off",
        )

    def begin(self, seed: int, *, resume: bool, of: int) -> _Begun:
        """Open a run's folder, one of ``of`` that are trained together."""
        trainer = self.trainer(seed)
        run = Run(trainer.folder)
        writable(self.out)
        run.folder.mkdir(exist_ok=True)
        identity = record.provenance(
            self.recipe, self.registry, self.dataset, self.device, seed, compile="off"
        )
        try:
            resumed = resume and trainer.resume()
        except ResultError:  # a broken checkpoint is none
            resumed, trainer = False, self.trainer(seed)
        record.open_folder(run, self.recipe, trainer.progress.epoch if resumed else None)
        data = self.data
        run.update(
            **identity,
            schema=SCHEMA,
            started=timestamp(),
            pid=os.getpid(),
            parts=record.earlier_parts(run, identity) if resumed else [],
            model=record.card(
                self.recipe, self.registry, self.dataset, data.mean, data.std, self.shape, seed
            ),
            status="running",
            reason=None,
            together=of,
            strategy=STRATEGY,
            train_images=len(data.images),
            validation_images=len(data.validation_images),
            flip=trainer.augment.flip,
            streamed=isinstance(data.images, Streamed),
        )
        tracking = self.track()
        tracking.begin(run, self.device, trainer.step if resumed else 0)
        return _Begun(trainer, run, tracking)

    def fit(
        self,
        group: list[_Begun],
        on_epoch: Callable[[int, Epoch], None],
        on_diverged: Callable[[int, DivergedError], None],
        should_stop: Callable[[], bool],
    ) -> list[Run]:
        """Train a group that stands at one step to the end; the runs that got there."""
        running = {begun.trainer.seed: begun for begun in group}

        def note(trainer: Trainer, epoch: Epoch) -> None:
            path = trainer.folder / "metrics.jsonl"
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(epoch)) + "\n")
            running[trainer.seed].tracking.epoch(epoch)
            on_epoch(trainer.seed, epoch)

        def drop(trainer: Trainer, error: DivergedError) -> None:
            begun = running.pop(trainer.seed)
            begun.run.update(status="diverged", reason=str(error))
            begun.tracking.end()
            on_diverged(trainer.seed, error)

        facts: Any = self.registry.get("optimizer", self.recipe.optimizer.name).spec.facts
        try:
            Together(
                [begun.trainer for begun in group], separable=bool(facts.get("separable"))
            ).fit(on_epoch=note, on_diverged=drop, should_stop=should_stop)
        except (InterruptedRunError, KeyboardInterrupt):
            _end(running.values(), status="interrupted")
            raise
        except BaseException as error:
            _end(running.values(), status="failed", reason=f"{type(error).__name__}: {error}")
            raise
        for begun in running.values():
            outcome = record.outcome(begun.trainer, self.device)
            begun.run.update(status="done", finished=timestamp(), outcome=outcome)
            begun.tracking.end()
        return [begun.run for begun in running.values()]


def _end(group: Collection[_Begun], **fields: Any) -> None:
    for begun in group:
        begun.run.update(**fields)
        begun.tracking.end()


def train_and_score(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    recipe: dict[str, Any],
    seeds: list[int],
    resume: list[int],
    at_once: int | None,
    data_dir: str | None,
    device: str,
    out: str,
    results: str,
    stream_above: int | str | None,
    trackers: dict[str, dict[str, Any]] | None = None,
    robust: bool = False,
) -> None:
    """A job of the benchmark: :func:`train`, then score each seed on the test images.

    Tells ``epoch``, ``diverged`` and ``scored`` with their seed, or ``apart`` with the reason where
    the seeds are to be trained one by one.
    """
    registry = build_registry()
    place = None if data_dir is None else Path(data_dir)
    try:
        done = train(
            Recipe.from_dict(recipe),
            seeds,
            registry=registry,
            data_dir=place,
            device=device,
            out=Path(out),
            resume=resume,
            at_once=at_once,
            stream_above=stream_above,
            trackers=trackers or (),
            say=lambda text: tell("message", message=text),
            on_epoch=lambda seed, e: tell("epoch", seed=seed, **dataclasses.asdict(e)),
            on_diverged=lambda seed, error: tell("diverged", seed=seed, message=str(error)),
            should_stop=should_stop,
        )
    except CannotStackError as error:
        tell("apart", message=str(error))
        return
    limit = stream_limit(stream_above, pick(device))
    for run in done:
        dataset = build.open_dataset(run.recipe, registry, place, stream_above=limit)
        keep_score(
            run,
            dataset,
            Path(results),
            device=device,
            registry=registry,
            calibration_s=None,
            robust=robust,
        )
        tell("scored", seed=run.record["seed"], accuracy=run.record["score"]["accuracy"])


def marking(folder: Path, together: int, should_stop: Callable[[], bool]) -> Callable[[], bool]:
    """``should_stop`` for a lone training beside others; when asked, it sees to the run's mark.

    That is after a step and before any state is kept: no timed benchmark will take this run.
    """
    marked: tuple[int, int] | None = None

    def ask() -> bool:
        nonlocal marked
        found = _stamp(folder / "run.json")
        if found is not None and found != marked:  # new, or written anew after pre-training
            Run(folder).update(together=together, strategy="processes")
            marked = _stamp(folder / "run.json")
        return should_stop()

    return ask


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
