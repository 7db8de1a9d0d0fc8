"""Estimate the training time and cost of a job from the measured times of earlier results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from oraclezoo.recipe import Recipe
from oraclezoo.result import Result
from oraclezoo.result.check import SCHEMA, read_json

Counts = Mapping[str, tuple[int, int]]
"""Numbers of training and validation images, keyed by the qualified name of the track."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The result that an estimate is based on.

    Attributes:
        result: ID of the result.
        hardware: Hardware class of the result.
        seeds: Number of timed seeds.
        scaled: 1 for a result of the same recipe; otherwise the ratio of processed examples of two
            recipes with the same backbone and batch size.
    """

    result: str
    hardware: str
    seeds: int
    scaled: float = 1.0


@dataclass(frozen=True, slots=True)
class RecipeTime:
    """Estimated training time of one seed in seconds; None if there is no result to base it on."""

    recipe: str
    median_s: float = 0.0
    fastest_s: float = 0.0
    slowest_s: float = 0.0
    basis: Basis | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated training time of a job.

    Attributes:
        recipes: Time of one seed of each recipe.
        seeds: Number of seeds per recipe.
        price_per_hour: Price of the machine, in the user's currency; None if unknown.
    """

    recipes: tuple[RecipeTime, ...]
    seeds: int
    price_per_hour: float | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the recipes without a basis."""
        return tuple(one.recipe for one in self.recipes if one.basis is None)

    @property
    def range_s(self) -> tuple[float, float, float]:
        """Return fastest, median and slowest total in seconds, over recipes with known times."""
        known = [one for one in self.recipes if one.basis is not None]
        return (
            self.seeds * sum(one.fastest_s for one in known),
            self.seeds * sum(one.median_s for one in known),
            self.seeds * sum(one.slowest_s for one in known),
        )

    def lines(self) -> list[str]:
        """Return the estimate as text, one sentence per line."""
        texts = []
        known = [one for one in self.recipes if one.basis is not None]
        if known:
            low, middle, high = self.range_s
            texts.append(
                f"Estimated training time: {_time(middle)} ({_time(low)} to {_time(high)}) for "
                f"{self.seeds} seed{'s' * (self.seeds > 1)} of {_recipes(len(known))}."
            )
            if self.price_per_hour is not None:
                cost = middle / 3600 * self.price_per_hour
                texts.append(
                    f"Estimated cost of this time: {cost:.2f} at {self.price_per_hour:g} per hour, "
                    "the price you gave."
                )
            texts += [_basis(one) for one in known]
            texts.append(
                "Another machine takes another time, a GPU above all. Start-up, evaluation and "
                "retries come on top."
            )
        if self.unknown:
            texts.append(
                f"No estimate for {', '.join(self.unknown)}: no result has timed such a recipe. "
                "Benchmark one seed and pass the folder with --results."
            )
        return texts

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON data; times are in seconds."""
        low, middle, high = self.range_s
        hours = middle / 3600
        price = self.price_per_hour
        return {
            "train_s": {"fastest": low, "median": middle, "slowest": high},
            "cost": None if price is None else hours * price,
            "price_per_hour": price,
            "seeds": self.seeds,
            "unknown": list(self.unknown),
            "recipes": [
                {
                    "recipe": one.recipe,
                    "median_s": one.median_s,
                    "result": one.basis.result,
                    "hardware": one.basis.hardware,
                    "scaled": one.basis.scaled,
                }
                for one in self.recipes
                if one.basis is not None
            ],
        }


def estimate(
    recipes: Sequence[Recipe],
    seeds: int,
    folders: Sequence[Path],
    *,
    gpu: bool = False,
    counts: Counts | None = None,
    price_per_hour: float | None = None,
) -> Estimate:
    """Estimate the training time of recipes.

    A result of the same recipe is used unchanged. Otherwise, a result with the same backbone and
    batch size is scaled by the number of processed examples. Among several results, the same kind
    of device takes precedence, then the newest.

    Args:
        recipes: Resolved recipes.
        seeds: Number of seeds per recipe.
        folders: Folders with results.
        gpu: Whether the job has a GPU.
        counts: Numbers of images of the tracks; recipes for other tracks are not scaled.
        price_per_hour: Price of the machine.

    Returns:
        The estimate, including the recipes without a basis.
    """
    documents = [one for folder in folders for one in _documents(folder)]
    times = tuple(_time_of(recipe, documents, gpu, counts or {}) for recipe in recipes)
    return Estimate(times, seeds, price_per_hour)


def _documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the results in a folder; only those that are used get validated."""
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            yield path, document


def _time_of(
    recipe: Recipe,
    documents: Sequence[tuple[Path, dict[str, Any]]],
    gpu: bool,
    counts: Counts,
) -> RecipeTime:
    same = [(p, d) for p, d in documents if _at(d, "recipe", "hash") == recipe.hash]
    examples = _examples(recipe, counts)
    alike = [(p, d) for p, d in documents if examples and _is_alike(d, recipe)]
    for match, scaling in ((same, False), (alike, True)):
        results = [Result.read(document, path) for path, document in match]
        timed = [result for result in results if any(seed.train_s for seed in result.seeds)]
        if timed:
            chosen = max(timed, key=lambda result: _preference(result, recipe, gpu))
            return _from(chosen, recipe.name, examples / chosen.examples if scaling else 1.0)
    return RecipeTime(recipe.name)


def _from(result: Result, name: str, scaled: float) -> RecipeTime:
    times = [seed.train_s * scaled for seed in result.seeds if seed.train_s]
    basis = Basis(result.id, result.hardware.class_, len(times), scaled)
    return RecipeTime(name, median(times), min(times), max(times), basis)


def _preference(result: Result, recipe: Recipe, gpu: bool) -> tuple[bool, bool, str]:
    on_gpu = result.hardware.device_memory_bytes is not None
    same_optimizer = result.components["optimizer"].name == recipe.optimizer.name
    return on_gpu == gpu, same_optimizer, result.created


def _is_alike(document: Mapping[str, Any], recipe: Recipe) -> bool:
    """Return whether a result's time per training example applies to ``recipe``."""
    content = _at(document, "recipe", "content")
    if not isinstance(content, dict) or recipe.pretrain.epochs or recipe.distill.teachers:
        return False
    return (
        _at(content, "backbone", "name") == recipe.backbone.name
        and _at(content, "budget", "batch_size") == recipe.budget.batch_size
        and _at(content, "train", "precision") == recipe.train.precision
        and not _at(content, "pretrain", "epochs")
        and not _at(content, "distill", "teachers")
        and not _at(content, "compress", "steps")
    )


def _examples(recipe: Recipe, counts: Counts) -> int:
    """Return the number of training examples processed, or 0 if the track's size is unknown."""
    train, validation = counts.get(recipe.data.track, (0, 0))
    images = train + (validation if recipe.data.refit else 0)
    batch = recipe.budget.batch_size
    return recipe.budget.epochs * (images // batch * batch or images)  # drops partial batches


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _recipes(count: int) -> str:
    return "1 recipe" if count == 1 else f"{count} recipes"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _basis(one: RecipeTime) -> str:
    basis = one.basis
    assert basis is not None
    scaled = "" if basis.scaled == 1 else f", scaled by {basis.scaled:.2f} for its examples"
    return (
        f"{one.recipe}: {_time(one.median_s)} a seed, measured on {basis.hardware} in "
        f"{basis.result} ({basis.seeds} seeds){scaled}."
    )
