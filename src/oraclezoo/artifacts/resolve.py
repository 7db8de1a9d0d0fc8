"""Opening: from a path to its model, and from a model's card to the data it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.model import CARD, Model, load
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import DataError, ResultError, UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.result import data_key
from oraclezoo.serving.listing import shipped


def open_model(source: Model | Run | str | Path, registry: Registry) -> Model:
    """A model as it is, that of a model folder or name, or that of a run or its folder.

    Raises ResultError if it is none of these; DownloadError.
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
    if (path / CARD).is_file():
        return load(path, registry)
    if (path / "run.json").is_file():
        return Run.load(path).model(registry=registry)
    what = "has neither model.json nor run.json" if path.is_dir() else "is not there"
    raise ResultError(f"{path} {what}: give a model folder or a run folder, or a model's name")


def open_data(
    model: Model,
    registry: Registry,
    *,
    track: str | None = None,
    data_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set that a model was trained on, or another ``track``.

    Raises DataError if its files are not the ones that the model's card names; UsageError if the
    card does not say what it was trained on, or if the classes are not the model's.
    """
    card = model.card
    name = track or _trained_on(card)
    if name is None:
        raise UsageError("the model's card does not name its track; give one with --track")
    dataset: Dataset = registry.create(
        "dataset",
        name,
        data_dir=None if data_dir is None else Path(data_dir),
        progress=progress,
        stream_above=stream_limit(None, pick("cpu")),
    )
    if len(dataset.classes) != len(model.classes):
        raise UsageError(f"{name} has {len(dataset.classes)} classes, not {len(model.classes)}")
    size = card["input"]["image_size"]
    shape = dataset.split("validation").images.shape[1:]
    if shape != (size, size):
        raise UsageError(f"{name} has images of {shape}; this model takes ({size}, {size})")
    stated = card.get("provenance", {}).get("data_sha256", {})
    other = [key for key, found in dataset.sha256.items() if stated.get(key, found) != found]
    if track is None and other:
        raise DataError(
            f"{other[0]} is not the file that the model was trained with (sha256); "
            "give the right folder with --data-dir, or say --track to measure on other data"
        )
    return dataset


def learned_validation(model: Model) -> bool:
    """Whether the model was trained on its track's validation images too, as its card says."""
    return bool(model.card.get("provenance", {}).get("refit"))


def track_of(model: Model, track: str | None = None) -> str:
    """The name of a track, bare if it is a built-in one."""
    return (track or _trained_on(model.card) or "unknown").removeprefix("oraclezoo:")


def note_look(model: Model, dataset: Dataset, results: Path, track: str | None = None) -> None:
    """Note in the results folder's ledger that a model's recipe is scored on the test split.

    Before the scoring, so that a look is noted even if it is cut short.
    """
    dataset.split("test")  # now its digests are known
    origin = model.card.get("provenance", {})
    digests = {**({} if track else origin.get("data_sha256", {})), **dataset.sha256}
    ledger.note(
        results,
        track=track_of(model, track),
        data_key=data_key(digests),
        recipe_hash=origin.get("recipe", {}).get("hash", "unknown"),
    )


def _trained_on(card: dict[str, Any]) -> str | None:
    entry = card.get("provenance", {}).get("components", {}).get("dataset", {})
    name = entry.get("name")
    return str(name) if name else None
