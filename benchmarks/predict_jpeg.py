"""How much `oraclezoo predict` should smooth small JPEG images, whose blocks a net was not shown.

The training and validation images of oracle-mnist-3k (2,000), never test images, as JPEG files of
their own size, read by nets that have not seen them (folds, recipe `quick`).

    python benchmarks/predict_jpeg.py --data-dir FOLDER [--folds 4] [--json] [--out FILE]

About a minute. benchmarks/measurements/predict-jpeg.json is what ``--out`` wrote.
"""

from __future__ import annotations

from typing import Any

from _measured import emit
from predict_polarity import TRACK, as_jpeg, learn, parse

from oraclezoo.serving.images import SMOOTH, smooth

SCHEMA = "oraclezoo/predict-jpeg/1"
DEVIATIONS = (0.0, 0.3, 0.4, 0.5, 0.6)
QUALITIES = (30, 50, 75, 90)


def main() -> None:
    """Measure and print."""
    arguments = parse(__doc__)
    images, labels, nets = learn(arguments)

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
