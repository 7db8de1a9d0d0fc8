"""Reproduce: a result run again from its own recipe, and what that says of it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from oraclezoo._version import __version__
from oraclezoo.artifacts import build
from oraclezoo.artifacts.robustness import is_current
from oraclezoo.artifacts.run import writable
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.benching.bench import bench
from oraclezoo.benching.recipe import Progress
from oraclezoo.data.known import differing
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import DataError, InterruptedRunError, JobError, ResultError, UsageError
from oraclezoo.measure import hardware
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.reread import added, recipe_of
from oraclezoo.ranking.load import entry_of, published_folder
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.reproduction import verdict as rules
from oraclezoo.ranking.reproduction.record import FOLDER, Reproduction, SeedPair, sha256_of
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result, timestamp


def reproduce(
    result: str | Path,
    *,
    seeds: int | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    records: str | Path | None = None,
    jobs: int = 1,
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Callable[[str], None] | None = None,
    command: str | None = None,
) -> tuple[Reproduction, Path]:
    """Run a result again and judge it; the record, and the file that it was written to.

    ``result`` is a result's file, or the id of one that came with oraclezoo. The first ``seeds`` of
    its seeds are run, by default all. ``out`` keeps what is trained, and an interrupted run goes on
    from there; else it goes to a temporary folder. ``records`` is the record's folder, by default
    ``reproductions`` beside the result. ``jobs`` seeds are trained at a time: more is quicker,
    one is what a timed result was made by.

    Raises ResultError for a result that is damaged, contradicts itself, or whose recipe this
    oraclezoo reads otherwise; DataError if the data are not the ones that it names; JobError if a
    training fails; UnknownNameError for a component that is not installed.
    """
    path = find(result)
    stated = Result.load(path)
    entry = entry_of(stated)
    if entry.predictions is None:
        raise ResultError(f"result {stated.id}: no seed of it succeeded; there is nothing to check")
    chosen = [score.seed for score in stated.seeds][:seeds]
    if not chosen:
        raise UsageError("--seeds: give a number from 1 on")
    registry = registry or build_registry()
    recipe = recipe_of(stated.recipe, registry)
    since = added(stated.recipe, recipe)
    if since and progress:
        progress(f"options added since it was made are at their defaults: {', '.join(since)}")
    place = None if data_dir is None else Path(data_dir)
    _check_data(stated, recipe, registry, place, progress)
    into = Path(records) if records is not None else path.parent / FOLDER
    writable(into)
    robust = stated.robustness is not None
    if stated.robustness is not None and not _same_corruptions(stated):
        robust = False
        if progress:
            progress("its corruptions are of another version; only its accuracy is checked")
    try:
        with tempfile.TemporaryDirectory(prefix="oraclezoo-reproduce-") as temporary:
            work = Path(temporary if out is None else out)
            (found,) = bench(
                [recipe],
                seeds=chosen,
                data_dir=data_dir,
                device=device,
                out=work / "results",
                runs=work / "runs",
                accuracy_only=True,
                jobs=jobs,
                robust=robust,
                registry=registry,
                report=report,
                progress=progress,
                command=command,
            )
            again = entry_of(found).predictions if found.seeds else None
    except InterruptedRunError as error:
        if out is None:
            raise InterruptedRunError("stopped, and nothing kept: --out FOLDER keeps it") from error
        raise
    if found.failures or again is None:
        failed = "; ".join(f"seed {f.seed}: {f.reason}: {f.message}" for f in found.failures)
        raise JobError(f"{stated.id} could not be run again: {failed}"[:500])
    record = _judge(stated, entry.predictions, found, again, path, command)
    return record, record.save(into)


def find(result: str | Path) -> Path:
    """The file of a result: a path, or the id of a published one. Raises ResultError."""
    path = Path(result)
    if path.is_file():
        return path
    if path.suffix != ".json" and path.name == str(result):
        published = published_folder() / f"{result}.json"
        if published.is_file():
            return published
    raise ResultError(f"{result}: there is no such file, nor a published result of that id")


def _check_data(
    stated: Result,
    recipe: Recipe,
    registry: Registry,
    data_dir: Path | None,
    progress: Callable[[str], None] | None,
) -> None:
    """Raise DataError unless the data here are those of the result, before anything is trained."""
    limit = stream_limit(None, pick("cpu"))
    dataset = build.open_dataset(recipe, registry, data_dir, progress, limit)
    for split in ("train", "validation", "test"):
        dataset.split(split)  # for its digests alone
    others = differing(stated.track.data_sha256, dataset.sha256)
    if others:
        raise DataError(
            f"{stated.track.name}: {', '.join(others[:3])} is not what the result was made on "
            "(sha256)\nGive the right files by --data-dir; generated ones come of the same version."
        )


def _same_corruptions(stated: Result) -> bool:
    kept = stated.robustness
    return kept is not None and is_current(
        {
            "version": kept.version,
            "seed": kept.seed,
            "accuracy": {one.name: one.accuracy for one in kept.corruptions},
        }
    )


def _judge(
    stated: Result,
    before: Predictions,
    found: Result,
    after: Predictions,
    path: Path,
    command: str | None,
) -> Reproduction:
    seeds = [score.seed for score in found.seeds]
    places = [[s.seed for s in stated.seeds].index(seed) for seed in seeds]
    if not np.array_equal(before.labels, after.labels):
        raise ResultError(
            f"result {stated.id}: the labels beside its predictions are not the data's own"
        )
    same = Predictions(before.probabilities[places], before.labels)
    accuracies = [score.accuracy for score in stated.seeds]
    figures = rules.figures(same, after, accuracies, _corrupted(stated, found, places))
    outcome, against = rules.verdict(figures)
    pairs = [
        SeedPair(new.seed, stated.seeds[place].accuracy, new.accuracy, changed, largest)
        for new, place, changed, largest in zip(
            found.seeds, places, figures.changed, figures.largest, strict=True
        )
    ]
    values = dataclasses.asdict(figures)
    del values["changed"], values["largest"]
    assert found.predictions is not None
    return Reproduction(
        created=timestamp(),
        verdict=outcome,
        against=against,
        result_id=stated.id,
        result_sha256=sha256_of(path),
        recipe_hash=stated.recipe.hash,
        complete=len(seeds) == len(stated.seeds),
        seeds=tuple(pairs),
        **values,
        oraclezoo=__version__,
        code_sha256=code_sha256(),
        command=command or f"oraclezoo.publish.reproduce({str(path)!r}, seeds={len(seeds)})",
        hardware=found.hardware,
        libraries=hardware.libraries(),
        predictions_sha256=found.predictions.sha256,
    )


def _corrupted(
    stated: Result, found: Result, places: Sequence[int]
) -> tuple[list[float], list[float], list[float]] | None:
    """Mean corrupted accuracies by seed: stated and found of these, and stated of all."""
    if stated.robustness is None or found.robustness is None:
        return None
    every = _by_seed(stated)
    return [every[place] for place in places], _by_seed(found), every


def _by_seed(result: Result) -> list[float]:
    assert result.robustness is not None
    tables = [one.accuracy for one in result.robustness.corruptions]
    return np.mean(tables, axis=(0, 2)).tolist()  # type: ignore[no-any-return]  # numpy's stub says Any
