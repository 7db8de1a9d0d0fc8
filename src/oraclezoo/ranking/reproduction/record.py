"""Reproduction records, which are stored beside a result and counted on the leaderboard.

A record is stored in the ``reproductions`` subfolder of the result's folder. It identifies the
result by the SHA-256 of its file, so it does not apply if the result is edited or measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from oraclezoo.card import PluginSource
from oraclezoo.codec import decode, encode
from oraclezoo.errors import ResultError
from oraclezoo.ranking.reproduction.verdict import Figures, Verdict, verdict
from oraclezoo.result import Hardware
from oraclezoo.result.check import digest, read_json, schema_fault
from oraclezoo.storage import write_atomically

SCHEMA = "oraclezoo/reproduction/1"
SCHEMA_FILE = Path(__file__).resolve().parents[2] / "result" / "schemas" / "reproduction-1.json"
FOLDER = "reproductions"


@dataclass(frozen=True, slots=True)
class SeedPair:
    """Original and reproduced test accuracy for one seed, in [0, 1].

    ``answers_changed`` is the number of images whose prediction differs; ``largest_change`` is the
    largest absolute change in a probability.
    """

    seed: int
    accuracy_stated: float
    accuracy_found: float
    answers_changed: int
    largest_change: float


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One reproduction record; for units see ``result/schemas/reproduction-1.json``.

    ``complete`` is true if every seed of the result was trained again; only complete records count.
    ``plugins`` (keyed by distribution) are the plugins used in training; the key is absent from the
    document if all components are built in.
    """

    created: str
    verdict: Verdict
    against: tuple[str, ...]
    result_id: str
    result_sha256: str
    recipe_hash: str
    complete: bool
    seeds: tuple[SeedPair, ...]
    difference: float
    p: float
    limit: float | None
    answers_p: float | None
    corrupted_difference: float | None
    corrupted_limit: float | None
    oraclezoo: str
    code_sha256: str
    command: str
    hardware: Hardware
    libraries: Mapping[str, str]
    predictions_sha256: str
    plugins: Mapping[str, PluginSource] = field(default_factory=dict)

    @property
    def figures(self) -> Figures:
        """The figures that the verdict is based on."""
        return Figures(
            changed=tuple(pair.answers_changed for pair in self.seeds),
            largest=tuple(pair.largest_change for pair in self.seeds),
            difference=self.difference,
            p=self.p,
            limit=self.limit,
            answers_p=self.answers_p,
            corrupted_difference=self.corrupted_difference,
            corrupted_limit=self.corrupted_limit,
        )

    @property
    def environment(self) -> str:
        """Digest of hardware class and library versions, which identifies an environment."""
        return digest([self.hardware.class_, dict(self.libraries)])

    def to_json_dict(self) -> dict[str, Any]:
        """Return the JSON document of this record."""
        return {"schema": SCHEMA, **encode(self)}

    @classmethod
    def from_json_dict(cls, document: Any) -> Self:
        """Create a record from its JSON document.

        Raises:
            ResultError: The document violates the schema, or its verdict contradicts its figures.
        """
        fault = schema_fault(document, SCHEMA, SCHEMA_FILE)
        if fault:
            raise ResultError(fault)
        try:
            record = decode(cls, document)
            datetime.fromisoformat(record.created)
        except (TypeError, ValueError) as error:
            raise ResultError(f"not a reproduction record: {error}") from error
        expected = verdict(record.figures)[0]
        if record.verdict != expected:
            raise ResultError(f"verdict is '{record.verdict}', but its figures imply '{expected}'")
        return record

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a record from a file. Raises ResultError if it is not a valid record."""
        document = read_json(path)
        try:
            return cls.from_json_dict(document)
        except ResultError as error:
            raise ResultError(f"reproduction {path}: {error}") from error

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/<result id>-<8 digits>.json`` atomically and return its path."""
        document = self.to_json_dict()
        type(self).from_json_dict(document)
        text = json.dumps(document, indent=2) + "\n"
        name = f"{self.result_id[:180]}-{digest(document)[:8]}.json"
        return write_atomically(folder / name, text.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Count:
    """Number of environments with a complete reproduction, keyed by verdict."""

    confirmed: int = 0
    differing: int = 0


def of_result(path: Path) -> list[Reproduction]:
    """Return the records for a result file, both complete and incomplete.

    Skips invalid records and records for a different version of the file.
    """
    folder = path.parent / FOLDER
    if not folder.is_dir():
        return []
    sha256 = sha256_of(path)
    records = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = Reproduction.load(file)
        except ResultError:
            continue
        if record.result_sha256 == sha256:
            records.append(record)
    return records


def count(records: Iterable[Reproduction]) -> Count:
    """Count environments by verdict; one differing record makes an environment differ."""
    by_environment: dict[str, list[Verdict]] = {}
    for record in records:
        if record.complete:
            by_environment.setdefault(record.environment, []).append(record.verdict)
    differing = sum("differs" in verdicts for verdicts in by_environment.values())
    return Count(len(by_environment) - differing, differing)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file. Raises ResultError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror or error}") from error
