"""How much `oraclezoo predict` should smooth small JPEG images, whose blocks a net was not shown.

The training and validation images of oracle-mnist-3k (2,000), never test images, as JPEG files of
their own size, read by nets that have not seen them (folds, recipe `quick`).

    python benchmarks/predict_jpeg.py --data-dir FOLDER [--folds 4] [--json] [--out FILE]

About a minute. benchmarks/measurements/predict-jpeg.json is what ``--out`` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from _measured import emit
from predict_polarity import TRACK, Nets, as_jpeg

import oraclezoo as oz
from oraclezoo.serving.images import SMOOTH, smooth

SCHEMA = "oraclezoo/predict-jpeg/1"
DEVIATIONS = (0.0, 0.3, 0.4, 0.5, 0.6)
QUALITIES = (30, 50, 75, 90)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="write that document to a file as well")
    arguments = parser.parse_args()
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    parts = [dataset.split("train"), dataset.split("validation")]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    nets = Nets(dataset, arguments.folds, labels)

    def accuracies(grays: Any) -> dict[str, float]:
        found = {}
        for deviation in DEVIATIONS:
            shown = [smooth(gray, deviation) if deviation else gray for gray in grays]
            right = nets.read(shown).argmax(1) == labels
            found[f"{deviation:g}"] = round(float(right.mean()), 4)
        return found

    rows = [{"shown": "as published", "accuracy": accuracies(images)}]
    for quality in QUALITIES:
        grays = [as_jpeg(image, quality) for image in images]
        rows.append({"shown": f"JPEG, quality {quality}", "accuracy": accuracies(grays)})
    data = {
        "track": TRACK,
        "images": len(labels),
        "splits": ["train", "validation"],
        "folds": arguments.folds,
        "recipe": "quick",
        "deviations": list(DEVIATIONS),
        "chosen": SMOOTH,
        "rows": rows,
    }
    if emit(SCHEMA, data, arguments):
        return
    print(f"{'deviation':20}", *(f"{deviation:6g}" for deviation in DEVIATIONS))
    for row in rows:
        found = row["accuracy"].values()
        print(f"{row['shown']:20}", *(f"{100 * value:6.1f}" for value in found))


if __name__ == "__main__":
    main()
