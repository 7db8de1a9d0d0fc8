"""Result: one benchmark entry, as a frozen record and as a JSON document.

The document's layout, fields and units are those of ``schemas/result-1.json``. A result is
validated whenever it is read and before it is written, and never evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from oraclezoo.errors import ResultError
from oraclezoo.result.check import SCHEMA, read_json, validate

PROTOCOL = 1
"""Version of the benchmark protocol that this oraclezoo follows."""


@dataclass(frozen=True, slots=True)
class Track:
    """Data set, split (numbers of images) and division."""

    name: str
    division: str
    synthetic: bool
    classes: int
    image_size: int
    train: int
    validation: int
    test: int
    data_sha256: Mapping[str, str]

    @property
    def data_key(self) -> str:
        """What tells data apart: equal when all source files are the same bytes."""
        return data_key(self.data_sha256)


@dataclass(frozen=True, slots=True)
class RecipeRecord:
    """A resolved recipe: ``content`` is ``Recipe.canonical()``, ``hash`` is ``Recipe.hash``."""

    name: str
    hash: str
    summary: str
    refit: bool
    content: Mapping[str, Any]

    @property
    def hash12(self) -> str:
        """The first twelve digits of the hash."""
        return self.hash[:12]


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """A component's qualified name and the distribution behind it."""

    name: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class SeedScore:
    """One training that ended well. ``accuracy`` is on test images, as a share of 1.

    Times are None where seeds were trained at once (``bench --accuracy-only``).
    """

    seed: int
    accuracy: float
    loss: float
    validation_accuracy: float | None
    train_s: float | None
    compile_s: float | None
    steps: int
    peak_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One training, or the measurement of its model, that did not end well."""

    seed: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Parameters, multiply-accumulates an image, and bytes of what is deployed.

    That is the saved weights or, of a compressed net, its ONNX file.
    """

    parameters: int
    macs: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of a forward pass in one setting."""

    runtime: str
    precision: str
    device: str
    threads: int
    batch_size: int
    repeats: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine. ``class_`` (``class`` in JSON) groups comparable ones."""

    class_: str
    device: str
    device_memory_bytes: int | None
    cpu: str
    cores: int
    threads: int
    memory_bytes: int
    platform: str
    calibration_s: float | None


@dataclass(frozen=True, slots=True)
class PredictionsFile:
    """The file of kept predictions, beside the JSON document."""

    file: str
    sha256: str
    images: int
    classes: int


@dataclass(frozen=True, slots=True)
class CorruptionScores:
    """Accuracy under one corruption, shares of 1: ``accuracy[seed's place][severity - 1]``."""

    name: str
    accuracy: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Robustness:
    """Accuracy on corrupted test images; ``version`` and ``seed`` are those of the corruptions."""

    version: str
    seed: int
    corruptions: tuple[CorruptionScores, ...]

    @property
    def mean_accuracy(self) -> float:
        """Mean over corruptions, severities and seeds, as a share of 1."""
        shares = [share for one in self.corruptions for row in one.accuracy for share in row]
        return sum(shares) / len(shares)


@dataclass(frozen=True, slots=True)
class Result:
    """One recipe on one track, trained once for each seed on one machine.

    ``components`` is keyed by kind: backbone, optimizer, scheduler, dataset. ``path`` is the file
    it was loaded from or saved to, not part of the document nor of equality. ``robustness`` is None
    where it was not measured, and then absent from the document.
    """

    id: str
    created: str
    oraclezoo: str
    code_sha256: str
    protocol: int
    command: str
    track: Track
    recipe: RecipeRecord
    components: Mapping[str, ComponentRecord]
    examples: int
    seeds: tuple[SeedScore, ...]
    failures: tuple[Failure, ...]
    model: ModelSize | None
    latency: tuple[Latency, ...]
    hardware: Hardware
    libraries: Mapping[str, str]
    predictions: PredictionsFile | None
    robustness: Robustness | None = None
    path: Path | None = field(default=None, compare=False, repr=False)

    def to_json_dict(self) -> dict[str, Any]:
        """The document: plain dicts, lists, strings, numbers, booleans and None."""
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        del document["path"]
        if self.robustness is None:  # so that an older oraclezoo reads it too
            del document["robustness"]
        else:
            document["robustness"] = json.loads(json.dumps(document["robustness"]))
        document["hardware"] = {k.rstrip("_"): v for k, v in document["hardware"].items()}
        document["recipe"]["content"] = json.loads(json.dumps(document["recipe"]["content"]))
        return {k: list(v) if isinstance(v, tuple) else v for k, v in document.items()}

    @classmethod
    def from_json_dict(cls, document: Mapping[str, Any], path: Path | None = None) -> Self:
        """The record of a document. Raises ResultError if :func:`validate` does."""
        validate(document)
        parts: dict[str, Any] = {k: v for k, v in document.items() if k != "schema"}
        hardware = {"class_" if k == "class" else k: v for k, v in parts["hardware"].items()}
        model, predictions = parts["model"], parts["predictions"]
        robustness = parts.get("robustness")
        components = {k: ComponentRecord(**v) for k, v in parts["components"].items()}
        parts |= {
            "track": Track(**parts["track"]),
            "recipe": RecipeRecord(**parts["recipe"]),
            "components": components,
            "seeds": tuple(SeedScore(**s) for s in parts["seeds"]),
            "failures": tuple(Failure(**f) for f in parts["failures"]),
            "model": None if model is None else ModelSize(**model),
            "latency": tuple(Latency(**row) for row in parts["latency"]),
            "hardware": Hardware(**hardware),
            "predictions": None if predictions is None else PredictionsFile(**predictions),
            "robustness": None if robustness is None else _robustness(robustness),
        }
        return cls(**parts, path=path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The result in a JSON file. Raises ResultError: which file, which field, what is wrong."""
        return cls.read(read_json(Path(path)), Path(path))

    @classmethod
    def read(cls, document: Any, path: Path) -> Self:
        """As :meth:`load`, of the JSON value that was in the file ``path``. Raises ResultError."""
        try:
            return cls.from_json_dict(document, path)
        except ResultError as error:
            raise ResultError(f"result {path}: {error}") from error
        except RecursionError as error:
            raise ResultError(f"result {path}: nested too deeply to be a result") from error

    def save(self, folder: str | Path) -> Path:
        """Validate and write ``<folder>/<id>.json`` atomically; returns its path.

        The predictions file must be there first: a result never points at what is not.
        """
        document = self.to_json_dict()
        validate(document)
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        path = write_atomically(Path(folder) / f"{self.id}.json", text.encode("ascii"))
        object.__setattr__(self, "path", path)  # where it lies is no part of what it is
        return path


def _robustness(part: Mapping[str, Any]) -> Robustness:
    scores = (
        CorruptionScores(one["name"], tuple(tuple(row) for row in one["accuracy"]))
        for one in part["corruptions"]
    )
    return Robustness(part["version"], part["seed"], tuple(scores))


def make_id(track: str, recipe: str, recipe_hash: str, hardware_class: str) -> str:
    """A result's id, fit for a file name; what does not fit becomes a dash."""
    text = f"{track}-{recipe}-{recipe_hash[:12]}-{hardware_class}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:200].strip("-")


def data_key(data_sha256: Mapping[str, str]) -> str:
    """What tells data apart: the digests of all source files by name, as canonical JSON."""
    return json.dumps(dict(data_sha256), sort_keys=True, separators=(",", ":"))


def timestamp() -> str:
    """The time now, as documents carry it: ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_atomically(path: Path, content: bytes) -> Path:
    """Write a file so that it is there whole or not at all; makes its folder. Returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
