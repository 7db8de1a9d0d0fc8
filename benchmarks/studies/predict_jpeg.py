"""Compare JPEG augmentation and smoothing as measures against small JPEG images.

Cross-validated on the 2,000 training and validation images of oracle-mnist-3k, never on test
images. The images are saved as JPEG files of the original size. A share of the training images is
JPEG compressed (`augment.jpeg`).

    python benchmarks/studies/predict_jpeg.py --data-dir FOLDER [--folds 4] [--json] [--out FILE]

Takes about 15 minutes. Output: benchmarks/measurements/predict-jpeg.json.
"""

from __future__ import annotations

import sys
from typing import Any

from _shared import emit
from predict_polarity import TRACK, as_jpeg, learn, parse

from oraclezoo.card import SMOOTH
from oraclezoo.imaging.prepare import smooth

SCHEMA = "oraclezoo/predict-jpeg/3"
RECIPE = "default"
QUALITY, SHARES = 15, (0.0, 0.25, 0.5)
"""Lowest JPEG quality in training, and shares of compressed training images."""
DEVIATIONS = (0.0, 0.3, 0.4, 0.5)
QUALITIES = (30, 50, 75, 90)


def main() -> None:
    """Run the study and print it."""
    arguments = parse(__doc__)
    rows, count = [], 0
    for share in SHARES:
        print(f"training with {share:g} of the images compressed", file=sys.stderr, flush=True)
        accuracies, count = by_share(arguments, share)
        rows += accuracies
    data = {
        "track": TRACK,
        "images": count,
        "splits": ["train", "validation"],
        "folds": arguments.folds,
        "recipe": RECIPE,
        "augment_jpeg_quality": QUALITY,
        "deviations": list(DEVIATIONS),
        "smoothed_by_predict": SMOOTH,
        "rows": rows,
    }
    if emit(SCHEMA, data, arguments):
        return
    print(f"{'augment.jpeg':12} {'shown':20}", *(f"{deviation:6g}" for deviation in DEVIATIONS))
    for row in rows:
        values = (f"{100 * value:6.1f}" for value in row["accuracy"].values())
        print(f"{row['augment_jpeg']:12g} {row['shown']:20}", *values)


def by_share(arguments: Any, share: float) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of one training: accuracy by image condition and smoothing."""
    # a refit would train on the held-out fold
    changes = {"augment.jpeg": share, "augment.jpeg_quality": QUALITY, "data.refit": False}
    images, labels, nets = learn(arguments, RECIPE, changes)
    assert nets is not None, "--folds must be 1 or more"
    variants = {"as published": list(images)}
    for quality in QUALITIES:
        variants[f"JPEG, quality {quality}"] = [as_jpeg(image, quality) for image in images]
    rows = []
    for name, grays in variants.items():
        accuracies = {}
        for deviation in DEVIATIONS:
            smoothed = [smooth(gray, deviation) if deviation else gray for gray in grays]
            right = nets.read(smoothed).argmax(1) == labels
            accuracies[f"{deviation:g}"] = round(float(right.mean()), 4)
        rows.append({"augment_jpeg": share, "shown": name, "accuracy": accuracies})
    return rows, len(labels)


if __name__ == "__main__":
    main()
