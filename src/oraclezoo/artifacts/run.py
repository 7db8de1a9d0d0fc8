"""The folder of a training run: record, metrics and weights."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, Concatenate, ParamSpec

from oraclezoo.artifacts.load import assemble
from oraclezoo.artifacts.model import Model, refuse_run
from oraclezoo.artifacts.record import Evaluated, Outcome, RunRecord
from oraclezoo.codec import decode
from oraclezoo.documents import read_json, read_rows
from oraclezoo.engine.checkpoint import load_checkpoint
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import OracleZooError, ResultError, UsageError
from oraclezoo.notebook import Displayed
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.result import timestamp
from oraclezoo.storage import exclusive, write_atomically

OVERWRITE = "--overwrite trains again, --out chooses another folder"
"""Advice appended to error messages about a run folder."""

MODEL = "model"
"""Subfolder of a run folder for the model that is passed to trackers."""
PLOTS = "plots"
"""Subfolder of a run folder for figures."""


@dataclasses.dataclass(frozen=True)
class ScoredRecord:
    """The record of a run that was trained and scored on the test split.

    ``data_sha256`` holds the SHA-256 of each training, validation and test file.
    """

    outcome: Outcome
    evaluated: Evaluated
    data_sha256: dict[str, str]


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Displayed):
    """A run folder: ``recipe.toml``, ``run.json``, ``metrics.jsonl`` and two weight files."""

    folder: Path
    FILE: ClassVar[str] = "run.json"

    def _summary(self) -> dict[str, object]:
        summary: dict[str, object] = {"folder": str(self.folder)}
        try:
            record = self.record
        except ResultError:  # the folder has been moved or damaged
            return {**summary, "status": "unreadable"}
        summary["status"] = record.status
        accuracy = record.outcome.validation_accuracy if record.outcome else None
        if accuracy is not None:
            summary["validation_accuracy"] = round(accuracy, 4)
        return summary

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Open a run folder. Raises ResultError if it is not one."""
        run = cls(Path(folder))
        _ = run.record
        return run

    @property
    def record(self) -> RunRecord:
        """The contents of ``FILE``. Raises ResultError if the file cannot be read."""
        path = self.folder / self.FILE
        try:
            document = read_json(path)
        except FileNotFoundError as error:
            raise ResultError(
                f"{self.folder} is not a run folder: {self.FILE} is missing"
            ) from error
        except (OSError, ValueError) as error:
            raise ResultError(f"{path}: cannot be read ({error})") from error
        return RunRecord.from_json(document, path)

    @property
    def outcome(self) -> Outcome:
        """Totals of the training run. Raises ResultError if the run is not finished."""
        record = self.record
        if record.status != "done" or record.outcome is None:
            raise ResultError(f"{self.folder} is {record.status}, not done")
        return record.outcome

    def scored(self) -> ScoredRecord:
        """Read the record of a scored run. Raises ResultError if the run is not scored."""
        record = self.record
        if record.outcome is None or record.evaluated is None:
            raise ResultError(f"{self.folder} is not a scored run; {OVERWRITE}")
        digests = {**record.provenance.data_sha256, **record.evaluated.test_sha256}
        return ScoredRecord(record.outcome, record.evaluated, digests)

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run, with qualified names."""
        return Recipe.load(self.folder / "recipe.toml")

    @property
    def metrics(self) -> list[Epoch]:
        """Metrics of each epoch, read from ``metrics.jsonl``. Raises ResultError."""
        path = self.folder / "metrics.jsonl"
        try:
            return [decode(Epoch, row) for row in read_rows(path)]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ResultError(f"{path}: not the metrics of a run ({error})") from error

    def model(self, keep: str | None = None, registry: Registry | None = None) -> Model:
        """Return the trained model with the ``"best"`` or ``"last"`` weights.

        By default, uses the weights that the recipe keeps. Raises ResultError or UsageError.
        """
        keep = keep or self.recipe.train.keep
        if keep not in ("best", "last"):
            raise UsageError(f"keep is '{keep}'; it must be best or last")
        path = self.folder / f"{keep}.safetensors"
        state = load_checkpoint(path)
        weights = state["model"]
        if state.get("ema"):
            weights = {
                key.removeprefix("module."): value
                for key, value in state["ema"].items()
                if key.startswith("module.")
            }
        card = self.record.model
        if card is None:
            raise ResultError(f"{self.folder}: run.json has no model card; {OVERWRITE}")
        return assemble(card, weights, registry or build_registry(), str(path))

    def check(self) -> None:
        """Raise ResultError unless this is a finished run whose files can be read."""
        try:
            _ = self.outcome
            self._read_files()
        except OracleZooError as error:
            raise ResultError(f"{self.folder} cannot be used ({error}); {OVERWRITE}") from error

    def _read_files(self) -> None:
        load_checkpoint(self.folder / f"{self.recipe.train.keep}.safetensors")

    def write(self, record: RunRecord) -> None:
        """Write ``FILE`` atomically."""
        text = json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.folder / self.FILE, text.encode())

    def end(self, status: str, reason: str | None = None) -> None:
        """Record the status of a run that ended early."""
        self.write(dataclasses.replace(self.record, status=status, reason=reason))

    def finish(self, outcome: Outcome) -> None:
        """Record the outcome of a finished run."""
        finished = dataclasses.replace(
            self.record, status="done", outcome=outcome, finished=timestamp()
        )
        self.write(finished)


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


P = ParamSpec("P")
Source = Model | Run | str | Path
"""A model, a run, the folder of either, or a model's name."""


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Check that a folder is writable, and lock it for this process while the block runs.

    Args:
        folder: The folder; it is created if necessary.

    Raises:
        ResultError: The folder cannot be written.
        UsageError: Another process is writing to it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(folder))
        except OSError as error:
            raise ResultError(
                f"{folder}: cannot be written to ({error.strerror or error}); choose another folder"
            ) from error
        writable(folder)
        yield


def writing_model(
    function: Callable[Concatenate[Source, str | Path | None, P], Model],
) -> Callable[Concatenate[Source, str | Path | None, P], Model]:
    """Lock the folder that a function writes its model to (its second argument) while it runs."""

    @functools.wraps(function)
    def locked(
        model: Source, out: str | Path | None, /, *args: P.args, **kwargs: P.kwargs
    ) -> Model:
        if out is None:
            return function(model, out, *args, **kwargs)
        refuse_run(Path(out))
        with occupied(Path(out)):
            return function(model, out, *args, **kwargs)

    return locked


def folder_name(recipe: Recipe, seed: int) -> str:
    """Return the name of a run folder; slashes in the recipe name are replaced with dashes."""
    return f"{recipe.name.replace('/', '-')}-{recipe.hash12}-s{seed}"
