"""Reproduction: a record of a result that was run again, kept beside it and counted by the table.

A record lies in the folder ``reproductions`` of the result's folder and names the result by the
SHA-256 of its file: it counts for that file alone, not for one that was edited or measured again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from oraclezoo.errors import ResultError
from oraclezoo.ranking.reproduction.verdict import Figures, Verdict, verdict
from oraclezoo.result import Hardware, write_atomically
from oraclezoo.result.check import digest, read_json, schema_fault

SCHEMA = "oraclezoo/reproduction/1"
SCHEMA_FILE = Path(__file__).resolve().parents[2] / "result" / "schemas" / "reproduction-1.json"
FOLDER = "reproductions"


@dataclass(frozen=True, slots=True)
class SeedPair:
    """One seed, stated and found; accuracies are shares of 1 of the test images."""

    seed: int
    accuracy_stated: float
    accuracy_found: float
    answers_changed: int
    largest_change: float


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One record; units as in ``result/schemas/reproduction-1.json``.

    ``complete`` says whether every seed of the result was run again: only then it counts.
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

    @property
    def figures(self) -> Figures:
        """What the verdict goes by."""
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
        """What tells one place where a result was run again from another."""
        return digest([self.hardware.class_, dict(self.libraries)])

    def to_json_dict(self) -> dict[str, Any]:
        """The document: plain dicts, lists, strings, numbers, booleans and None."""
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        document["hardware"] = {k.rstrip("_"): v for k, v in document["hardware"].items()}
        plain: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
        return plain

    @classmethod
    def from_json_dict(cls, document: Any) -> Self:
        """The record of a document. Raises ResultError if it is none.

        Its verdict must be the one that its own figures give.
        """
        fault = schema_fault(document, SCHEMA, SCHEMA_FILE)
        if fault:
            raise ResultError(fault)
        parts: dict[str, Any] = {k: v for k, v in document.items() if k != "schema"}
        hardware = {"class_" if k == "class" else k: v for k, v in parts["hardware"].items()}
        parts |= {
            "against": tuple(parts["against"]),
            "seeds": tuple(SeedPair(**pair) for pair in parts["seeds"]),
            "hardware": Hardware(**hardware),
        }
        record = cls(**parts)
        try:
            datetime.fromisoformat(record.created)
        except ValueError as error:
            raise ResultError(f"created: {error}") from error
        due = verdict(record.figures)[0]
        if record.verdict != due:
            raise ResultError(f"verdict: is '{record.verdict}', its figures give '{due}'")
        return record

    @classmethod
    def load(cls, path: Path) -> Self:
        """The record in a file. Raises ResultError: which file, and what is wrong."""
        document = read_json(path)
        try:
            return cls.from_json_dict(document)
        except ResultError as error:
            raise ResultError(f"reproduction {path}: {error}") from error

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/<result's id>-<8 digits>.json`` atomically; returns its path."""
        document = self.to_json_dict()
        type(self).from_json_dict(document)
        text = json.dumps(document, indent=2) + "\n"
        name = f"{self.result_id[:180]}-{digest(document)[:8]}.json"
        return write_atomically(folder / name, text.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Count:
    """In how many environments a result was run again, wholly: found so, and found otherwise."""

    confirmed: int = 0
    differing: int = 0


def of_result(path: Path) -> list[Reproduction]:
    """The records beside a result's file that name its very bytes, complete or not.

    Those that cannot be read, or are of another file, are passed over: they prove nothing.
    """
    folder = path.parent / FOLDER
    if not folder.is_dir():
        return []
    sha256 = sha256_of(path)
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = Reproduction.load(file)
        except ResultError:
            continue
        if record.result_sha256 == sha256:
            found.append(record)
    return found


def count(records: Iterable[Reproduction]) -> Count:
    """Count environments; one in which it once came out otherwise is a differing one."""
    by_place: dict[str, list[Verdict]] = {}
    for record in records:
        if record.complete:
            by_place.setdefault(record.environment, []).append(record.verdict)
    differing = sum("differs" in verdicts for verdicts in by_place.values())
    return Count(len(by_place) - differing, differing)


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes. Raises ResultError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror or error}") from error
