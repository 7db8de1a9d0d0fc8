"""Compare `oraclezoo predict` on image files with prediction on the original arrays.

The script saves the images of a split of oracle-mnist-3k as files, original and altered, and runs
the command on them. Rows have `claim`, `value`, `bound` and `holds`. Accuracy differences are in
points, with their paired 95% interval.

    python benchmarks/predict.py --data-dir FOLDER [--model NAME|FOLDER]... [--json] [--out FILE]
        [--split validation|test]

The default split is validation; the ledger of --results records test-set evaluations. Exit status
3 if a claim does not hold. Output for the bundled models and the test split:
benchmarks/measurements/predict-files.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _measured import emit, load_average
from PIL import Image

import oraclezoo as oz
from oraclezoo.artifacts.resolve import record_test_evaluation
from oraclezoo.engine.device import pick
from oraclezoo.measure import hardware
from oraclezoo.ranking.comparison import paired
from oraclezoo.serving.names import DEFAULT

SCHEMA = "oraclezoo/predict-files/2"
TRACK = "oracle-mnist-3k"
STARTS = 15
"""Number of processes to time."""


def enlarged(image: Image.Image) -> Image.Image:
    """Enlarge four times, bicubic."""
    return image.resize((4 * image.width, 4 * image.height), Image.Resampling.BICUBIC)


def inverted(image: Image.Image) -> Image.Image:
    """Invert to dark on light."""
    return Image.fromarray(255 - np.asarray(image))


Alter = Callable[[Image.Image], Image.Image]
VARIANTS: dict[str, tuple[Alter, str, dict[str, Any], float]] = {
    "PNG": (lambda image: image, "png", {}, 0.0),
    "inverted": (inverted, "png", {}, 1.0),
    "enlarged 4 times": (enlarged, "png", {}, 1.0),
    "JPEG quality 30": (lambda image: image, "jpg", {"quality": 30}, 1.0),
    "RGBA": (lambda image: image.convert("RGBA"), "png", {}, 0.0),
    "enlarged 4 times, inverted, JPEG quality 30": (
        lambda image: inverted(enlarged(image)),
        "jpg",
        {"quality": 30},
        1.0,
    ),
}
"""Variants of files: alteration, suffix, options for saving, bound in points."""


def command(model: str, *arguments: str) -> list[str]:
    """Run the command line in a separate process."""
    return [sys.executable, "-m", "oraclezoo", "predict", *arguments, "--model", model]


def read(model: str, images: Any, variant: str) -> npt.NDArray[np.int64]:
    """Return the labels that the command prints for files of a variant, in order."""
    alter, suffix, options, _ = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            path = Path(folder, f"{number}.{suffix}")
            alter(Image.fromarray(image)).save(path, **options)
        done = subprocess.run(
            command(model, folder, "--json"), capture_output=True, text=True, check=True
        )
    rows = json.loads(done.stdout)["data"]["images"]
    assert [int(Path(row["file"]).stem) for row in rows] == list(range(len(images)))
    return np.array([row["label"] for row in rows])


def accuracy_rows(model: str, part: Any) -> list[dict[str, Any]]:
    """Return a row per variant, compared with prediction on the original arrays."""
    images, labels = np.asarray(part.images), np.asarray(part.labels)
    direct = oz.predictor(model).predict(images).labels == labels
    rows = []
    for variant, (*_, bound) in VARIANTS.items():
        right = read(model, images, variant) == labels
        change = paired(direct, right)
        difference = 100 * change.difference
        rows.append(
            {
                "model": model,
                "variant": variant,
                "claim": f"{variant}: accuracy within {bound:g} points of direct prediction",
                "value": round(difference, 2),
                "interval": [round(100 * change.low, 2), round(100 * change.high, 2)],
                "bound": bound,
                "holds": abs(difference) <= bound + 1e-9,
                "accuracy": round(float(right.mean()), 4),
                "direct": round(float(direct.mean()), 4),
            }
        )
    return rows


def start_row(model: str, image: Any) -> dict[str, Any]:
    """Measure the wall time in s of a process that predicts one image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.png")
        Image.fromarray(image).save(path)
        times, busy = [], []
        for _ in range(STARTS + 1):  # the first run fills the caches
            start, before = time.perf_counter(), os.times()
            subprocess.run(command(model, str(path)), check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
            after = os.times()
            busy.append(
                after.children_user
                + after.children_system
                - before.children_user
                - before.children_system
            )
    value = statistics.median(times[1:])
    return {
        "model": model,
        "claim": "one prediction within a second, including process start",
        "value": round(value, 3),
        "interval": [round(min(times[1:]), 3), round(max(times[1:]), 3)],
        "bound": 1.0,
        "holds": value <= 1.0,
        "processor_s": round(statistics.median(busy[1:]), 3),
        "load_average": load_average(),
    }


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", action="append", help=f"may be repeated; {DEFAULT}")
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder with the ledger"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    part, rows = dataset.split(arguments.split), list[dict[str, Any]]()
    for model in arguments.model or [DEFAULT]:
        if arguments.split == "test":
            record_test_evaluation(oz.load(model), dataset, arguments.results)
        rows += [*accuracy_rows(model, part), start_row(model, part.images[0])]
    data = {
        "track": TRACK,
        "split": arguments.split,
        "images": len(part.labels),
        "rows": rows,
        "hardware": hardware.describe(pick("cpu")),
        "libraries": hardware.libraries(),
    }
    if not emit(SCHEMA, data, arguments):
        for row in rows:
            low, high = row["interval"]
            verdict = "holds" if row["holds"] else "DOES NOT HOLD"
            print(f"{verdict:14}{row['model']}, {row['claim']}: {row['value']} ({low} to {high})")
    sys.exit(0 if all(row["holds"] for row in rows) else 3)


if __name__ == "__main__":
    main()
