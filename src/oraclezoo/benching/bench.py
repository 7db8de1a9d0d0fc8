"""Bench: the protocol, from a list of recipes to results that can be ranked.

One process a job; seeds derived by axis; test images read only after training. Finished jobs are
kept in the runs folder, so that a stopped benchmark goes on where it was; failed ones never are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from oraclezoo.artifacts import build
from oraclezoo.artifacts.robustness import check_size
from oraclezoo.artifacts.run import writable
from oraclezoo.benching.recipe import Progress, RecipeBench, Shared
from oraclezoo.benching.seeds import AtOnce
from oraclezoo.benching.variant import VariantBench
from oraclezoo.contracts import Dataset
from oraclezoo.engine.compiled import wanted
from oraclezoo.engine.device import pick
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import Result
from oraclezoo.training.tracking import Trackers, choose


def bench(
    recipes: Iterable[Recipe | str | Path],
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
    registry: Registry | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    progress: Callable[[str], None] | None = None,
    command: str | None = None,
) -> list[Result]:
    """Train and measure each recipe at each seed; one Result a recipe, saved under ``out``.

    ``track`` replaces the recipes' own. ``seeds`` is how many (0, 1, ...) or which. A job that
    fails is recorded in its recipe's result and the others go on. ``overwrite`` measures again
    what the runs folder holds already. ``stream_above``, ``compile`` and ``deterministic`` as for
    :func:`oraclezoo.train`. ``accuracy_only`` trains many seeds at once and takes no times;
    ``jobs`` is how many, by default as docs/seeds.md says. ``robust`` scores each model on
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
    if jobs is not None and (not accuracy_only or jobs < 1):
        raise UsageError("jobs goes with accuracy_only: bench --accuracy-only --jobs N, from 1 on")
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
    shared = Shared(
        registry=registry,
        data_dir=None if data_dir is None else Path(data_dir),
        device=device,
        results=Path(out),
        runs=Path(runs),
        fresh=overwrite,
        stream_above=stream_above,
        compile=compile,
        deterministic=deterministic,
        robust=robust,
        at_once=jobs,
        trackers=choose(trackers, registry),
        command=command or _call(resolved.values(), track, chosen, variants),
        report=report,
    )
    datasets: dict[str, Dataset] = {}
    for recipe in resolved.values():  # all data is found, or the error raised, before any training
        if recipe.data.track not in datasets:
            dataset = build.open_dataset(recipe, registry, shared.data_dir, progress, limit)
            dataset.split("train"), dataset.split("validation")  # their digests tell runs apart
            if robust:
                check_size(dataset.split("train").images)
            datasets[recipe.data.track] = dataset
    for folder in (shared.results, shared.runs):
        writable(folder)
    kind = AtOnce if accuracy_only else RecipeBench
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


def _call(
    recipes: Iterable[Recipe], track: str | None, seeds: list[int], variants: list[str]
) -> str:
    """This call as Python text, for the results."""
    names = list(dict.fromkeys(recipe.name for recipe in recipes))
    compress = f", compress={variants!r}" if variants else ""
    return f"oraclezoo.bench({names!r}, track={track!r}, seeds={seeds!r}{compress})"
