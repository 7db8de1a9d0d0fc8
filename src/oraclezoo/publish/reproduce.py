"""Reproduce a result: train its recipe again and compare the new result with the original."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oraclezoo._version import __version__
from oraclezoo.artifacts import build
from oraclezoo.artifacts.plugins import changes, plugin_code
from oraclezoo.artifacts.record import Robustness
from oraclezoo.artifacts.robustness import is_current
from oraclezoo.artifacts.run import writable
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.benching.bench import bench
from oraclezoo.benching.progress import Progress
from oraclezoo.data.known import differing
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import DataError, InterruptedRunError, JobError, ResultError, UsageError
from oraclezoo.measure import hardware
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.reread import added, recipe_of
from oraclezoo.ranking.load import Entry, entry_of, published_folder
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.reproduction import verdict as rules
from oraclezoo.ranking.reproduction.record import FOLDER, Reproduction, SeedPair, sha256_of
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result, timestamp

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rerun:
    """Settings of a reproduction.

    Attributes:
        seeds: Number of seeds to train, in the order of the result; None for all seeds.
        data_dir: Folder with the files of the data set; None for the default folders.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        out: Folder for results and runs, which allows an interrupted reproduction to be resumed;
            None for a temporary folder.
        records: Folder for the record; None for ``reproductions`` next to the result.
        jobs: Number of seeds trained concurrently; timed results were trained one at a time.
        command: Command to store in the record; None for a call from Python.
    """

    seeds: int | None = None
    data_dir: Path | None = None
    device: str = "auto"
    out: Path | None = None
    records: Path | None = None
    jobs: int = 1
    command: str | None = None


def reproduce(
    result: str | Path,
    rerun: Rerun | None = None,
    *,
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Say | None = None,
) -> tuple[Reproduction, Path]:
    """Train a result's recipe again and compare the new result with the original.

    Args:
        result: Path of a result file, or ID of a published result.
        rerun: Settings: seeds, device and folders.
        registry: Registry of components; by default all installed components.
        report: Called with the progress of each seed.
        progress: Called with progress messages.

    Returns:
        The record, and the path of the file that contains it.

    Raises:
        ResultError: The result is corrupt or inconsistent, or this version of oraclezoo interprets
            its recipe differently.
        DataError: The digests of the data differ from those in the result.
        JobError: A training run failed.
        UnknownNameError: A component is not installed.
    """
    rerun = rerun or Rerun()
    path = find(result)
    original = Result.load(path)
    entry = entry_of(original)
    if entry.predictions is None:
        raise ResultError(f"result {original.id}: every seed failed; there is nothing to reproduce")
    seeds = [score.seed for score in original.seeds][: rerun.seeds]
    if not seeds:
        raise UsageError("--seeds must be 1 or more")
    registry = registry or build_registry()
    recipe = recipe_of(original.recipe, registry)
    new_options = added(original.recipe, recipe)
    if new_options and progress:
        progress(f"options newer than the result have their defaults: {', '.join(new_options)}")
    changed = changes(original.plugins, plugin_code(recipe, registry)) if original.plugins else []
    if changed and progress:
        progress(f"a difference may come from other code: {'; '.join(changed)}")
    _check_data(original, recipe, registry, rerun.data_dir, progress)
    records = rerun.records or path.parent / FOLDER
    writable(records)
    robust = _same_corruptions(original)
    if original.robustness is not None and not robust and progress:
        progress("the result's corruptions have another version; only clean accuracy is compared")
    rerun_entry = _train(recipe, seeds, rerun, robust, registry, report, progress)
    if rerun_entry.result.failures or rerun_entry.predictions is None:
        failures = rerun_entry.result.failures
        failed = "; ".join(f"seed {f.seed}: {f.reason}: {f.message}" for f in failures)
        raise JobError(f"{original.id} could not be reproduced: {failed}"[:500])
    command = rerun.command or f"oraclezoo.publish.reproduce({str(path)!r}, seeds={len(seeds)})"
    record = _judge(entry, rerun_entry, path, command)
    return record, record.save(records)


def find(result: str | Path) -> Path:
    """Return the file of a result, given its path or published ID. Raises ResultError."""
    path = Path(result)
    if path.is_file():
        return path
    if path.suffix != ".json" and path.name == str(result):
        published = published_folder() / f"{result}.json"
        if published.is_file():
            return published
    raise ResultError(f"{result}: no such file, and no published result has this id")


def _train(
    recipe: Recipe,
    seeds: Sequence[int],
    rerun: Rerun,
    robust: bool,
    registry: Registry,
    report: Callable[[Progress], None],
    progress: Say | None,
) -> Entry:
    """Train the seeds, and return the new result with its predictions.

    Raises InterruptedRunError.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="oraclezoo-reproduce-") as temporary:
            folder = rerun.out or Path(temporary)
            (outcome,) = bench(
                [recipe],
                seeds=seeds,
                data_dir=rerun.data_dir,
                device=rerun.device,
                out=folder / "results",
                runs=folder / "runs",
                accuracy_only=True,
                jobs=rerun.jobs,
                robust=robust,
                registry=registry,
                report=report,
                progress=progress,
                command=rerun.command,
            )
            return entry_of(outcome)  # loads the predictions before the folder is deleted
    except InterruptedRunError as error:
        if rerun.out is None:
            raise InterruptedRunError(
                "stopped; no seeds were kept (pass --out FOLDER to keep finished ones)"
            ) from error
        raise


def _check_data(
    original: Result,
    recipe: Recipe,
    registry: Registry,
    data_dir: Path | None,
    progress: Say | None,
) -> None:
    """Raise DataError, before any training, if the data differ from those of the result."""
    limit = stream_limit(None, pick("cpu"))
    dataset = build.open_dataset(recipe, registry, data_dir, progress, limit)
    for split in ("train", "validation", "test"):
        dataset.split(split)  # reading a split computes its digests
    mismatches = differing(original.track.data_sha256, dataset.sha256)
    if mismatches:
        raise DataError(
            f"{original.track.name}: the SHA-256 of {', '.join(mismatches[:3])} differs from the "
            "data of the result\nPass the matching files with --data-dir; generated characters "
            "need the same version of the generator."
        )


def _same_corruptions(original: Result) -> bool:
    """Return whether a result was scored on this version's corruptions."""
    robustness = original.robustness
    if robustness is None:
        return False
    names = {one.name: () for one in robustness.corruptions}
    return is_current(Robustness(robustness.version, robustness.seed, names))


def _judge(original: Entry, reproduced: Entry, path: Path, command: str) -> Reproduction:
    """Compare a result, read from ``path``, with its reproduction."""
    before, after = original.predictions, reproduced.predictions
    assert before is not None
    assert after is not None
    old, new = original.result, reproduced.result
    assert new.predictions is not None
    positions = [[score.seed for score in old.seeds].index(score.seed) for score in new.seeds]
    if not np.array_equal(before.labels, after.labels):
        raise ResultError(f"result {old.id}: the labels of its predictions do not match the data")
    same_seeds = Predictions(before.probabilities[positions], before.labels)
    accuracies = [score.accuracy for score in old.seeds]
    figures = rules.figures(same_seeds, after, accuracies, _corrupted(old, new, positions))
    verdict, against = rules.verdict(figures)
    pairs = [
        SeedPair(score.seed, old.seeds[position].accuracy, score.accuracy, changed, largest)
        for score, position, changed, largest in zip(
            new.seeds, positions, figures.changed, figures.largest, strict=True
        )
    ]
    return Reproduction(
        created=timestamp(),
        verdict=verdict,
        against=against,
        result_id=old.id,
        result_sha256=sha256_of(path),
        recipe_hash=old.recipe.hash,
        complete=len(new.seeds) == len(old.seeds),
        seeds=tuple(pairs),
        difference=figures.difference,
        p=figures.p,
        limit=figures.limit,
        answers_p=figures.answers_p,
        corrupted_difference=figures.corrupted_difference,
        corrupted_limit=figures.corrupted_limit,
        oraclezoo=__version__,
        code_sha256=code_sha256(),
        command=command,
        hardware=new.hardware,
        libraries=hardware.libraries(),
        predictions_sha256=new.predictions.sha256,
        plugins=new.plugins,
    )


def _corrupted(
    original: Result, reproduced: Result, positions: Sequence[int]
) -> tuple[list[float], list[float], list[float]] | None:
    """Return mean accuracies on corrupted images by seed, or None unless both results have them.

    The three lists are the published accuracies at the repeated seeds, the reproduced accuracies,
    and the published accuracies at all seeds.
    """
    if original.robustness is None or reproduced.robustness is None:
        return None
    all_seeds = _by_seed(original)
    return [all_seeds[position] for position in positions], _by_seed(reproduced), all_seeds


def _by_seed(result: Result) -> list[float]:
    assert result.robustness is not None
    tables = [one.accuracy for one in result.robustness.corruptions]
    return np.mean(tables, axis=(0, 2)).tolist()  # type: ignore[no-any-return]  # numpy's stub says Any
