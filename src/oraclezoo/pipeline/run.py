"""Run: one training of one recipe at one seed, and the folder it leaves."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from oraclezoo._version import __version__
from oraclezoo.contracts import Dataset
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OracleZooError,
    OutOfMemoryError,
    ResultError,
    UsageError,
)
from oraclezoo.measure import hardware
from oraclezoo.pipeline import compose
from oraclezoo.pipeline.limit import stream_limit
from oraclezoo.pipeline.model import SCHEMA as MODEL_SCHEMA
from oraclezoo.pipeline.model import Model, assemble
from oraclezoo.pipeline.pretrain import FOLDER as PRETRAIN
from oraclezoo.pipeline.pretrain import pretrain
from oraclezoo.recipe import Recipe
from oraclezoo.registry import Registry, build_registry
from oraclezoo.resolve import resolve
from oraclezoo.result import timestamp, write_atomically
from oraclezoo.train.checkpoint import load_state
from oraclezoo.train.compiled import wanted
from oraclezoo.train.deterministic import deterministic as deterministically
from oraclezoo.train.device import peak_memory_bytes, pick
from oraclezoo.train.engine import Trainer
from oraclezoo.train.images import Streamed
from oraclezoo.train.memory import is_out_of_memory
from oraclezoo.train.profile import Profiler
from oraclezoo.train.records import Epoch

logger = logging.getLogger(__name__)

SCHEMA = "oraclezoo/run/1"
ANEW = "--overwrite trains anew, --out elsewhere"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder: ``recipe.toml``, ``run.json``, ``metrics.jsonl`` and two weight files."""

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Open a run folder. Raises ResultError if it is not one."""
        run = cls(Path(folder))
        if run.record.get("schema") != SCHEMA:
            raise ResultError(f"{folder} is not a run folder of oraclezoo: run.json has no schema")
        return run

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        path = self.folder / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ResultError(
                f"{self.folder} is not a run folder: there is no run.json in it"
            ) from error
        except (OSError, ValueError) as error:
            raise ResultError(f"{path}: cannot be read ({error})") from error
        if not isinstance(record, dict):
            raise ResultError(f"{path}: not a run record")
        return record

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was trained, names qualified; not resolved again."""
        return Recipe.load(self.folder / "recipe.toml")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One mapping an epoch, as ``metrics.jsonl`` holds them."""
        text = (self.folder / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def model(self, keep: str | None = None, registry: Registry | None = None) -> Model:
        """The trained model: the weights that the recipe keeps, or ``"best"`` or ``"last"``."""
        keep = keep or self.recipe.train.keep
        if keep not in ("best", "last"):
            raise UsageError(f"keep is '{keep}'; it must be best or last")
        path = self.folder / f"{keep}.safetensors"
        state = load_state(path)
        weights = state["model"]
        if state.get("ema"):
            weights = {
                key.removeprefix("module."): value
                for key, value in state["ema"].items()
                if key.startswith("module.")
            }
        card = self.record.get("model")
        if not card:
            raise ResultError(f"{self.folder}: this run has not come far enough to have a model")
        return assemble(card, weights, registry or build_registry(), str(path))

    def check(self) -> None:
        """Raise ResultError unless this is a finished run whose files can be read."""
        try:
            if self.record["status"] != "done" or "examples" not in self.record["outcome"]:
                raise ResultError("it is not finished")
            load_state(self.folder / f"{self.recipe.train.keep}.safetensors")
        except (OracleZooError, KeyError, TypeError) as error:
            raise ResultError(f"{self.folder} is damaged ({error}); {ANEW}") from error

    def update(self, **fields: Any) -> None:
        """Change fields of ``run.json``, atomically."""
        try:
            record = self.record
        except ResultError:
            record = {}
        record.update(fields)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.folder / "run.json", text.encode())


def writable(folder: Path) -> None:
    """Make a folder and try to write there, before long work. Raises ResultError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResultError(
            f"{folder}: cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


def folder_name(recipe: Recipe, seed: int) -> str:
    """Name of a run's folder."""
    return f"{recipe.name}-{recipe.hash12}-s{seed}"


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
    registry: Registry | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Run:
    """Train a recipe at a seed and leave a run folder under ``out``.

    A folder that holds a run already is an error, unless ``resume`` (go on where it stopped; a
    finished one is returned as it is) or ``overwrite`` says otherwise. ``stream_above``: images of
    a split that take more bytes (or "512MB", "2GiB") are streamed from their file, with the same
    outcome; by default half of the free memory. ``compile``: torch.compile, "on", "off" or "auto",
    which is on for long trainings on CUDA. ``deterministic``: the same weights twice on a GPU too.
    ``profile``: leave ``trace.json`` and ``profile.json`` of a few steps in the run folder, or in
    the folder given. ``on_epoch`` is called after each epoch; ``should_stop`` is asked after each
    step (see :class:`Trainer`).

    Raises UsageError, DataError, PluginError (a component that breaks its contract), ResultError (a
    folder that cannot be read or written), DivergedError, OutOfMemoryError or InterruptedRunError.
    """
    registry = registry or build_registry()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    recipe = resolve(recipe, registry)
    place = pick(device)
    wanted(compile, place, 0)
    limit = stream_limit(stream_above, place)
    run = Run(Path(out) / folder_name(recipe, seed))
    found = (run.folder / "run.json").is_file()
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if found and not (resume or overwrite):
        raise UsageError(
            f"{run.folder} holds a run: --resume goes on with it, --overwrite trains anew"
        )
    traces = (run.folder if profile is True else Path(profile)) if profile else None
    dataset = compose.open_dataset(
        recipe, registry, None if data_dir is None else Path(data_dir), progress, limit
    )
    data = compose.training_data(recipe, dataset, place, limit)
    identity = provenance(
        recipe, registry, dataset, place, seed, compile=compile, deterministic=deterministic
    )
    if found and resume:
        _refuse_other(run, identity)
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
            parts = compose.build_parts(recipe, registry, data, shape, seed)
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
            parts = compose.build_steppers(recipe, registry, data, parts.model)
        trainer = Trainer(
            recipe,
            parts,
            data,
            seed=seed,
            device=place,
            folder=run.folder,
            compile=compile,
            profile=traces,
            say=progress or logger.warning,
        )
        try:
            resumed = resume and trainer.resume()
        except ResultError as error:
            raise ResultError(f"{error}; {ANEW}") from error
        _open_folder(run, recipe, trainer.progress.epoch if resumed else None)
        card = _card(recipe, registry, dataset, data.mean, data.std, shape, seed)
        run.update(
            **identity,
            schema=SCHEMA,
            started=timestamp(),
            pid=os.getpid(),
            parts=_parts(run, identity) if resumed else [],
            model=card,
            status="running",
            reason=None,
            pretrained=pretrained,
            train_images=len(data.images),
            validation_images=len(data.validation_images),
            flip=trainer.augment.flip,
            streamed=isinstance(data.images, Streamed),
            profiled=traces is not None,
        )

        def note(record: Epoch) -> None:
            with (run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(record)) + "\n")
            on_epoch(record)

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
        run.update(
            status="done", finished=timestamp(), outcome=_outcome(trainer, place, pretrained)
        )
        shutil.rmtree(run.folder / PRETRAIN, ignore_errors=True)
        return run


def _open_folder(run: Run, recipe: Recipe, kept_epochs: int | None) -> None:
    """Start the folder anew (None), or keep the metrics of the epochs that stand."""
    write_atomically(run.folder / "recipe.toml", recipe.to_toml().encode())
    path = run.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()[:kept_epochs] if kept_epochs else []
    write_atomically(path, "".join(line + "\n" for line in lines).encode())
    if kept_epochs is None:
        for stale in (
            "run.json",
            "best.safetensors",
            "last.safetensors",
            "score.safetensors",
            "profile.json",
            "trace.json",
        ):
            (run.folder / stale).unlink(missing_ok=True)


def _refuse_other(run: Run, identity: dict[str, Any]) -> None:
    """A run goes on with the data and components it began with, or not at all."""
    try:
        record = run.record
    except ResultError as error:
        raise ResultError(f"{error}; {ANEW}") from error
    for key, what in (("data_sha256", "other data"), ("components", "other components")):
        if record.get(key) != identity[key]:
            raise UsageError(f"{run.folder} was begun with {what}; {ANEW}")


def _parts(run: Run, identity: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the earlier parts of a resumed run were trained, if not as this one is."""
    record = run.record
    parts: list[dict[str, Any]] = record.get("parts", [])
    before = {key: record.get(key) for key in identity}
    return [*parts, before] if before != identity else parts


def _card(
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    mean: float,
    std: float,
    shape: dict[str, int],
    seed: int,
) -> dict[str, Any]:
    return {
        "schema": MODEL_SCHEMA,
        "backbone": {"name": recipe.backbone.name, "options": dict(recipe.backbone.options)},
        "input": shape,
        "preprocessing": {"mean": mean, "std": std, "shifts": recipe.evaluate.shifts},
        "classes": list(dataset.classes),
        "glyphs": list(dataset.glyphs),
        "synthetic": dataset.synthetic,
        "provenance": {
            "oraclezoo": __version__,
            "recipe": {"name": recipe.name, "hash": recipe.hash},
            "seed": seed,
            "components": compose.components(recipe, registry),
            "data_sha256": dict(dataset.sha256),
        },
        "receipts": [],
    }


def provenance(
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    device: torch.device,
    seed: int,
    *,
    compile: str = "auto",
    deterministic: bool = False,
) -> dict[str, Any]:
    """What is equal in two runs that come out the same, times included.

    The data set's training and validation parts must have been read: their digests are in it.
    """
    return {
        "recipe": {"name": recipe.name, "hash": recipe.hash},
        "seed": seed,
        "oraclezoo": __version__,
        "code_sha256": compose.code_sha256(),
        "components": compose.components(recipe, registry),
        "data_sha256": dict(dataset.sha256),
        "compile": compile,
        "deterministic": deterministic,
        "hardware": hardware.describe(device),
        "libraries": hardware.libraries(),
    }


def _write_profile(trainer: Trainer, folder: Path) -> None:
    """What the trainer's profiler found, beside the trace that it has left there."""
    assert isinstance(trainer.watch, Profiler)
    report = trainer.watch.report(trainer.recipe.train.precision)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "profile.json", text.encode())


def _outcome(
    trainer: Trainer, device: torch.device, pretrained: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What came of a training; steps, examples and times are those of pre-training too."""
    progress, before = trainer.progress, pretrained or {}
    return {
        "steps": trainer.step + before.get("steps", 0),
        "examples": progress.examples + before.get("examples", 0),
        "train_s": progress.train_s + before.get("train_s", 0.0),
        "compile_s": progress.compile_s + before.get("compile_s", 0.0),
        "compiled": trainer.compiled,
        "validation_accuracy": progress.validation_accuracy,
        "validation_loss": progress.validation_loss,
        "best_epoch": progress.best_epoch,
        "best_validation_accuracy": progress.best[0],
        "peak_memory_bytes": peak_memory_bytes(device),
    }
