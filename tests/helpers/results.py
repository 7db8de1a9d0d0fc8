"""Results with simulated predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.ranking.load import Entry, entry_of
from oraclezoo.ranking.predictions import accuracy_of, save_predictions
from oraclezoo.result import (
    ComponentRecord,
    Failure,
    Hardware,
    ModelSize,
    PredictionsFile,
    RecipeRecord,
    Result,
    SeedScore,
    Track,
    make_id,
)
from oraclezoo.result.check import digest

CLASSES = 4
MakeEntry = Callable[..., Entry]


def probabilities_of(
    correct: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float16]:
    """Probabilities ``(seeds, images, CLASSES)`` that are right exactly where ``correct`` says."""
    guess = np.where(correct, labels, (labels + 1) % CLASSES)
    return np.where(np.arange(CLASSES) == guess[..., None], 0.7, 0.1).astype(np.float16)


@pytest.fixture
def make_entry(tmp_path: Path) -> MakeEntry:
    """A function that writes a result for given right answers ``(seeds, images)``, and loads it.

    Recipes of different names have different hashes.
    """

    def make(
        name: str,
        correct: npt.NDArray[np.bool_] | None,
        *,
        folder: Path = tmp_path / "results",
        seeds: Sequence[int] | None = None,
        content: dict[str, Any] | None = None,
        created: str = "2026-01-01T00:00:00Z",
        track: str = "glyphs-3k",
        division: str = "closed",
        data: str = "a",
        hardware: str = "test-cpu-2t",
        refit: bool = False,
        failures: tuple[Failure, ...] = (),
        test: int = 40,
        save: bool = True,
    ) -> Entry:
        recipe_hash = digest(content or {"name": name})
        identity = make_id(track, name, recipe_hash, hardware)
        scores: tuple[SeedScore, ...] = ()
        predictions = None
        if correct is not None:
            test = correct.shape[1]
            labels = np.arange(test) % CLASSES
            probabilities = probabilities_of(correct, labels)
            file = f"{identity}.safetensors"
            sha256 = save_predictions(folder / file, probabilities, labels)
            predictions = PredictionsFile(file, sha256, test, CLASSES)
            scores = tuple(
                SeedScore(seed, accuracy_of(p, labels), 0.5, 0.5, 10.0 + seed, 0.0, 70, None)
                for seed, p in zip(seeds or range(len(correct)), probabilities, strict=True)
            )
        parts = {
            kind: ComponentRecord(f"oraclezoo:some-{kind}", "oraclezoo", "0.1.0")
            for kind in ("backbone", "optimizer", "scheduler", "dataset")
        }
        result = Result(
            id=identity,
            created=created,
            oraclezoo="0.1.0",
            code_sha256="0" * 64,
            protocol=1,
            command="oraclezoo bench",
            track=Track(
                track, division, track.startswith("glyphs"), CLASSES, 28, 1800, 200, test,
                {"generated": (data * 64)[:64]},
            ),
            recipe=RecipeRecord(name, recipe_hash, "", refit, content or {"name": name}),
            components=parts,
            examples=18_000,
            seeds=scores,
            failures=failures,
            model=ModelSize(290_000, 33_000_000, 1_200_000) if scores else None,
            latency=(
                LatencyRow("eager", "fp32", "cpu", 2, 1, 30, 0.5, 0.6, 0.7),
                LatencyRow("eager", "fp32", "cpu", 1, 1, 30, 0.8, 0.9, 1.0),
                LatencyRow("eager", "fp32", "cpu", 1, 256, 30, 40.0, 41.0, 42.0),
            ),
            hardware=Hardware(hardware, "CPU", None, "CPU", 2, 2, 2**33, "Linux x86_64", 0.1),
            libraries={"python": "3.11.0", "torch": "2.9.0"},
            predictions=predictions,
        )  # fmt: skip
        if save:
            result.save(folder)
        return entry_of(result) if save else Entry(result, None)

    return make


@pytest.fixture
def draw() -> Callable[..., npt.NDArray[np.bool_]]:
    """A function that draws right answers: ``(rows, seeds, images)`` from a logit model.

    Images differ in difficulty for all rows alike (``image``) and for each row in its own way
    (``own``), and each training turns out a little better or worse (``seed``); ``shift`` is added
    to the logit of each row.
    """

    def draw(
        rng: np.random.Generator,
        rows: int,
        seeds: int,
        images: int,
        *,
        image: float = 2.0,
        own: float = 0.5,
        seed: float = 0.2,
        mean: float = 2.0,
        shift: npt.ArrayLike = 0.0,
    ) -> npt.NDArray[np.bool_]:
        logit = (
            mean
            + image * rng.standard_normal((1, 1, images))
            + own * rng.standard_normal((rows, 1, images))
            + seed * rng.standard_normal((rows, seeds, 1))
            + np.broadcast_to(shift, (rows,))[:, None, None]
        )
        right: npt.NDArray[np.bool_] = rng.random((rows, seeds, images)) < 1 / (1 + np.exp(-logit))
        return right

    return draw
