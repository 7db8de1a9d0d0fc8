"""Training one recipe at one seed, from names to a run folder."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from oraclezoo.artifacts import build
from oraclezoo.artifacts.record import (
    card,
    earlier_parts,
    open_folder,
    outcome,
    provenance,
    refuse_other,
)
from oraclezoo.artifacts.run import ANEW, SCHEMA, Run, folder_name, writable
from oraclezoo.engine.compiled import wanted
from oraclezoo.engine.deterministic import deterministic as deterministically
from oraclezoo.engine.device import pick
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.memory import is_out_of_memory
from oraclezoo.engine.profile import Profiler
from oraclezoo.engine.records import Epoch
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OutOfMemoryError,
    ResultError,
    UsageError,
)
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe
from oraclezoo.result import timestamp, write_atomically
from oraclezoo.training.pretrain import FOLDER as PRETRAIN
from oraclezoo.training.pretrain import pretrain
from oraclezoo.training.teachers import FOLDER as TEACHERS
from oraclezoo.training.teachers import teach
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
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Run:
    """Train a recipe at a seed and leave a run folder under ``out``.

    What the recipe compresses (``[compress]``) is left to :func:`oraclezoo.bench`: the run is that
    of the recipe without it.

    A folder that holds a run already is an error, unless ``resume`` (go on where it stopped; a
    finished one is returned as it is) or ``overwrite`` says otherwise. ``stream_above``: images of
    a split that take more bytes (or "512MB", "2GiB") are streamed from their file, with the same
    outcome; by default half of the free memory. ``compile``: torch.compile, "on", "off" or "auto",
    which is on for long trainings on CUDA. ``deterministic``: the same weights twice on a GPU too.
    ``profile``: leave ``trace.json`` and ``profile.json`` of a few steps in the run folder, or in
    the folder given. ``trackers`` are told the course of it (docs/trackers.md): names, or a mapping
    of names to options; one that fails is left out. ``on_epoch`` is called after each epoch;
    ``should_stop`` is asked after each step (see :class:`Trainer`).

    Raises UsageError, DataError, PluginError (a component that breaks its contract), ResultError (a
    folder that cannot be read or written), DivergedError, OutOfMemoryError or InterruptedRunError.
    """
    registry = registry or build_registry()
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    recipe = resolve(recipe, registry)
    if recipe.compress.steps and progress:
        progress(f"the net is trained as it is; bench makes the {recipe.compress.steps} of it")
    recipe = recipe.uncompressed
    place = pick(device)
    wanted(compile, place, 0)
    limit = stream_limit(stream_above, place)
    tracking = Tracking(choose(trackers, registry), registry, progress or logger.warning)
    run = Run(Path(out) / folder_name(recipe, seed))
    found = (run.folder / "run.json").is_file()
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if found and not (resume or overwrite):
        raise UsageError(
            f"{run.folder} holds a run: --resume goes on with it, --overwrite trains anew"
        )
    traces = (run.folder if profile is True else Path(profile)) if profile else None
    dataset = build.open_dataset(
        recipe, registry, None if data_dir is None else Path(data_dir), progress, limit
    )
    data = build.training_data(recipe, dataset, place, limit)
    identity = provenance(
        recipe, registry, dataset, place, seed, compile=compile, deterministic=deterministic
    )
    if found and resume:
        refuse_other(run, identity)
        if run.record.get("status") == "done":
            run.check()
            if traces is not None:
                raise UsageError(f"{run.folder} is finished: nothing to profile; {ANEW}")
            return run
    shape = {
        "in_chans": 1,
        "num_classes": len(dataset.classes),
        "image_size": int(data.images.shape[-1]),
    }
    with deterministically(deterministic):
        try:
            parts = build.build_parts(recipe, registry, data, shape, seed)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"out of memory on {place.type} while the model is built, before any batch\n"
                "free some memory, or use a smaller model or another device"
            ) from error
        for folder in (Path(out), *([] if traces is None else [traces])):
            writable(folder)
        run.folder.mkdir(exist_ok=True)
        begun = resume and (run.folder / "last.safetensors").is_file()
        pretrained = run.record.get("pretrained") if begun else None
        if recipe.pretrain.epochs and not begun:
            pretrained = pretrain(
                recipe,
                registry,
                parts.model,
                data,
                seed=seed,
                folder=run.folder,
                resume=resume,
                should_stop=should_stop,
                progress=progress,
                stream_above=limit,
            )
            parts = build.build_steppers(recipe, registry, data, parts.model)
        taught = None
        if recipe.distill.teachers:
            taught = teach(
                recipe,
                seed,
                run.folder,
                place,
                train=lambda recipe, seed, out: train(
                    recipe,
                    data_dir=data_dir,
                    seed=seed,
                    device=device,
                    out=out,
                    resume=True,
                    stream_above=stream_above,
                    compile=compile,
                    deterministic=deterministic,
                    registry=registry,
                    should_stop=should_stop,
                ),
                registry=registry,
                resume=resume,
            )
        trainer = Trainer(
            recipe,
            parts,
            data,
            seed=seed,
            device=place,
            folder=run.folder,
            compile=compile,
            profile=traces,
            teacher=None if taught is None else taught.module,
            say=progress or logger.warning,
        )
        try:
            resumed = resume and trainer.resume()
        except ResultError as error:
            raise ResultError(f"{error}; {ANEW}") from error
        open_folder(run, recipe, trainer.progress.epoch if resumed else None)
        built = card(recipe, registry, dataset, data.mean, data.std, shape, seed)
        run.update(
            **identity,
            schema=SCHEMA,
            started=timestamp(),
            pid=os.getpid(),
            parts=earlier_parts(run, identity) if resumed else [],
            model=built,
            status="running",
            reason=None,
            pretrained=pretrained,
            taught=None if taught is None else taught.record,
            train_images=len(data.images),
            validation_images=len(data.validation_images),
            flip=trainer.augment.flip,
            streamed=isinstance(data.images, Streamed),
            profiled=traces is not None,
        )

        def note(record: Epoch) -> None:
            with (run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(record)) + "\n")
            track(record)
            on_epoch(record)

        with tracking.of(run, place, trainer.step if resumed else 0) as track:
            try:
                trainer.fit(on_epoch=note, should_stop=should_stop)
            except (InterruptedRunError, KeyboardInterrupt):
                run.update(status="interrupted")
                raise
            except DivergedError as error:
                run.update(status="diverged", reason=str(error))
                raise
            except BaseException as error:
                run.update(status="failed", reason=f"{type(error).__name__}: {error}")
                raise
            if traces is not None:
                _write_profile(trainer, traces)
            before = (pretrained, None if taught is None else taught.record)
            run.update(status="done", finished=timestamp(), outcome=outcome(trainer, place, before))
        for done_with in (PRETRAIN, TEACHERS):
            shutil.rmtree(run.folder / done_with, ignore_errors=True)
        return run


def _write_profile(trainer: Trainer, folder: Path) -> None:
    """What the trainer's profiler found, beside the trace that it has left there."""
    assert isinstance(trainer.watch, Profiler)
    report = trainer.watch.report(trainer.recipe.train.precision)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "profile.json", text.encode())
