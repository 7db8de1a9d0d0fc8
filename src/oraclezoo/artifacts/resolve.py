"""Open models by path or name, and the data sets that they were trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from oraclezoo.artifacts.load import load
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.plugins import with_install
from oraclezoo.artifacts.run import Run
from oraclezoo.card import CARD
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
from oraclezoo.data.known import canonical, differing
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import DataError, ResultError, UnknownNameError, UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.result import data_key
from oraclezoo.serving.listing import shipped
from oraclezoo.storage import current


def open_model(source: Model | Run | str | Path, registry: Registry) -> Model:
    """Open a model.

    Args:
        source: A model, a run, the folder of either, or the name of a model.
        registry: Registry of components.

    Raises:
        ResultError: The path is neither a model folder nor a run folder.
        DownloadError: The model cannot be downloaded.
    """
    if isinstance(source, Model):
        return source
    if isinstance(source, Run):
        return source.model(registry=registry)
    path = Path(source)
    known = isinstance(source, str) and (
        source in shipped() or (not path.exists() and ("model", source) in registry)
    )
    if known:
        return load(source, registry)
    if current(path, CARD).is_file():
        return load(path, registry)
    if (path / "run.json").is_file():
        return Run.load(path).model(registry=registry)
    problem = "has neither model.json nor run.json" if path.is_dir() else "does not exist"
    raise ResultError(f"{path} {problem}: pass a model folder, a run folder or the name of a model")


def open_data(
    model: Model,
    registry: Registry,
    *,
    track: str | None = None,
    data_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Open the data set that a model was trained on, or that of a different ``track``.

    Args:
        model: The model.
        registry: Registry of components.
        track: Track to open instead of the track in the model card.
        data_dir: Folder with the data files; None for the default folders.
        progress: Called with one line of text at a time.

    Raises:
        DataError: The files do not match the digests in the model card.
        UsageError: The card names no track, or the classes or image size differ from the model's.
    """
    name = track or _trained_on(model)
    if name is None:
        raise UsageError("the model's card does not name its track; pass one with --track")
    try:
        dataset: Dataset = registry.create(
            "dataset",
            name,
            data_dir=None if data_dir is None else Path(data_dir),
            progress=progress,
            stream_above=stream_limit(None, pick("cpu")),
        )
    except UnknownNameError as error:
        raise with_install(error, model.card) from error
    if len(dataset.classes) != len(model.classes):
        raise UsageError(f"{name} has {len(dataset.classes)} classes, not {len(model.classes)}")
    size = model.card.input.image_size
    shape = dataset.split("validation").images.shape[1:]
    if shape != (size, size):
        raise UsageError(f"{name} has images of {shape}; this model takes ({size}, {size})")
    other = other_files(model, dataset)
    if track is None and other:
        raise DataError(
            f"{other[0]} is not the file that the model was trained with (its SHA-256 differs); "
            "pass the right folder with --data-dir, or --track to use different data"
        )
    return dataset


def other_files(model: Model, dataset: Dataset) -> list[str]:
    """Return the files of a data set read so far that the model was not trained with.

    Files are compared by name and SHA-256; an official file and its unpacked version are equal.
    Call this before the test split is read, since cards do not list its files.
    """
    origin = model.card.provenance
    stated = {} if origin is None else origin.data_sha256
    read = canonical(dataset.sha256)
    return [name for name in differing(stated, dataset.sha256) if name in read] if stated else []


def learned_validation(model: Model) -> bool:
    """Return whether a model was also trained on validation images, according to its card."""
    return model.card.provenance is not None and model.card.provenance.refit


def track_of(model: Model, track: str | None = None) -> str:
    """Return the name of a model's track, without the ``oraclezoo:`` prefix of built-in tracks."""
    return (track or _trained_on(model) or "unknown").removeprefix("oraclezoo:")


def record_test_evaluation(
    model: Model, dataset: Dataset, results: Path, track: str | None = None
) -> None:
    """Record in the ledger of a results folder that a model's recipe was evaluated on the test set.

    Call this before scoring, so that interrupted evaluations count too.
    """
    origin = model.card.provenance
    trained = {} if track or origin is None else origin.data_sha256
    ledger.note(
        results,
        track=track_of(model, track),
        data_key=data_key({**trained, **digests(dataset, "test")}),
        recipe_hash="unknown" if origin is None else origin.recipe.hash,
    )


def _trained_on(model: Model) -> str | None:
    origin = model.card.provenance
    source = None if origin is None else origin.components.get("dataset")
    return None if source is None else source.name
