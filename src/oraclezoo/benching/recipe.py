"""One recipe of a benchmark: its jobs, each in a process of its own, and the result of them.

Finished jobs are kept in the runs folder, failed ones never are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.record import provenance
from oraclezoo.artifacts.robustness import is_current
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.artifacts.score import Score
from oraclezoo.benching.entry import Jobs, compose_result, data_sha256
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import pick
from oraclezoo.errors import InterruptedRunError, OracleZooError, ResultError
from oraclezoo.jobs import Event, run_job
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result, data_key, timestamp
from oraclezoo.specs import Value


@dataclass(frozen=True)
class Progress:
    """What a benchmark tells while it runs; ``done`` of ``total`` jobs, begun ones in part.

    ``event`` is start, epoch, message (of a job, in ``message``), done, kept, failed, apart
    (``message``: why seeds that were to be trained at once are not), measure or measured; the last
    three have no seed.
    """

    event: str
    recipe: str
    seed: int | None
    done: float
    total: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """What all jobs of a benchmark share."""

    registry: Registry
    data_dir: Path | None
    device: str
    results: Path
    runs: Path
    fresh: bool
    stream_above: int | str | None
    compile: str
    deterministic: bool
    robust: bool
    at_once: int | None
    trackers: dict[str, dict[str, Value]]
    command: str
    report: Callable[[Progress], None]


class RecipeBench:
    """All jobs of one recipe, from job ``offset`` of the benchmark on."""

    timed = True
    beside = False
    """Variants of this net are measured too, in ONNX Runtime: it is, for comparison, as well."""
    trained = False

    def __init__(
        self, shared: Shared, recipe: Recipe, dataset: Dataset, offset: int, total: int
    ) -> None:
        self.shared, self.recipe, self.dataset = shared, recipe, dataset
        self.offset, self.total = offset, total
        self.runs: dict[int, Run] = {}
        self.failures: list[dict[str, Any]] = []

    def result(self, seeds: Sequence[int]) -> Result:
        """Train what is not kept, measure once, and save what it adds up to."""
        self.train(seeds)
        measured = self._measure()
        return compose_result(
            Jobs(self.recipe, self.dataset, self.runs, self.failures, measured, self.timed),
            self.shared.registry,
            self.shared.results,
            device=self.shared.device,
            command=self.shared.command,
        )

    def train(self, seeds: Sequence[int]) -> None:
        """Train and score what is not kept; done once."""
        if not self.trained:
            self._train_all(seeds)
            self.trained = True

    def _train_all(self, seeds: Sequence[int]) -> None:
        for seed in seeds:
            self._seed(seed)

    def _run(self, seed: int) -> Run:
        return Run(self.shared.runs / folder_name(self.recipe, seed))

    def _seed(self, seed: int) -> None:
        run = self._run(seed)
        status = self._status(run, seed)
        if status == "scored":
            self._note_kept(run)
        else:
            self._tell("start", seed)
            ended = self._train(run, seed, resume=bool(status))
            if ended["event"] == "failed":
                self._fail(ended, seed, seed)
                return
        self.runs[seed] = run
        event = "kept" if status == "scored" else "done"
        self._tell(event, seed, run.record["score"], part=1)
        self.offset += 1

    def _status(self, run: Run, seed: int) -> str:
        """How far a run that would come out the same here and now has got; "" if there is none."""
        if self.shared.fresh:
            return ""
        try:
            record = run.record
        except OracleZooError:
            return ""
        if not self._serves(record, self._identity(seed)):
            return ""
        status = str(record.get("status"))
        if status != "done":
            return status if status in ("running", "interrupted") else ""
        try:
            run.check()
        except ResultError:
            return ""
        try:
            Score.load(run.folder / "score.safetensors")
        except ResultError:
            return "done"
        if self.shared.robust and not is_current(record.get("robust")):
            return "done"
        return "scored" if "score" in record and "calibration_s" in record else "done"

    def _identity(self, seed: int) -> dict[str, Any]:
        """What a run's record must say to be one that would be made here and now."""
        return provenance(
            self.recipe,
            self.shared.registry,
            self.dataset,
            pick(self.shared.device),
            seed,
            compile=self.shared.compile,
            deterministic=self.shared.deterministic,
        )

    def _serves(self, record: dict[str, Any], here: dict[str, Any]) -> bool:
        """Whether a run stands for one made here and now, its time included."""
        same = all(record.get(key) == value for key, value in here.items())
        return same and not record.get("parts") and not record.get("together")

    def _note_kept(self, run: Run) -> None:
        """Results elsewhere than before have a ledger too."""
        ledger.note(
            self.shared.results,
            track=self.recipe.data.track,
            data_key=data_key(data_sha256(run.record)),
            recipe_hash=self.recipe.hash,
        )

    def _fail(self, ended: Event, seed: int, told: int | None) -> None:
        why = {"reason": ended["reason"], "message": ended["message"]}
        self.failures.append({"seed": seed, **why})
        self._tell("failed", told, {**why, "stderr": ended.get("stderr", "")}, part=1)
        self.offset += 1

    def _train(self, run: Run, seed: int, *, resume: bool) -> Event:
        """One training and scoring job; its last event."""
        shared, recipe = self.shared, self.recipe

        def forward(event: Event) -> None:
            fields = {key: value for key, value in event.items() if key != "event"}
            if event["event"] == "epoch":
                self._tell("epoch", seed, fields, part=event["epoch"] / self.epochs)
            else:
                self._note_message(event, seed)

        try:
            return run_job(self._request(seed, resume=resume), forward)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped in {recipe.label}, seed {seed}; all finished jobs and this one's state "
                f"are kept in {shared.runs}: run the same command again to go on"
            ) from error

    def _note_message(self, event: Event, seed: int | None) -> None:
        if event["event"] == "message":
            self._tell("message", seed, {"message": event["message"]})

    @property
    def epochs(self) -> int:
        """Of one job."""
        return self.recipe.budget.epochs

    def _request(self, seed: int, *, resume: bool) -> dict[str, Any]:
        shared = self.shared
        return {
            "action": "oraclezoo.benching.actions:train_and_score",
            "recipe": self.recipe.to_dict(),
            "seed": seed,
            "data_dir": None if shared.data_dir is None else str(shared.data_dir),
            "device": shared.device,
            "out": str(shared.runs),
            "results": str(shared.results),
            "stream_above": shared.stream_above,
            "compile": shared.compile,
            "deterministic": shared.deterministic,
            "robust": shared.robust,
            "trackers": shared.trackers,
            "resume": resume,
        }

    def _measure(self) -> Event | None:
        """Size and latency of the first seed's model; None if they could not be measured."""
        if not self.runs:
            return None
        self._tell("measure", None)
        folder = str(next(iter(self.runs.values())).folder)
        try:
            measured = run_job(
                {
                    "action": "oraclezoo.benching.actions:measure",
                    "folder": folder,
                    "device": self.shared.device,
                    "timed": self.timed,
                    "exported": self.beside,
                },
                lambda event: self._note_message(event, None),
            )
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped while measuring {self.recipe.label}; all finished jobs are kept in "
                f"{self.shared.runs}: run the same command again to go on"
            ) from error
        if measured["event"] == "failed":
            measured["message"] = f"latency: {measured['message']}"
            self._fail(measured, next(iter(self.runs)), None)
            return None
        self._tell("measured", None, part=1)
        return measured

    def _tell(
        self, event: str, seed: int | None, fields: dict[str, Any] | None = None, part: float = 0
    ) -> None:
        known = fields or {}
        done = self.offset + part
        self.shared.report(Progress(event, self.recipe.label, seed, done, self.total, known))
        if event != "epoch":
            _journal(self.shared.runs, self.recipe, event, seed, known)


def _journal(
    runs: Path, recipe: Recipe, event: str, seed: int | None, fields: dict[str, Any]
) -> None:
    """One line for each thing that happened, for whoever wants to know afterwards."""
    runs.mkdir(parents=True, exist_ok=True)
    what = {"recipe": recipe.name, "hash": recipe.hash12, "seed": seed, **fields}
    line = json.dumps({"time": timestamp(), "event": event, **what}, ensure_ascii=False)
    with (runs / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
