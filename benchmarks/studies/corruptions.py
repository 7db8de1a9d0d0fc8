"""Measure a run's accuracy on corrupted validation images, by corruption and severity.

    $ oraclezoo train quick --track oracle-mnist-3k
    $ python benchmarks/studies/corruptions.py runs/quick-dd60ca36642a-s0

The script never uses test images: its table serves to calibrate the corruptions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from oraclezoo.artifacts.run import Run
from oraclezoo.data.corrupt import CORRUPTIONS, SEVERITIES, VERSION, corrupt
from oraclezoo.plugins.registry import build_registry


def measure(folder: Path, data_dir: Path | None, seeds: int) -> dict[str, Any]:
    """Return the accuracy by corruption and severity, averaged over corruption seeds."""
    registry = build_registry()
    run = Run.load(folder)
    model, track = run.model(registry=registry), run.recipe.data.track
    part = registry.create("dataset", track, data_dir=data_dir).split("validation")

    def accuracy(images: Any) -> float:
        return float((model.predict(images).labels == part.labels).mean())

    rows = []
    for name, kind in CORRUPTIONS.items():
        accuracies, changed = [], []
        for severity in SEVERITIES:
            corrupted = [corrupt(part.images, name, severity, seed) for seed in range(seeds)]
            accuracies.append(float(np.mean([accuracy(images) for images in corrupted])))
            changes = [np.abs(images.astype(float) - part.images).mean() for images in corrupted]
            changed.append(float(np.mean(changes)))
        rows.append(
            {
                "name": name,
                "summary": kind.summary,
                "unit": kind.unit,
                "strengths": list(kind.strengths),
                "accuracy": [round(value, 4) for value in accuracies],
                "gray_levels_changed": [round(value, 2) for value in changed],
            }
        )
    return {
        "run": folder.name,
        "track": track.removeprefix("oraclezoo:"),
        "split": "validation",
        "images": len(part.labels),
        "version": VERSION,
        "seeds": seeds,
        "clean": round(accuracy(part.images), 4),
        "mean": round(float(np.mean([row["accuracy"] for row in rows])), 4),
        "rows": rows,
    }


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--data-dir", type=Path, help="folder with the track's files")
    parser.add_argument("--seeds", type=int, default=5, help="number of corruption seeds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    data = measure(arguments.run, arguments.data_dir, arguments.seeds)
    if arguments.json:
        print(json.dumps({"schema": "oraclezoo/corruption-accuracy/1", "data": data}, indent=2))
        return
    print(f"{data['run']}: {100 * data['clean']:.1f}% of {data['images']} validation images")
    for row in data["rows"]:
        print(f"{row['name']:14}", *(f"{100 * value:5.1f}" for value in row["accuracy"]))
    print(f"mean corruption accuracy {100 * data['mean']:.1f}%")


if __name__ == "__main__":
    main()
