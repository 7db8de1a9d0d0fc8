"""Benchmark results as frozen records and JSON documents.

``schemas/result-1.json`` defines the fields and their units. Results are validated before they are
written and when they are read; their content is never executed.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from oraclezoo.card import PluginSource
from oraclezoo.card.receipt import LatencyRow
from oraclezoo.codec import decode, encode
from oraclezoo.errors import ResultError
from oraclezoo.notebook import Displayed
from oraclezoo.result.check import SCHEMA, read_json, validate
from oraclezoo.storage import write_atomically

PROTOCOL = 1
"""Version of the benchmark protocol."""


PluginKey = tuple[tuple[str, str, str], ...]
"""Distribution, version and SHA-256 of the code (or "") for each plugin."""


@dataclass(frozen=True, slots=True)
class Track:
    """Data set, split (numbers of images) and division of a result."""

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
        """Identity of the data: equal if all source files have identical bytes."""
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
        """First twelve hexadecimal digits of the hash."""
        return self.hash[:12]


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """Qualified name of a component, with its distribution and version."""

    name: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class SeedScore:
    """Scores of one successful training run. ``accuracy`` is on the test split, in [0, 1].

    Times are None if seeds were trained concurrently (``bench --accuracy-only``).
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
    """A failed training run or measurement."""

    seed: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Number of parameters, multiply-accumulates per image, and size in bytes.

    The size is the size of the saved weights, or of the ONNX file of a compressed model.
    """

    parameters: int
    macs: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """Hardware used for a result. ``class_`` (``class`` in JSON) groups comparable machines."""

    class_: str = field(metadata={"json": "class"})
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
    """The file of stored predictions, next to the JSON document."""

    file: str
    sha256: str
    images: int
    classes: int


@dataclass(frozen=True, slots=True)
class CorruptionScores:
    """Accuracy under one corruption, in [0, 1]: ``accuracy[seed index][severity - 1]``."""

    name: str
    accuracy: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Robustness:
    """Accuracy on corrupted test images, with ``version`` and ``seed`` of the corruptions."""

    version: str
    seed: int
    corruptions: tuple[CorruptionScores, ...]

    @property
    def mean_accuracy(self) -> float:
        """Mean accuracy over corruptions, severities and seeds, in [0, 1]."""
        accuracies = [value for one in self.corruptions for row in one.accuracy for value in row]
        return sum(accuracies) / len(accuracies)


@dataclass(frozen=True, slots=True, repr=False)
class Result(Displayed):
    """Result for one recipe on one track, trained with several seeds on one machine.

    ``components`` is keyed by kind: backbone, optimizer, scheduler, dataset. ``path`` is the path
    of the result file; it is neither part of the document nor compared. ``robustness`` is None, and
    absent from the document, if it was not measured; ``plugins`` (keyed by distribution) is empty,
    and absent from the document, if all components are built in.
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
    latency: tuple[LatencyRow, ...]
    hardware: Hardware
    libraries: Mapping[str, str]
    predictions: PredictionsFile | None
    robustness: Robustness | None = None
    plugins: Mapping[str, PluginSource] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False, repr=False)

    def _summary(self) -> dict[str, object]:
        accuracies = [score.accuracy for score in self.seeds]
        return {
            "id": self.id,
            "track": self.track.name,
            "recipe": self.recipe.name,
            "accuracy": round(sum(accuracies) / len(accuracies), 4) if accuracies else None,
            "seeds": len(self.seeds),
            "hardware": self.hardware.class_,
        }

    @property
    def foreign(self) -> dict[str, str]:
        """Version of each distribution other than oraclezoo that provides a component."""
        parts = self.components.values()
        return {p.distribution: p.version for p in parts if p.distribution != "oraclezoo"}

    @property
    def plugin_key(self) -> PluginKey:
        """Identity of the code of the plugins; results with different keys get separate rows."""
        return plugin_key(self.plugins, self.foreign)

    def to_json_dict(self) -> dict[str, Any]:
        """Return the JSON document: dicts, lists, strings, numbers, booleans and None."""
        return {"schema": SCHEMA, **encode(dataclasses.replace(self, path=None))}

    @classmethod
    def from_json_dict(cls, document: Mapping[str, Any], path: Path | None = None) -> Self:
        """Create a result from its JSON document. Raises ResultError if it is invalid."""
        validate(document)
        try:
            return dataclasses.replace(decode(cls, document), path=path)
        except (KeyError, TypeError, ValueError) as error:
            raise ResultError(f"not a result: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load a JSON file. Raises ResultError, which names the file, the field and the fault."""
        return cls.read(read_json(Path(path)), Path(path))

    @classmethod
    def read(cls, document: Any, path: Path) -> Self:
        """Parse a JSON value that was read from ``path``, like :meth:`load`."""
        try:
            return cls.from_json_dict(document, path)
        except ResultError as error:
            raise ResultError(f"result {path}: {error}") from error
        except RecursionError as error:
            raise ResultError(f"result {path}: nested too deeply to be a result") from error

    def save(self, folder: str | Path) -> Path:
        """Validate the result, write ``<folder>/<id>.json`` atomically, and return its path.

        Write the predictions file first, so that no result refers to a missing file.

        Raises ResultError if the result is invalid.
        """
        document = self.to_json_dict()
        validate(document)
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        path = write_atomically(Path(folder) / f"{self.id}.json", text.encode("ascii"))
        object.__setattr__(self, "path", path)  # the path is not part of the value
        return path


def make_id(track: str, recipe: str, recipe_hash: str, hardware_class: str) -> str:
    """Return an ID for a result that is safe as a file name; other characters become dashes."""
    text = f"{track}-{recipe}-{recipe_hash[:12]}-{hardware_class}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:200].strip("-")


def plugin_key(
    plugins: Mapping[str, PluginSource], versions: Mapping[str, str] = MappingProxyType({})
) -> PluginKey:
    """Return the identity of the code of plugins.

    Args:
        plugins: Version and code, keyed by distribution.
        versions: Versions of distributions, including distributions whose code is unknown.
    """
    stated = {name: (version, "") for name, version in versions.items()}
    known = {name: (source.version, source.sha256) for name, source in plugins.items()}
    return tuple((name, *value) for name, value in sorted((stated | known).items()))


def data_key(data_sha256: Mapping[str, str]) -> str:
    """Return the identity of the data: digests of all source files, as canonical JSON."""
    return json.dumps(dict(data_sha256), sort_keys=True, separators=(",", ":"))


def timestamp() -> str:
    """Return the current UTC time in ISO 8601 with a resolution of one second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
