"""Shared code of compression.py: cached models, paired accuracy losses, interleaved timing."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import Figures

import oraclezoo as oz
from oraclezoo.artifacts.load import load
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import Run
from oraclezoo.card import CARD
from oraclezoo.contracts import Dataset
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking.comparison import interval, paired
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.receipt import Side, side
from oraclezoo.receipts.timing import Subject, time_in_turn
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

Bools = npt.NDArray[np.bool_]
Setting = tuple[int, int]


@dataclass(frozen=True)
class Bench:
    """Track, seeds and registry of a measurement, and the folder that caches its models."""

    runs: Path
    track: str
    data_dir: Path | None
    seeds: tuple[int, ...]
    rounds: int
    registry: Registry
    dataset: Dataset

    @property
    def given(self) -> dict[str, Any]:
        """Arguments of every pipeline step."""
        return {"data_dir": self.data_dir, "registry": self.registry, "progress": say}

    def recipe(self, name: str, changes: Mapping[str, object]) -> Recipe:
        """Return a shipped recipe on the track, with changes."""
        return resolve(Recipe.load(name, {"data.track": self.track, **changes}), self.registry)

    def train(self, recipe: Recipe, seed: int) -> Run:
        """Train a recipe at a seed, or return the existing run."""
        say(f"training {recipe.backbone.name} by {recipe.name}, seed {seed}")
        data, folder = self.data_dir, self.runs / "trained"
        return oz.train(
            recipe,
            data_dir=data,
            seed=seed,
            device="cpu",
            out=folder,
            resume=True,
            registry=self.registry,
        )

    def made(self, name: str, settings: object, make: Callable[[Path], Model]) -> Model:
        """Return the model that ``make`` writes to a folder; cached by all inputs."""
        text = json.dumps([settings, dict(self.dataset.sha256)], sort_keys=True)
        folder = self.runs / "made" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        if not (folder / CARD).is_file():
            say(f"building {folder.name}")
            make(folder)
        return load(folder, self.registry)

    def side(self, model: Model) -> Side:
        """Evaluate the model on the test images, and record that in the folder's ledger."""
        measurement = Measurement(split="test", results=self.runs / "results")
        return side(Subject(model, ()), self.dataset, measurement)


def say(text: str) -> None:
    """Print a line of progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def right(sides: Sequence[Side]) -> Bools:
    """Return the correctness of predictions: bool ``(seeds, images)``."""
    return np.stack([each.correct for each in sides])


def row(
    claim: str,
    value: float,
    bound: float,
    unit: str,
    *,
    at_least: bool = False,
    interval: Sequence[float] | None = None,
    holds: bool | None = None,
    **details: Any,
) -> Figures:
    """Return one claim with its value; by default it holds if the value meets the bound."""
    kept = value >= bound - 1e-9 if at_least else value <= bound + 1e-9
    return {
        "claim": claim,
        "value": _plain(value),
        "interval": None if interval is None else [_plain(end) for end in interval],
        "bound": bound,
        "bound_is": "at least" if at_least else "at most",
        "unit": unit,
        "holds": bool(kept if holds is None else holds),
        **details,
    }


def loss_rows(
    claim: str, before: Bools, after: Bools, mean: float, limit: float | None = None, **details: Any
) -> Iterator[Figures]:
    """Yield the mean accuracy loss in points with its 95% interval, and its one-sided limit."""
    change = paired(before, after)
    by_seed = 100 * (before.mean(1) - after.mean(1))
    details = {
        "by_seed": [_plain(value) for value in by_seed],
        "over": change.over,
        "lost": change.lost,
        "gained": change.gained,
        **details,
    }
    bounds = (-100 * change.high, -100 * change.low)
    yield row(
        f"{claim}: mean accuracy loss",
        -100 * change.difference,
        mean,
        "points",
        interval=bounds,
        **details,
    )
    if limit is not None:
        yield row(
            f"{claim}: one-sided 95% limit of the accuracy loss",
            100 * change.limit,
            limit,
            "points",
        )


def gain_row(claim: str, over: Bools, under: Bools, **details: Any) -> Figures:
    """Return a claim of higher accuracy; it holds only if the interval is above zero."""
    change = paired(under, over)
    bounds = (100 * change.low, 100 * change.high)
    return row(
        claim,
        100 * change.difference,
        0.0,
        "points",
        at_least=True,
        interval=bounds,
        holds=change.low > 0,
        by_seed=[_plain(value) for value in 100 * (over.mean(1) - under.mean(1))],
        **details,
    )


def accuracy_row(claim: str, correct: Bools, bound: float) -> Figures:
    """Return the mean accuracy in percent with the interval of the protocol."""
    estimate = interval(correct)
    bounds = None if len(correct) < 2 else (100 * estimate.low, 100 * estimate.high)
    each = [_plain(100 * value) for value in correct.mean(1)]
    return row(claim, 100 * estimate.mean, bound, "%", at_least=True, interval=bounds, by_seed=each)


def times(
    models: Mapping[str, Model], settings: Sequence[Setting], rounds: int
) -> dict[str, list[list[float]]]:
    """Return latencies in ms in ONNX Runtime, by model, setting and round."""
    subjects = {name: Subject(model, ("onnxruntime",)) for name, model in models.items()}
    time_in_turn(list(subjects.values()), settings=settings, rounds=rounds, progress=say)
    return {
        name: [[row.p50_ms for row in same] for same in zip(*each.rows, strict=True)]
        for name, each in subjects.items()
    }


def speed_row(
    claim: str, before: Sequence[float], after: Sequence[float], bound: float, setting: Setting
) -> Figures:
    """Return the speedup of the fastest rounds, and the range of speedups within rounds."""
    within = [one / other for one, other in zip(before, after, strict=True)]
    return row(
        claim,
        min(before) / min(after),
        bound,
        "times",
        at_least=True,
        interval=(min(within), max(within)),
        batch_size=setting[0],
        threads=setting[1],
        before_ms=[_plain(value) for value in before],
        after_ms=[_plain(value) for value in after],
    )


def share(values: Sequence[float]) -> float:
    """Return the rounded mean."""
    return _plain(float(np.mean(values)))


def _plain(value: float) -> float:
    return value if not math.isfinite(value) else round(float(value), 4) + 0.0
