"""The run folder of a training: record, metrics and weights."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from oraclezoo.artifacts.model import Model, assemble
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.errors import (
    OracleZooError,
    ResultError,
    UsageError,
)
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.result import write_atomically

SCHEMA = "oraclezoo/run/1"
OVERWRITE = "--overwrite trains again, --out chooses another folder"
"""Advice at the end of errors about a run folder."""

MODEL = "model"
"""Subfolder of a run folder with the model that is passed to trackers."""
PLOTS = "plots"
"""Subfolder of a run folder with its figures."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Totals of a finished run, including pre-training, teachers and fine-tuning.

    ``validation_accuracy`` is None if the run trained on the validation images.
    """

    steps: int
    examples: int
    train_s: float
    compile_s: float
    validation_accuracy: float | None
    peak_memory_bytes: int | None


@dataclasses.dataclass(frozen=True)
class ScoredRecord:
    """The record of a run that has been trained and scored on the test split.

    Attributes:
        outcome: Totals of the training.
        data_sha256: SHA-256 of each file that it was trained and scored on.
        calibration_s: Machine speed when it was trained; None if it was not timed.
        robust: Accuracy on corrupted test images; None if it was not measured.
    """

    outcome: Outcome
    data_sha256: dict[str, str]
    calibration_s: float | None
    robust: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder: ``recipe.toml``, ``run.json``, ``metrics.jsonl`` and two weight files."""

    folder: Path
    FILE: ClassVar[str] = "run.json"

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Open a run folder. Raises ResultError if it is not one."""
        run = cls(Path(folder))
        if run.record.get("schema") != SCHEMA:
            raise ResultError(f"{folder} is not a run folder of oraclezoo: run.json has no schema")
        return run

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``FILE``. Raises ResultError if it cannot be read."""
        path = self.folder / self.FILE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ResultError(
                f"{self.folder} is not a run folder: there is no {self.FILE} in it"
            ) from error
        except (OSError, ValueError) as error:
            raise ResultError(f"{path}: cannot be read ({error})") from error
        if not isinstance(record, dict):
            raise ResultError(f"{path}: not a run record")
        return record

    def scored(self) -> ScoredRecord:
        """Read the record of a scored run. Raises ResultError if it is not scored."""
        record = self.record
        try:
            outcome = record["outcome"]
            fields = {each.name: outcome[each.name] for each in dataclasses.fields(Outcome)}
            return ScoredRecord(
                outcome=Outcome(**fields),
                data_sha256={**record["data_sha256"], **record["test_sha256"]},
                calibration_s=record["calibration_s"],
                robust=record.get("robust"),
            )
        except (KeyError, TypeError) as error:
            raise ResultError(
                f"{self.folder} is not a scored run ({error!r}); {OVERWRITE}"
            ) from error

    @property
    def recipe(self) -> Recipe:
        """The recipe that was trained, with qualified names."""
        return Recipe.load(self.folder / "recipe.toml")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of each epoch, from ``metrics.jsonl``."""
        text = (self.folder / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def model(self, keep: str | None = None, registry: Registry | None = None) -> Model:
        """Return the trained model with the ``"best"`` or ``"last"`` weights.

        By default those that the recipe keeps. Raises ResultError, UsageError.
        """
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
            raise ResultError(
                f"{self.folder}: the run has no model yet; train it further with --resume"
            )
        return assemble(card, weights, registry or build_registry(), str(path))

    def check(self) -> None:
        """Raise ResultError unless this is a finished run whose files can be read."""
        try:
            if self.record["status"] != "done" or "examples" not in self.record["outcome"]:
                raise ResultError("it is not finished")
            load_state(self.folder / f"{self.recipe.train.keep}.safetensors")
        except (OracleZooError, KeyError, TypeError) as error:
            raise ResultError(f"{self.folder} is damaged ({error}); {OVERWRITE}") from error

    def update(self, **fields: Any) -> None:
        """Set fields of ``FILE``, atomically."""
        try:
            record = self.record
        except ResultError:
            record = {}
        record.update(fields)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.folder / self.FILE, text.encode())


def writable(folder: Path) -> None:
    """Create a folder and check that it is writable. Raises ResultError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResultError(
            f"{folder}: cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


def folder_name(recipe: Recipe, seed: int) -> str:
    """Return the name of a run folder; a slash in the recipe's name becomes a dash."""
    return f"{recipe.name.replace('/', '-')}-{recipe.hash12}-s{seed}"
