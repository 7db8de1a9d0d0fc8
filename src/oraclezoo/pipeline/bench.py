"""Bench: the protocol, from a list of recipes to results that can be ranked.

One process a job; seeds derived by axis; test images read only after training. Finished jobs are
kept in the runs folder, so that a stopped benchmark goes on where it was; failed ones never are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from oraclezoo.contracts import Dataset
from oraclezoo.errors import InterruptedRunError, OracleZooError, ResultError, UsageError
from oraclezoo.leaderboard import ledger
from oraclezoo.pipeline import compose
from oraclezoo.pipeline.entry import Jobs, compose_result, data_sha256
from oraclezoo.pipeline.limit import stream_limit
from oraclezoo.pipeline.record import provenance
from oraclezoo.pipeline.robust import check_size, is_current
from oraclezoo.pipeline.run import Run, folder_name, writable
from oraclezoo.pipeline.score import Score
from oraclezoo.pipeline.tracking import Trackers, choose
from oraclezoo.pipeline.worker import Event, run_job
from oraclezoo.recipe import Recipe
from oraclezoo.registry import Registry, build_registry
from oraclezoo.resolve import resolve
from oraclezoo.result import Result, data_key, timestamp
from oraclezoo.specs import Value
from oraclezoo.suite import load_recipe
from oraclezoo.train.compiled import wanted
from oraclezoo.train.device import pick
from oraclezoo.variants import Variant


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
class _Bench:
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


def bench(
    recipes: Iterable[Recipe | str | Path],
    *,
    track: str | None = None,
    seeds: int | Sequence[int] = 5,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "results",
    runs: str | Path = "runs",
    fresh: bool = False,
    stream_above: int | str | None = None,
    compile: str = "auto",
    deterministic: bool = False,
    accuracy_only: bool = False,
    at_once: int | None = None,
    robust: bool = False,
    compress: str | Sequence[str] = (),
    trackers: Trackers = (),
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Callable[[str], None] | None = None,
    command: str | None = None,
) -> list[Result]:
    """Train and measure each recipe at each seed; one Result a recipe, saved under ``out``.

    ``track`` replaces the recipes' own. ``seeds`` is how many (0, 1, ...) or which. A job that
    fails is recorded in its recipe's result and the others go on. ``fresh`` measures again what the
    runs folder holds already. ``stream_above``, ``compile`` and ``deterministic`` as for
    :func:`oraclezoo.train`. ``accuracy_only`` trains many seeds at once and takes no times;
    ``at_once`` is how many, by default as docs/seeds.md says. ``robust`` scores each model on
    corrupted test images as well (docs/robustness.md). ``compress`` adds a row for each variant of
    each recipe beside the uncompressed one, e.g. ``("int8", "prune50+int8")``; it is made of the
    same trainings (docs/compressed.md). ``trackers`` as for
    :func:`oraclezoo.train`; they see no test image. ``command`` is what the results say they were
    made by; by default this call.

    Raises UsageError or DataError before anything is trained, InterruptedRunError on Ctrl-C.
    """
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not chosen:
        raise UsageError("a benchmark needs at least one seed")
    if at_once is not None and (not accuracy_only or at_once < 1):
        raise UsageError(
            "at_once goes with accuracy_only: bench --accuracy-only --at-once N, from 1 on"
        )
    registry = registry or build_registry()
    wanted(compile, pick(device), 0)
    limit = stream_limit(stream_above, torch.device("cpu"))  # nothing goes to the device here
    changes = {} if track is None else {"data.track": track}
    resolved: dict[str, Recipe] = {}
    variants = [compress] if isinstance(compress, str) else list(compress)
    for item in recipes:
        recipe = item if isinstance(item, Recipe) else load_recipe(item)
        for each in _rows(recipe.override(changes), variants):
            recipe = resolve(each, registry)
            resolved.setdefault(recipe.hash, recipe)
    shared = _Bench(
        registry=registry,
        data_dir=None if data_dir is None else Path(data_dir),
        device=device,
        results=Path(out),
        runs=Path(runs),
        fresh=fresh,
        stream_above=stream_above,
        compile=compile,
        deterministic=deterministic,
        robust=robust,
        at_once=at_once,
        trackers=choose(trackers, registry),
        command=command or _call(resolved.values(), track, chosen, variants),
        report=report,
    )
    datasets: dict[str, Dataset] = {}
    for recipe in resolved.values():  # all data is found, or the error raised, before any training
        if recipe.data.track not in datasets:
            dataset = compose.open_dataset(recipe, registry, shared.data_dir, progress, limit)
            dataset.split("train"), dataset.split("validation")  # their digests tell runs apart
            if robust:
                check_size(dataset.split("train").images)
            datasets[recipe.data.track] = dataset
    for folder in (shared.results, shared.runs):
        writable(folder)
    from oraclezoo.pipeline.bench_variant import VariantBench  # built on this module, as at_once is

    kind = RecipeBench
    if accuracy_only:
        from oraclezoo.pipeline.at_once import AtOnce as kind  # noqa: N813  # as above
    apart = {recipe.uncompressed.hash for recipe in resolved.values()} - resolved.keys()
    total, done = len(resolved) * (len(chosen) + 1) + len(apart) * len(chosen), 0
    nets: dict[str, RecipeBench] = {}
    results: dict[str, Result] = {}
    for recipe in sorted(resolved.values(), key=lambda recipe: bool(recipe.compress.steps)):
        plain = recipe.uncompressed
        if plain.hash not in nets:
            dataset = datasets[recipe.data.track]
            nets[plain.hash] = kind(shared, plain, dataset, done, total)
            nets[plain.hash].beside = any(
                each.compress.steps and each.uncompressed.hash == plain.hash
                for each in resolved.values()
            )
            done += len(chosen) * (plain.hash in apart)
        net = nets[plain.hash]
        row = VariantBench(net, recipe, done) if recipe.compress.steps else net
        results[recipe.hash] = row.result(chosen)
        done += len(chosen) + 1
    return [results[recipe_hash] for recipe_hash in resolved]


def _rows(recipe: Recipe, variants: Sequence[str]) -> list[Recipe]:
    """A recipe, and what is asked for beside it: variants, and the net that they are made of."""
    if not variants:
        return [recipe]
    steps = ["", recipe.compress.steps, *variants]
    return [
        recipe.override({"compress.steps": str(each and Variant.parse(each))}) for each in steps
    ]


class RecipeBench:
    """All jobs of one recipe, from job ``offset`` of the benchmark on."""

    timed = True
    beside = False
    """Variants of this net are measured too, in ONNX Runtime: it is, for comparison, as well."""
    trained = False

    def __init__(
        self, shared: _Bench, recipe: Recipe, dataset: Dataset, offset: int, total: int
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
            "action": "train",
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
                    "action": "measure",
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


def _call(
    recipes: Iterable[Recipe], track: str | None, seeds: list[int], variants: list[str]
) -> str:
    """This call as Python text, for the results."""
    names = list(dict.fromkeys(recipe.name for recipe in recipes))
    compress = f", compress={variants!r}" if variants else ""
    return f"oraclezoo.bench({names!r}, track={track!r}, seeds={seeds!r}{compress})"


def _journal(
    runs: Path, recipe: Recipe, event: str, seed: int | None, fields: dict[str, Any]
) -> None:
    """One line for each thing that happened, for whoever wants to know afterwards."""
    runs.mkdir(parents=True, exist_ok=True)
    what = {"recipe": recipe.name, "hash": recipe.hash12, "seed": seed, **fields}
    line = json.dumps({"time": timestamp(), "event": event, **what}, ensure_ascii=False)
    with (runs / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
