"""What the parts of compression.py share: work that is kept, losses by pairs, times in turn."""

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
from _measured import Figures

import oraclezoo as oz
from oraclezoo.artifacts.model import CARD, Model, load
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking.paired import paired
from oraclezoo.ranking.stats import interval
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.receipt import Side, side
from oraclezoo.receipts.timing import Subject, time_in_turn
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

Bools = npt.NDArray[np.bool_]
Setting = tuple[int, int]


@dataclass(frozen=True)
class Bench:
    """What is measured on, by which seeds, and the folder that keeps what is trained and made."""

    runs: Path
    track: str
    data_dir: Path | None
    seeds: tuple[int, ...]
    rounds: int
    registry: Registry
    dataset: Dataset

    @property
    def given(self) -> dict[str, Any]:
        """What every step of the pipeline is told."""
        return {"data_dir": self.data_dir, "registry": self.registry, "progress": say}

    def recipe(self, name: str, changes: Mapping[str, object]) -> Recipe:
        """A shipped recipe on the track, with changes."""
        return resolve(Recipe.load(name, {"data.track": self.track, **changes}), self.registry)

    def train(self, recipe: Recipe, seed: int) -> Run:
        """The run of a recipe at a seed; one that is there already is taken as it is."""
        say(f"training {recipe.backbone.name} by {recipe.name}, seed {seed}")
        data, place = self.data_dir, self.runs / "trained"
        return oz.train(
            recipe,
            data_dir=data,
            seed=seed,
            device="cpu",
            out=place,
            resume=True,
            registry=self.registry,
        )

    def made(self, name: str, asked: object, make: Callable[[Path], Model]) -> Model:
        """The model that ``make`` leaves in a folder; made once for all that decides it."""
        text = json.dumps([asked, dict(self.dataset.sha256)], sort_keys=True)
        place = self.runs / "made" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        if not (place / CARD).is_file():
            say(f"making {place.name}")
            make(place)
        return load(place, self.registry)

    def side(self, model: Model) -> Side:
        """The model on the test images; the look is noted in the folder's ledger."""
        measurement = Measurement(split="test", results=self.runs / "results")
        return side(Subject(model, ()), self.dataset, measurement)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def right(sides: Sequence[Side]) -> Bools:
    """Right answers of a seed each: bool ``(seeds, images)``."""
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
    """One claim and what was found; it holds if the value is on the right side of the bound."""
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
    """The mean loss in points with its 95% interval, and the one-sided 95% limit of it."""
    found = paired(before, after)
    by_seed = 100 * (before.mean(1) - after.mean(1))
    details = {
        "by_seed": [_plain(value) for value in by_seed],
        "over": found.over,
        "lost": found.lost,
        "gained": found.gained,
        **details,
    }
    ends = (-100 * found.high, -100 * found.low)
    yield row(
        f"{claim}: mean loss", -100 * found.difference, mean, "points", interval=ends, **details
    )
    if limit is not None:
        yield row(f"{claim}: one-sided 95% limit of the loss", 100 * found.limit, limit, "points")


def gain_row(claim: str, over: Bools, under: Bools, **details: Any) -> Figures:
    """Whether one is more accurate than another: only if the interval is above nothing."""
    found = paired(under, over)
    ends = (100 * found.low, 100 * found.high)
    return row(
        claim,
        100 * found.difference,
        0.0,
        "points",
        at_least=True,
        interval=ends,
        holds=found.low > 0,
        by_seed=[_plain(value) for value in 100 * (over.mean(1) - under.mean(1))],
        **details,
    )


def accuracy_row(claim: str, correct: Bools, bound: float) -> Figures:
    """Mean accuracy in percent, with the protocol's interval over images and seeds."""
    found = interval(correct)
    ends = None if len(correct) < 2 else (100 * found.low, 100 * found.high)
    each = [_plain(100 * value) for value in correct.mean(1)]
    return row(claim, 100 * found.mean, bound, "%", at_least=True, interval=ends, by_seed=each)


def times(
    models: Mapping[str, Model], settings: Sequence[Setting], rounds: int
) -> dict[str, list[list[float]]]:
    """Milliseconds of a pass in ONNX Runtime: for each model and setting those of each round."""
    subjects = {name: Subject(model, ("onnxruntime",)) for name, model in models.items()}
    time_in_turn(list(subjects.values()), settings=settings, rounds=rounds, progress=say)
    return {
        name: [[taken.p50_ms for taken in same] for same in zip(*each.rows, strict=True)]
        for name, each in subjects.items()
    }


def speed_row(
    claim: str, before: Sequence[float], after: Sequence[float], bound: float, setting: Setting
) -> Figures:
    """How many times faster by the calmest rounds, and the range within rounds."""
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
    """The mean, rounded."""
    return _plain(float(np.mean(values)))


def _plain(value: float) -> float:
    return value if not math.isfinite(value) else round(float(value), 4) + 0.0
