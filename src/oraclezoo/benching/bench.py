"""The benchmark protocol: train and measure a list of recipes, and produce rankable results.

Each job runs in a separate process and reads test images only after training. Finished jobs are
kept in the runs folder, so that a stopped benchmark can be resumed; failed jobs are run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch

from oraclezoo.artifacts import build
from oraclezoo.artifacts.robustness import check_size
from oraclezoo.artifacts.run import occupied, writable
from oraclezoo.benching.placed import BenchCall, Plan, bench_on
from oraclezoo.benching.progress import Progress
from oraclezoo.benching.recipe import Mode, RecipeBench, Sequential
from oraclezoo.benching.seeds import Concurrent
from oraclezoo.benching.shared import Position, Shared
from oraclezoo.benching.submitted import Totals
from oraclezoo.benching.training_jobs import TrainingJobs
from oraclezoo.benching.variant import AfterTraining, CompressionJobs
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
from oraclezoo.data.lock import check_lock
from oraclezoo.engine.compiled import wanted
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError
from oraclezoo.executors.placement import Placement
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import Result
from oraclezoo.training.tracking import Trackers, choose

logger = logging.getLogger(__name__)


def bench(
    recipes: Recipe | str | Path | Iterable[Recipe | str | Path],
    *,
    track: str | None = None,
    seeds: int | Sequence[int] = 5,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "results",
    runs: str | Path = "runs",
    overwrite: bool = False,
    stream_above: int | str | None = None,
    compile: str = "auto",
    deterministic: bool = False,
    accuracy_only: bool = False,
    jobs: int | None = None,
    robust: bool = False,
    compress: str | Sequence[str] = (),
    trackers: Trackers = (),
    on: str | None = None,
    executor_options: Mapping[str, object] = MappingProxyType({}),
    leave: bool = False,
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Callable[[str], None] | None = None,
    command: str | None = None,
) -> list[Result]:
    """Train and measure each recipe with each seed, and save one result per recipe in ``out``.

    If a job fails, the result of its recipe records the failure, and the other jobs continue.

    Args:
        recipes: One or several recipes, recipe names or paths of TOML files.
        track: Track to use instead of the track in each recipe.
        seeds: Number of seeds (0, 1, ...), or a list of seeds.
        data_dir: Folder with the files of the data set; None for the default folders.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        out: Folder for results, predictions and the ledger of test-set evaluations.
        runs: Folder for run folders; finished runs in this folder are reused.
        overwrite: Run every job again.
        stream_above: See :func:`oraclezoo.train`.
        compile: See :func:`oraclezoo.train`.
        deterministic: See :func:`oraclezoo.train`.
        accuracy_only: Train several seeds concurrently; times are not reported.
        jobs: Number of seeds trained concurrently with ``accuracy_only``; automatic by default.
        robust: Whether to score each model on corrupted test images too.
        compress: Compressed variants to add for each recipe, e.g. ``("int8", "prune50+int8")``;
            the variants are made from the same training runs.
        trackers: See :func:`oraclezoo.train`; the trackers receive no test metrics.
        on: Name of an executor that runs the jobs, e.g. ``"local"`` or ``"slurm"``; None runs them
            in subprocesses of this process, without a campaign. Times are reported only if the
            executor has exclusive nodes.
        executor_options: Options of the executor.
        leave: Return once every job is submitted, if the executor's jobs outlive this process; then
            only finished rows have a result. The same call without ``leave`` continues.
        registry: Registry of components; by default all installed components.
        report: Called with each event.
        progress: Called with lines of text, e.g. during a download.
        command: Command recorded in the results; by default this call.

    Returns:
        The results, in the same order as the recipes.

    Raises:
        UsageError: An option is invalid. Raised before any training starts.
        DataError: A data set is missing or unusable. Raised before any training starts.
        InterruptedRunError: The benchmark was stopped by Ctrl-C.

    Example:
        >>> results = oz.bench(["quick", "tiny"], track="oracle-mnist-3k")  # doctest: +SKIP
        >>> print(oz.leaderboard(results).to_markdown())  # doctest: +SKIP
    """
    seed_list = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not seed_list:
        raise UsageError("a benchmark needs at least one seed; pass --seeds 1 or more")
    if jobs is not None and on is not None:
        raise UsageError(
            f"jobs is for benchmarks without an executor; '{on}' decides how many run at a time"
        )
    if jobs is not None and (not accuracy_only or jobs < 1):
        raise UsageError(
            "jobs must be at least 1 and requires accuracy_only: bench --accuracy-only --jobs N"
        )
    registry = registry or build_registry()
    variants = [compress] if isinstance(compress, str) else list(compress)
    listed = [recipes] if isinstance(recipes, (Recipe, str, Path)) else recipes
    resolved = _resolved(listed, track, variants, registry)
    placement = None if on is None else Placement.of(on, executor_options, registry, leave=leave)
    totals = Totals(report)
    shared = Shared(
        registry=registry,
        execution=Execution(
            data_dir=None if data_dir is None else Path(data_dir).absolute(),
            device=device,
            compile=compile,
            deterministic=deterministic,
            stream_above=stream_above,
            trackers=choose(trackers, registry),
        ),
        results=Path(out) if placement is None else Path(out).absolute(),
        runs=Path(runs) if placement is None else Path(runs).absolute(),
        overwrite=overwrite and placement is None,
        robust=robust,
        concurrency=jobs,
        command=command or _call(resolved.values(), track, seed_list, variants),
        report=report if placement is None else totals,
        elsewhere=placement is not None and placement.elsewhere,
    )
    if not shared.elsewhere:
        wanted(compile, shared.execution.torch_device(), 0)
    datasets = _datasets(resolved.values(), shared, progress)
    if placement is not None:
        call = BenchCall(
            recipes=tuple(resolved.values()),
            seeds=tuple(seed_list),
            execution=shared.execution,
            out=shared.results,
            runs=shared.runs,
            accuracy_only=accuracy_only,
            robust=robust,
            command=shared.command,
        )
        plan = Plan(call, overwrite, totals, progress or logger.info)
        return bench_on(placement, plan, shared, partial(_rows, resolved, shared, datasets))
    with occupied(shared.results):
        writable(shared.runs)
        mode = Concurrent() if accuracy_only else Sequential()
        rows = _rows(resolved, shared, datasets, len(seed_list), mode, AfterTraining)
        if not overwrite:
            for row in rows.values():
                row.refuse_other_data(seed_list)
        results = {recipe_hash: row.result(seed_list) for recipe_hash, row in rows.items()}
    return [results[recipe_hash] for recipe_hash in resolved]


def _resolved(
    recipes: Iterable[Recipe | str | Path],
    track: str | None,
    variants: Sequence[str],
    registry: Registry,
) -> dict[str, Recipe]:
    """Return the resolved recipe for each row of the benchmark, keyed by hash."""
    changes = {} if track is None else {"data.track": track}
    resolved: dict[str, Recipe] = {}
    for item in recipes:
        recipe = item if isinstance(item, Recipe) else load_recipe(item)
        for each in _with_variants(recipe.override(changes), variants):
            row = resolve(each, registry)
            resolved.setdefault(row.hash, row)
    return resolved


def _datasets(
    recipes: Iterable[Recipe], shared: Shared, progress: Callable[[str], None] | None
) -> dict[str, Dataset]:
    """Open the data set of each track, before any training. Raises DataError or UsageError."""
    # opening does not copy any images to the device
    limit = stream_limit(shared.execution.stream_above, torch.device("cpu"))
    datasets: dict[str, Dataset] = {}
    for recipe in recipes:
        if recipe.data.track not in datasets:
            dataset = build.open_dataset(
                recipe, shared.registry, shared.execution.data_dir, progress, limit
            )
            digests(dataset, "train", "validation")
            if shared.robust:
                check_size(dataset.split("train").images)
            datasets[recipe.data.track] = dataset
        check_lock(datasets[recipe.data.track], recipe.data.lock)
    return datasets


def _rows(
    resolved: Mapping[str, Recipe],
    shared: Shared,
    datasets: Mapping[str, Dataset],
    seeds: int,
    mode: Mode,
    after: Callable[[RecipeBench], Mode],
) -> dict[str, RecipeBench]:
    """Return the rows, keyed by recipe hash; rows of uncompressed recipes come first.

    ``mode`` is the mode of these rows, and ``after`` returns that of a row of variants.
    """
    recipes = resolved.values()
    compressed = {each.uncompressed.hash for each in recipes if each.compress.steps}
    unlisted = {each.uncompressed.hash for each in recipes} - resolved.keys()
    total = len(resolved) * (seeds + 1) + len(unlisted) * seeds
    offset = 0
    trained: dict[str, RecipeBench] = {}
    rows: dict[str, RecipeBench] = {}
    for recipe in sorted(recipes, key=lambda each: bool(each.compress.steps)):
        plain, dataset = recipe.uncompressed, datasets[recipe.data.track]
        if plain.hash not in trained:
            trainings = TrainingJobs(shared, plain, dataset)
            source = RecipeBench(shared, trainings, dataset, Position(offset, total), mode)
            source.exported = plain.hash in compressed
            trained[plain.hash] = source
            if plain.hash in unlisted:
                offset += seeds
        source = trained[plain.hash]
        if recipe.compress.steps:
            variant = CompressionJobs(source, recipe)
            position = Position(offset, total)
            rows[recipe.hash] = RecipeBench(shared, variant, dataset, position, after(source))
        else:
            rows[recipe.hash] = source
        offset += seeds + 1
    return rows


def _with_variants(recipe: Recipe, variants: Sequence[str]) -> list[Recipe]:
    """Return the recipe or, if variants are requested, the uncompressed recipe and its variants."""
    if not variants:
        return [recipe]
    steps = ["", recipe.compress.steps, *variants]
    return [
        recipe.override({"compress.steps": str(each and Variant.parse(each))}) for each in steps
    ]


def _call(
    recipes: Iterable[Recipe], track: str | None, seeds: list[int], variants: list[str]
) -> str:
    """Return this call as Python code, to be recorded in the results."""
    names = list(dict.fromkeys(recipe.name for recipe in recipes))
    compress = f", compress={variants!r}" if variants else ""
    return f"oraclezoo.bench({names!r}, track={track!r}, seeds={seeds!r}{compress})"
