"""Measure transfer from generated to real characters.

Trains the recipe ``quick`` for ten epochs on the track ``glyphs``, with several seeds, and scores
it on the validation images of oracle-mnist-3k. ``--test`` also scores the test images; use it only
once, with a finished generator.

    python benchmarks/studies/glyphs_transfer.py --data-dir FOLDER [--seeds 5] [--epochs 10]
        [--test] [--json] [--out FILE]

Runs are kept in ``runs`` and resume after an interruption. Output of ``--test --out``:
benchmarks/measurements/glyphs-transfer.json.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _shared import emit

import oraclezoo as oz
from oraclezoo.analysis.evaluate import wilson
from oraclezoo.artifacts.score import score
from oraclezoo.codec import encode
from oraclezoo.data.glyphs import VERSION
from oraclezoo.data.glyphs.forms import oracle
from oraclezoo.data.glyphs.written import digest
from oraclezoo.engine.device import pick
from oraclezoo.measure import hardware

SCHEMA = "oraclezoo/glyphs-transfer/1"
REAL = "oracle-mnist-3k"


def measure(data_dir: Path, seeds: int, epochs: int, test: bool) -> dict[str, Any]:
    """Train with each seed, then score the validation split and finally the test split."""
    recipe = oz.Recipe.load("quick", {"data.track": "glyphs", "budget.epochs": epochs})
    runs = []
    for seed in range(seeds):
        runs.append(oz.train(recipe, seed=seed, resume=True))
        print(f"seed {seed} is trained", file=sys.stderr)
    real = oz.registry().create("dataset", REAL, data_dir=data_dir)
    splits = ["validation", "test"] if test else ["validation"]
    record = runs[0].record
    return {
        "recipe": encode(record.provenance.recipe),
        "epochs": epochs,
        "training_images": record.train_images,
        "generator": {"version": VERSION, "characters_sha256": digest(oracle())},
        "forms": sum(len(each.forms) for each in oracle()),
        "seeds": seeds,
        "real_track": REAL,
        "real_sha256": dict(real.sha256),
        "classes": list(real.classes),
        "splits": {split: row(runs, real, split) for split in splits},
        "hardware": hardware.describe(pick("auto")),
        "libraries": hardware.libraries(),
    }


def row(runs: list[oz.Run], real: Any, split: str) -> dict[str, Any]:
    """Return accuracies by seed, their mean and SD, a Wilson interval over images, and recalls."""
    scores = [score(run.model(), real, split) for run in runs]
    accuracy = [each.accuracy for each in scores]
    right = np.mean([each.probabilities.argmax(1) == each.labels for each in scores], axis=0)
    labels = scores[0].labels
    return {
        "images": len(labels),
        "accuracy": accuracy,
        "mean": statistics.mean(accuracy),
        "sd": statistics.stdev(accuracy) if len(accuracy) > 1 else None,
        "ci95_over_images": list(wilson(round(float(right.sum())), len(labels))),
        "recall": [float(right[labels == label].mean()) for label in range(len(real.classes))],
    }


def main() -> None:
    """Run the study and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--test", action="store_true", help="also score the test images")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    data = measure(arguments.data_dir, arguments.seeds, arguments.epochs, arguments.test)
    if emit(SCHEMA, data, arguments):
        return
    for split, each in data["splits"].items():
        spread = "" if each["sd"] is None else f", SD {100 * each['sd']:.2f} over seeds"
        low, high = each["ci95_over_images"]
        print(
            f"{split}: {100 * each['mean']:.2f}%{spread}, "
            f"95% over {each['images']} images {100 * low:.1f} to {100 * high:.1f}"
        )


if __name__ == "__main__":
    main()
