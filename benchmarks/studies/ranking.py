"""Measure the runtime of ranking, from result files with 1,000 images and five seeds to a page.

The results are synthetic copies of one published result with random predictions. The script
measures wall time and CPU time of each stage; use CPU time on a shared machine. Reading includes
all checks of a result: schema, digests, and scores against predictions. Writing the synthetic files
takes longest and is not timed.

    python benchmarks/studies/ranking.py [--results 1000] [--json] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _shared import RESULTS, emit, positive

from oraclezoo.ranking import comparison as stats
from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.page.board import board
from oraclezoo.ranking.predictions import accuracy_of, save_predictions
from oraclezoo.ranking.table import tables
from oraclezoo.result import PredictionsFile, Result
from oraclezoo.result.check import digest

IMAGES, SEEDS, CLASSES = 1000, 5, 10


def draw(rng: np.random.Generator, ease: np.ndarray) -> np.ndarray:
    """Draw the correctness of one row, bool ``(seeds, images)``; image difficulty is shared."""
    logit = 2 + 2 * ease + rng.normal(0, 0.4) + 0.5 * rng.standard_normal((SEEDS, IMAGES))
    return rng.random((SEEDS, IMAGES)) < 1 / (1 + np.exp(-logit))


def write(folder: Path, count: int) -> None:
    """Write synthetic results with their predictions."""
    base = Result.load(min(RESULTS.glob("oracle-mnist-3k-default-*.json")))
    rng = np.random.default_rng(0)
    ease = rng.standard_normal(IMAGES)
    labels = np.arange(IMAGES) % CLASSES
    for number in range(count):
        right = draw(rng, ease)
        guess = np.where(right, labels, (labels + 1) % CLASSES)
        one_hot = np.arange(CLASSES) == guess[..., None]
        probabilities = np.where(one_hot, 0.91, 0.01).astype(np.float16)
        content = {"number": number}
        name = f"made-up-{number:04}"
        sha256 = save_predictions(folder / f"{name}.safetensors", probabilities, labels)
        seeds = tuple(
            replace(base.seeds[seed], seed=seed, accuracy=accuracy_of(row, labels))
            for seed, row in enumerate(probabilities)
        )
        result = replace(
            base,
            id=name,
            recipe=replace(base.recipe, name=name, hash=digest(content), content=content),
            seeds=seeds,
            predictions=PredictionsFile(f"{name}.safetensors", sha256, IMAGES, CLASSES),
        )
        result.save(folder)


def timed(stage: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Return wall and CPU time in s, and the return value of the stage."""
    wall, cpu = time.perf_counter(), time.process_time()
    output = stage()
    elapsed = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {name: round(value, 3) for name, value in elapsed.items()}, output


def measure(count: int) -> dict[str, Any]:
    """Run each stage once, in order."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count)
        load_s, entries = timed(lambda: load_results([folder]))
        rank, _ = timed(lambda: tables(entries))
        correct = [entry.predictions.correct for entry in entries]
        seeds = [[score.seed for score in entry.result.seeds] for entry in entries]
        compare, comparisons = timed(lambda: stats.compare(correct, seeds))
        page, html = timed(lambda: board(entries))
    return {
        "results": count,
        "images": IMAGES,
        "seeds": SEEDS,
        "comparisons": int(comparisons.compared.sum()) // 2,
        "read_and_check": load_s,
        "rank": rank,
        "read_and_rank": {name: round(load_s[name] + rank[name], 3) for name in load_s},
        "compare_all_pairs": compare,
        "page": page,
        "page_bytes": len(html.encode()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=positive, default=1000, help="number of rows")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    data = measure(arguments.results)
    if not emit("oraclezoo/ranking/1", data, arguments):
        for name, value in data.items():
            print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
