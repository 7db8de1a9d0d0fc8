"""A run folder while it is being trained: its record, its metrics and its trackers."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from oraclezoo.artifacts.record import earlier_parts, open_folder, outcome
from oraclezoo.artifacts.run import SCHEMA, Run
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.profile import Profiler
from oraclezoo.engine.records import Epoch
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError
from oraclezoo.result import timestamp
from oraclezoo.storage import write_atomically
from oraclezoo.training.prepared import Prepared
from oraclezoo.training.pretrain import FOLDER as PRETRAIN
from oraclezoo.training.teachers import FOLDER as TEACHERS
from oraclezoo.training.tracking import Tracking


@dataclass(frozen=True)
class Session:
    """A run whose folder is open.

    Attributes:
        prepared: Recipe and data.
        trainer: The trainer of the run.
        run: Its folder.
        tracking: Its trackers.
        preparation: Records of pre-training and of teachers, for the totals of the outcome.
    """

    prepared: Prepared
    trainer: Trainer
    run: Run
    tracking: Tracking
    preparation: tuple[dict[str, Any], ...] = ()

    def open(self, *, resumed: bool, profiled: bool | None = None, **facts: Any) -> None:
        """Write the run's recipe and record, and start its trackers.

        Args:
            resumed: Whether the trainer continues from a checkpoint of this run.
            profiled: Whether a profile is taken; None where that is not possible.
            facts: Fields of ``run.json`` that depend on the kind of training.
        """
        trainer, data, seed = self.trainer, self.prepared.data, self.trainer.seed
        identity = self.prepared.provenance(seed)
        open_folder(self.run, self.prepared.recipe, trainer.progress.epoch if resumed else None)
        self.run.update(
            **identity,
            schema=SCHEMA,
            started=timestamp(),
            pid=os.getpid(),
            parts=earlier_parts(self.run, identity) if resumed else [],
            model=self.prepared.card(seed),
            status="running",
            reason=None,
            **facts,
            train_images=len(data.images),
            validation_images=len(data.validation_images),
            flip=trainer.inputs.augment.flip,
            streamed=isinstance(data.images, Streamed),
            **({} if profiled is None else {"profiled": profiled}),
        )
        self.tracking.begin(self.run, self.prepared.device, trainer.step if resumed else 0)

    def log(self, epoch: Epoch) -> None:
        """Append the metrics of an epoch to ``metrics.jsonl`` and pass them to the trackers."""
        with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(epoch)) + "\n")
        self.tracking.epoch(epoch)

    def end(self, error: BaseException) -> None:
        """Record that training ended early with ``error``, and end the trackers."""
        if isinstance(error, (InterruptedRunError, KeyboardInterrupt)):
            self.run.update(status="interrupted")
        elif isinstance(error, DivergedError):
            self.run.update(status="diverged", reason=str(error))
        else:
            self.run.update(status="failed", reason=f"{type(error).__name__}: {error}")
        self.tracking.end()

    def finish(self) -> Run:
        """Write profile and outcome, end the trackers and remove temporary folders."""
        try:
            self._write_profile()
            self.run.update(
                status="done",
                finished=timestamp(),
                outcome=outcome(self.trainer, self.prepared.device, self.preparation),
            )
        finally:
            self.tracking.end()
        for folder in (PRETRAIN, TEACHERS):
            shutil.rmtree(self.run.folder / folder, ignore_errors=True)
        return self.run

    def _write_profile(self) -> None:
        watch, folder = self.trainer.watch, self.trainer.profile_folder
        if folder is None or not isinstance(watch, Profiler):
            return
        report = watch.report(self.prepared.recipe.train.precision)
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / "profile.json", text.encode())


@contextmanager
def recording_failure(sessions: Iterable[Session]) -> Iterator[None]:
    """Record an exception in the runs that ``sessions`` then holds, and let it propagate."""
    try:
        yield
    except BaseException as error:
        for session in sessions:
            session.end(error)
        raise
