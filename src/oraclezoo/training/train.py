"""Train one recipe with one seed and write the run to a folder."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from oraclezoo.artifacts.provenance import check_resumable
from oraclezoo.artifacts.record import Pretraining
from oraclezoo.artifacts.run import OVERWRITE, Run, folder_name, occupied, writable
from oraclezoo.display import TrainingProgress, both, is_interactive
from oraclezoo.display import progress as display
from oraclezoo.engine.compiled import wanted
from oraclezoo.engine.deterministic import deterministic as deterministically
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Callbacks, Checkpoint, Epoch, TrainerOptions
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.plugins.blame import blaming
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe
from oraclezoo.training.prepared import Prepared, prepare
from oraclezoo.training.pretrain import pretrain
from oraclezoo.training.session import Session, recording_failure
from oraclezoo.training.teachers import Teachers, train_teachers
from oraclezoo.training.tracking import Trackers, Tracking, choose

logger = logging.getLogger(__name__)


def train(
    recipe: Recipe | str | Path,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    out: str | Path = "runs",
    resume: bool = False,
    overwrite: bool = False,
    stream_above: int | str | None = None,
    compile: str = "auto",
    deterministic: bool = False,
    profile: bool | str | Path = False,
    trackers: Trackers = (),
    registry: Registry | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_step: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
    show_progress: bool | None = None,
) -> Run:
    """Train a recipe with one seed and save the run in a folder under ``out``.

    The recipe's ``[compress]`` section is ignored; :func:`oraclezoo.bench` compresses trained runs.

    Args:
        recipe: A recipe, the name of a bundled recipe, or the path of a TOML file.
        data_dir: Folder with the data set's files; None for the default folders.
        seed: Seed for initial weights, data order, augmentation and dropout.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        out: Parent folder of run folders.
        resume: Resume the run from its checkpoint; a finished run is returned unchanged.
        overwrite: Replace an existing run in the same folder.
        stream_above: Size in bytes, or a string such as ``"512MB"``, above which the images of a
            split are streamed from their file instead of loaded into memory; by default half of the
            free memory. This does not change the results.
        compile: Whether to use ``torch.compile``: ``"on"``, ``"off"`` or ``"auto"`` (only for long
            runs on CUDA).
        deterministic: Use deterministic algorithms, so that weights are reproducible on a GPU too.
        profile: True to profile a few steps and write ``trace.json`` and ``profile.json`` to the
            run folder, or the path of a different folder for them.
        trackers: Names of experiment trackers, or a mapping of names to options. A tracker that
            fails is no longer called; training continues.
        registry: Registry of components; by default one with all installed components.
        on_epoch: Called with the metrics of each epoch.
        on_step: Called after each step with the completed fraction of training, from 0 to 1,
            including pre-training and the training of teachers.
        should_stop: Called after each step; if it returns True, the state is saved and the run
            ends.
        progress: Called with one line of text per event.
        show_progress: Whether to show a progress bar on standard error or in the notebook; by
            default in a terminal and in a notebook, unless ``on_epoch``, ``on_step`` or
            ``progress`` is passed.

    Returns:
        The finished run.

    Raises:
        UsageError: An option is invalid, or the folder already contains a run.
        DataError: The data set is missing or unusable.
        PluginError: A component violates its contract.
        ResultError: The run folder cannot be read or written.
        DivergedError: The loss is no longer finite.
        OutOfMemoryError: A batch does not fit into memory.
        InterruptedRunError: ``should_stop`` returned True.

    Example:
        >>> run = oz.train("quick", seed=1, device="cpu")  # doctest: +SKIP
        >>> run.outcome.validation_accuracy  # doctest: +SKIP
        0.93
    """
    registry = registry or build_registry()
    resolved = resolve(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), registry)
    execution = Execution(
        data_dir=None if data_dir is None else Path(data_dir),
        device=device,
        compile=compile,
        deterministic=deterministic,
        stream_above=stream_above,
        trackers=choose(trackers, registry),
    )
    destination = Destination(
        Path(out), resume, overwrite, profile if isinstance(profile, bool) else Path(profile)
    )
    if show_progress is None:
        own = any(callback is not None for callback in (on_epoch, on_step, progress))
        show_progress = not own and is_interactive()
    with ExitStack() as stack:
        if show_progress:
            lines = stack.enter_context(display(f"{resolved.name} seed {seed}", 1))
            shown = TrainingProgress(lines, resolved.budget.epochs)
            on_epoch, on_step = both(on_epoch, shown.on_epoch), both(on_step, shown.on_step)
            progress = both(progress, lines.say)
        callbacks = Callbacks(
            on_epoch or (lambda epoch: None),
            should_stop,
            progress,
            on_step or (lambda share: None),
        )
        return train_resolved(resolved, seed, registry, execution, destination, callbacks)


@dataclass(frozen=True)
class Destination:
    """Folder of a run, and whether to resume or replace an existing run there.

    ``profile`` is False for no profile, True for a profile in the run folder, or the path of a
    different folder for the profile.
    """

    out: Path
    resume: bool = False
    overwrite: bool = False
    profile: bool | Path = False

    def run(self, recipe: Recipe, seed: int) -> Run:
        """Return the run for a recipe and a seed; its folder may not exist yet."""
        return Run(self.out / folder_name(recipe, seed))

    def traces(self, run: Run) -> Path | None:
        """Return the folder for a run's profile, or None for no profile."""
        if not self.profile:
            return None
        return run.folder if self.profile is True else self.profile


def train_resolved(
    recipe: Recipe,
    seed: int,
    registry: Registry,
    execution: Execution,
    destination: Destination,
    callbacks: Callbacks,
) -> Run:
    """Train a resolved recipe like :func:`train`."""
    if recipe.compress.steps:
        callbacks.say(
            f"training without compression; bench compresses it ({recipe.compress.steps})"
        )
    recipe = recipe.uncompressed
    wanted(execution.compile, execution.torch_device(), 0)
    execution.stream_limit()
    if destination.resume and destination.overwrite:
        raise UsageError("--resume and --overwrite are mutually exclusive; pass one of them")
    run = destination.run(recipe, seed)
    with occupied(run.folder):
        exists = (run.folder / "run.json").is_file()
        if exists and not (destination.resume or destination.overwrite):
            raise UsageError(
                f"{run.folder} holds a run: --resume continues it, --overwrite trains again"
            )
        prepared = prepare(recipe, registry, execution, callbacks.progress)
        if exists and destination.resume:
            check_resumable(run, prepared.provenance(seed))
            if run.record.status == "done":
                run.check()
                if destination.profile:
                    raise UsageError(
                        f"{run.folder} is finished and cannot be profiled; {OVERWRITE}"
                    )
                return run
        with deterministically(execution.deterministic), blaming(registry):
            session = begin(prepared, seed, destination, callbacks)
            fit(session, callbacks)
            return session.finish()


def begin(prepared: Prepared, seed: int, destination: Destination, callbacks: Callbacks) -> Session:
    """Build the model, pre-train it, train its teachers, and set up the run folder."""
    recipe, run = prepared.recipe, destination.run(prepared.recipe, seed)
    traces = destination.traces(run)
    checkpoint = Checkpoint(run.folder, destination.resume)
    parts = prepared.parts(seed)
    if traces is not None:
        writable(traces)
    started = destination.resume and (run.folder / "last.safetensors").is_file()
    pretrained = run.record.pretrained if started else None
    if recipe.pretrain.epochs and not started:
        pretrained = pretrain(
            prepared, parts.model, seed=seed, checkpoint=checkpoint, callbacks=callbacks
        )
        parts = prepared.steppers(parts.model)
    teachers = None
    if recipe.distill.teachers:
        part = _after_pretraining(prepared, pretrained, callbacks)
        teachers = _teachers(prepared, seed, checkpoint, part)
    options = TrainerOptions(
        compile=prepared.execution.compile,
        profile=traces,
        teacher=None if teachers is None else teachers.module,
        warn=callbacks.progress or logger.warning,
    )
    trainer = Trainer(
        recipe,
        parts,
        prepared.data,
        seed=seed,
        device=prepared.device,
        folder=run.folder,
        options=options,
    )
    try:
        resumed = destination.resume and trainer.resume()
    except ResultError as error:
        raise ResultError(f"{error}; {OVERWRITE}") from error
    tracking = Tracking(prepared.execution.trackers, prepared.registry, options.warn)
    taught = None if teachers is None else teachers.record
    session = Session(prepared, trainer, run, tracking, pretrained, taught)
    session.open(resumed=resumed)
    return session


def fit(session: Session, callbacks: Callbacks) -> None:
    """Train a run to its end, or record the reason why training ended early."""

    def on_epoch(epoch: Epoch) -> None:
        session.log(epoch)
        callbacks.on_epoch(epoch)

    teachers = session.prepared.recipe.distill.teachers
    part = _after_pretraining(session.prepared, session.pretrained, callbacks)
    part = part.within(teachers / (teachers + 1), 1)
    with recording_failure([session]):
        session.trainer.fit(
            on_epoch=on_epoch, on_step=part.on_step, should_stop=callbacks.should_stop
        )


def _after_pretraining(
    prepared: Prepared, pretrained: Pretraining | None, callbacks: Callbacks
) -> Callbacks:
    """Return the callbacks of what follows pre-training: teachers, then the main training."""
    examples = 0 if pretrained is None else pretrained.examples
    return callbacks.within(examples / (examples + prepared.work), 1)


def _teachers(
    prepared: Prepared, seed: int, checkpoint: Checkpoint, callbacks: Callbacks
) -> Teachers:
    execution = replace(prepared.execution, trackers={})
    numbers, count = itertools.count(), prepared.recipe.distill.teachers

    def train_teacher(recipe: Recipe, seed: int, out: Path) -> Run:
        number = next(numbers)
        callbacks.say(f"training teacher {number + 1} of {count}")
        part = callbacks.within(number / (count + 1), (number + 1) / (count + 1))
        return train_resolved(
            recipe,
            seed,
            prepared.registry,
            execution,
            Destination(out, resume=True),
            Callbacks(should_stop=part.should_stop, on_step=part.on_step),
        )

    return train_teachers(prepared, seed, checkpoint, train_teacher)
