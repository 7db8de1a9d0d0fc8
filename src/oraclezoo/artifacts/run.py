"""Run: the folder that a training leaves, and what is read from it."""

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
"""The folder in a run's folder where the model is left, once there are trackers to give it to."""
PLOTS = "plots"
"""The folder in a run's folder for its figures."""


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
        """The content of ``FILE``."""
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
            raise ResultError(f"{self.folder} is damaged ({error}); {OVERWRITE}") from error

    def update(self, **fields: Any) -> None:
        """Change fields of ``FILE``, atomically."""
        try:
            record = self.record
        except ResultError:
            record = {}
        record.update(fields)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.folder / self.FILE, text.encode())


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
    """Name of a run's folder; the slash in the name of a suite's recipe becomes a dash."""
    return f"{recipe.name.replace('/', '-')}-{recipe.hash12}-s{seed}"
