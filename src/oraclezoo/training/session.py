"""Management of a run folder during training: record, metrics and trackers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oraclezoo.artifacts.provenance import earlier_parts
from oraclezoo.artifacts.record import Outcome, Pretraining, RunRecord, Teaching
from oraclezoo.artifacts.run import MODEL, PLOTS, Run
from oraclezoo.codec import encode
from oraclezoo.documents import read_file
from oraclezoo.engine.device import peak_memory_bytes
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.profile import Profiler
from oraclezoo.engine.records import Epoch
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError
from oraclezoo.result import timestamp
from oraclezoo.storage import append_line, write_atomically
from oraclezoo.training.prepared import Prepared
from oraclezoo.training.pretrain import FOLDER as PRETRAIN
from oraclezoo.training.teachers import FOLDER as TEACHERS
from oraclezoo.training.tracking import Tracking

STACKED = "stacked"
"""Value of ``strategy`` in the record of a run that is trained in a stack of seeds."""

STALE = (
    *("run.json", "best.safetensors", "last.safetensors", "score.safetensors"),
    *("profile.json", "trace.json"),
)
"""Files of an earlier run that are deleted when a new run starts in the same folder."""


@dataclass(frozen=True)
class Session:
    """A training run in progress, which writes to its run folder.

    Attributes:
        prepared: Recipe and data of the run.
        trainer: Trainer of the run.
        run: Folder of the run.
        tracking: Experiment trackers of the run.
        pretrained: Record of pre-training; None without pre-training.
        taught: Record of the teachers; None without distillation.
        concurrent: Number of seeds in the run's stack; None if the run is not stacked.
    """

    prepared: Prepared
    trainer: Trainer
    run: Run
    tracking: Tracking
    pretrained: Pretraining | None = None
    taught: Teaching | None = None
    concurrent: int | None = None

    def open(self, *, resumed: bool) -> None:
        """Write the run's recipe and record, and start its trackers.

        Args:
            resumed: Whether the trainer resumes from a checkpoint of this run.
        """
        trainer, data, seed = self.trainer, self.prepared.data, self.trainer.seed
        provenance = self.prepared.provenance(seed)
        before = self.run.record if resumed else None
        self._prepare_folder(trainer.progress.epoch if resumed else None)
        concurrent, strategy = self.concurrent, None if self.concurrent is None else STACKED
        if before is not None and concurrent is None:  # its time is invalid for timed benchmarks
            concurrent, strategy = before.concurrent, before.strategy
        self.run.write(
            RunRecord(
                provenance=provenance,
                started=timestamp(),
                status="running",
                reason=None,
                parts=() if before is None else earlier_parts(before, provenance),
                model=self.prepared.card(seed),
                pid=os.getpid(),
                concurrent=concurrent,
                strategy=strategy,
                pretrained=self.pretrained,
                taught=self.taught,
                train_images=len(data.images),
                validation_images=len(data.validation_images),
                flip=trainer.inputs.augment.flip,
                streamed=isinstance(data.images, Streamed),
                profiled=None if self.concurrent else trainer.profile_folder is not None,
            )
        )
        self.tracking.begin(self.run, self.prepared.device, trainer.step if resumed else 0)

    def _prepare_folder(self, kept_epochs: int | None) -> None:
        """Write the recipe and keep the metrics of ``kept_epochs``; None deletes earlier files."""
        folder = self.run.folder
        write_atomically(folder / "recipe.toml", self.prepared.recipe.to_toml().encode())
        path = folder / "metrics.jsonl"
        lines: list[bytes] = []
        if kept_epochs and path.exists():  # a damaged line does not stop the training
            lines = read_file(path).split(b"\n")[:kept_epochs]
        write_atomically(path, b"".join(line + b"\n" for line in lines if line))
        if kept_epochs is None:
            for stale in STALE:
                (folder / stale).unlink(missing_ok=True)
            for subfolder in (MODEL, PLOTS):
                shutil.rmtree(folder / subfolder, ignore_errors=True)

    def log(self, epoch: Epoch) -> None:
        """Append an epoch's metrics to ``metrics.jsonl`` and pass them to the trackers."""
        append_line(self.run.folder / "metrics.jsonl", json.dumps(encode(epoch)))
        self.tracking.epoch(epoch)

    def end(self, error: BaseException) -> None:
        """Record that training ended early with ``error``, and close the trackers."""
        if isinstance(error, (InterruptedRunError, KeyboardInterrupt)):
            self.run.end("interrupted")
        elif isinstance(error, DivergedError):
            self.run.end("diverged", str(error))
        else:
            self.run.end("failed", f"{type(error).__name__}: {error}")
        self.tracking.end()

    def finish(self) -> Run:
        """Write the profile and the outcome, close the trackers and delete temporary folders."""
        try:
            self._write_profile()
            self.run.finish(self._outcome())
        finally:
            self.tracking.end()
        for folder in (PRETRAIN, TEACHERS):
            shutil.rmtree(self.run.folder / folder, ignore_errors=True)
        return self.run

    def _outcome(self) -> Outcome:
        """Return the totals of the run, including pre-training and the training of teachers."""
        trainer, progress = self.trainer, self.trainer.progress
        earlier = [each for each in (self.pretrained, self.taught) if each is not None]
        held_out = not trainer.recipe.data.refit
        return Outcome(
            steps=trainer.step + sum(each.steps for each in earlier),
            examples=progress.examples + sum(each.examples for each in earlier),
            train_s=progress.train_s + sum(each.train_s for each in earlier),
            compile_s=progress.compile_s + sum(each.compile_s for each in earlier),
            compiled=trainer.compiled,
            validation_accuracy=progress.validation_accuracy if held_out else None,
            validation_loss=progress.validation_loss if held_out else None,
            best_epoch=progress.best_epoch,
            best_validation_accuracy=progress.best[0] if held_out else None,
            peak_memory_bytes=peak_memory_bytes(self.prepared.device),
        )

    def _write_profile(self) -> None:
        watch, folder = self.trainer.watch, self.trainer.profile_folder
        if folder is None or not isinstance(watch, Profiler):
            return
        report = watch.report(self.prepared.recipe.train.precision)
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / "profile.json", text.encode())


@contextmanager
def recording_failure(sessions: Iterable[Session]) -> Iterator[None]:
    """Record an exception in every run that is in ``sessions`` at that time, and re-raise it."""
    try:
        yield
    except BaseException as error:
        for session in sessions:
            session.end(error)
        raise
