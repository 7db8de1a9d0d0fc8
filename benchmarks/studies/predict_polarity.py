"""Comparison of rules that detect whether a character is light on dark or dark on light.

The training and validation images of oracle-mnist-3k (2,000), never test images, shown as published
and like raw scans, each in both polarities. Every rule decides, and a model that was not trained on
the image (cross-validation folds, recipe `quick`) classifies it. A rule is wrong if it leaves an
image in the wrong polarity.

    python benchmarks/studies/predict_polarity.py --data-dir FOLDER [--folds 4] [--json]
        [--out FILE]

Takes a few minutes; less than one with ``--folds 0``, which trains no model and reports no
accuracy. ``--out`` wrote benchmarks/measurements/predict-polarity.json.
"""

from __future__ import annotations

import argparse
import tempfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import emit
from PIL import Image

import oraclezoo as oz
from oraclezoo.data.folds import deal
from oraclezoo.data.splits import position_in_class
from oraclezoo.imaging.polarity import Gray, border, is_dark_on_light, otsu
from oraclezoo.imaging.prepare import fit

SCHEMA = "oraclezoo/predict-polarity/1"
TRACK, SIZE = "oracle-mnist-3k", 28
RECIPE = "quick"
CONFIDENCE = "confidence"


def enlarged(gray: Gray, times: int = 4) -> Gray:
    """Enlarge with bicubic resampling, like a scan at full resolution."""
    height, width = gray.shape
    large = Image.fromarray(gray).resize((times * width, times * height), Image.Resampling.BICUBIC)
    return np.asarray(large)


def as_jpeg(gray: Gray, quality: int = 30) -> Gray:
    """Encode and decode as JPEG."""
    file = BytesIO()
    Image.fromarray(gray).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cropped(gray: Gray) -> Gray:
    """Crop the black padding, as in a scan before preprocessing."""
    rows, columns = np.flatnonzero(gray.max(1)), np.flatnonzero(gray.max(0))
    return gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def raw(gray: Gray) -> Gray:
    """As an unprocessed scan: padding removed, enlarged, from a JPEG file."""
    return as_jpeg(enlarged(cropped(gray)))


def on_sheet(gray: Gray, tone: int, margin: float) -> Gray:
    """A scan on a larger sheet of one tone with sensor noise; the margin is a share of its edge."""
    pixels = max(2, round(margin * max(gray.shape)))
    sheet = np.pad(gray, pixels, constant_values=tone).astype(np.float64)
    rng = np.random.default_rng(zlib.crc32(gray.tobytes()))
    return np.rint(sheet + rng.normal(0, 3, sheet.shape)).clip(0, 255).astype(np.uint8)


def on_same(gray: Gray, margin: float) -> Gray:
    """On a sheet of the tone of the scan's own background."""
    scan = raw(gray)
    return on_sheet(scan, int(np.median(border(scan))), margin)


def on_opposite(gray: Gray, margin: float) -> Gray:
    """A light-on-dark scan on a white sheet; inverted, a dark-on-light scan on a black one."""
    return on_sheet(raw(gray), 245, margin)


SHOWN: dict[str, tuple[str, Callable[[Gray], Gray]]] = {
    "published": ("as published, 28 x 28", lambda gray: gray),
    "jpeg": ("JPEG, quality 30", as_jpeg),
    "enlarged": ("enlarged 4 times", enlarged),
    "cropped": ("padding removed, enlarged 4 times, JPEG (raw)", raw),
    "same-5": ("raw, margin of 5% in its background's tone", lambda gray: on_same(gray, 0.05)),
    "same-20": ("raw, margin of 20% in its background's tone", lambda gray: on_same(gray, 0.2)),
    "opposite-5": (
        "raw, on a sheet of the opposite tone, 5%",
        lambda gray: on_opposite(gray, 0.05),
    ),
    "opposite-20": (
        "raw, on a sheet of the opposite tone, 20%",
        lambda gray: on_opposite(gray, 0.2),
    ),
}


def bright_border(gray: Gray, threshold: int) -> float:
    """Share of the border pixels that are above Otsu's threshold of the whole image."""
    return float(np.mean(border(gray) > threshold))


def earlier_predict(gray: Gray, threshold: int) -> bool:
    """The rule of ``predict`` in version 0.1."""
    return bright_border(gray, threshold) > (0.55 if gray.shape == (SIZE, SIZE) else 0.5)


# each takes a gray image and Otsu's threshold of it
RULES: dict[str, tuple[str, Callable[[Gray, int], bool]]] = {
    "otsu": (
        "most pixels are above Otsu's threshold (the paper's; `data convert` in 0.1)",
        lambda gray, threshold: bool((gray > threshold).mean() > 0.5),
    ),
    "border-mean": (
        "the border's mean is above 127",
        lambda gray, threshold: border(gray).mean() > 127,
    ),
    "corners": (
        "the corners' mean is above Otsu's threshold",
        lambda gray, threshold: (
            float(gray[:: len(gray) - 1, :: gray.shape[1] - 1].mean()) > threshold
        ),
    ),
    "contrast": (
        "the border is brighter than the whole image, on average",
        lambda gray, threshold: border(gray).mean() > gray.mean(),
    ),
    "border": (
        "most border pixels are above Otsu's threshold",
        lambda gray, threshold: bright_border(gray, threshold) > 0.5,
    ),
    "predict": (
        "the same, by a clearer majority at the model's input size (`predict` in 0.1)",
        earlier_predict,
    ),
    "unified": (
        "the same, unless a frame of the opposite tone is found (`predict` and `data convert` now)",
        lambda gray, threshold: is_dark_on_light(gray, SIZE),
    ),
}


class Nets:
    """Train one model per fold, to predict the held-out images."""

    def __init__(
        self, dataset: Any, folds: int, labels: npt.NDArray[np.int64], recipe: oz.Recipe
    ) -> None:
        self.fold = position_in_class(labels) % folds
        with tempfile.TemporaryDirectory() as folder:
            places = deal(dataset, Path(folder), folds)
            self.models = [
                oz.train(recipe, data_dir=place, seed=seed, out=Path(folder, "runs")).model()
                for seed, place in enumerate(places)
            ]

    def read(self, images: list[Gray]) -> npt.NDArray[np.float32]:
        """Return probabilities ``(N, C)`` of preprocessed images."""
        batch = np.stack(images)
        total = np.zeros((len(batch), len(self.models[0].classes)), np.float32)
        for number, model in enumerate(self.models):
            in_fold = self.fold == number
            total[in_fold] = model.predict(batch[in_fold]).probabilities
        return total


def compare(images: Gray, labels: npt.NDArray[np.int64], nets: Nets | None) -> list[dict[str, Any]]:
    """Return a row for each way of showing images and each polarity; accuracies with ``nets``."""
    rows = []
    for name, (summary, show) in SHOWN.items():
        light = [show(image) for image in images]
        for dark in (False, True):
            grays = [255 - gray for gray in light] if dark else light
            thresholds = [otsu(gray) for gray in grays]
            decisions = {
                rule: np.array([decide(*pair) for pair in zip(grays, thresholds, strict=True)])
                for rule, (_, decide) in RULES.items()
            }
            row: dict[str, Any] = {
                "shown": name,
                "summary": summary,
                "polarity": "dark-on-light" if dark else "light-on-dark",
            }
            accuracies = {}
            if nets is not None:
                published = nets.read([fit(gray, SIZE) for gray in grays])
                turned = nets.read([fit(255 - gray, SIZE) for gray in grays])
                decisions[CONFIDENCE] = turned.max(1) > published.max(1)
                for rule, inverted in {**decisions, "right": np.full(len(labels), dark)}.items():
                    predicted = np.where(inverted[:, None], turned, published).argmax(1)
                    accuracies[rule] = {"accuracy": round(float((predicted == labels).mean()), 4)}
                row["accuracy_right_polarity"] = accuracies["right"]["accuracy"]
            row["rules"] = {
                rule: {"wrong": int((inverted != dark).sum()), **accuracies.get(rule, {})}
                for rule, inverted in decisions.items()
            }
            rows.append(row)
    return rows


def parse(doc: str | None) -> argparse.Namespace:
    """Parse the options of a cross-validated study."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4, help="0: compare decisions alone")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    return parser.parse_args()


def learn(
    arguments: argparse.Namespace, name: str = RECIPE, changes: Mapping[str, object] | None = None
) -> tuple[Any, Any, Nets | None]:
    """Return training and validation images, their labels and the models of the folds, if any."""
    recipe = oz.Recipe.load(name, {"data.track": "idx", **(changes or {})})
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    parts = [dataset.split("train"), dataset.split("validation")]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    nets = Nets(dataset, arguments.folds, labels, recipe) if arguments.folds else None
    return images, labels, nets


def main() -> None:
    """Run the comparison and print it."""
    arguments = parse(__doc__)
    images, labels, nets = learn(arguments)
    rows = compare(images, labels, nets)
    about = {rule: text for rule, (text, _) in RULES.items()}
    if nets is not None:
        about[CONFIDENCE] = "the model is more confident when it is inverted (twice the work)"
    data = {
        "track": TRACK,
        "images": len(labels),
        "splits": ["train", "validation"],
        "folds": arguments.folds,
        "recipe": RECIPE,
        "rules": about,
        "rows": rows,
    }
    if emit(SCHEMA, data, arguments):
        return
    for row in rows:
        print(f"{row['summary']}, {row['polarity']}:")
        for rule, scores in row["rules"].items():
            accuracy = f"  {100 * scores['accuracy']:.1f}%" if nets is not None else ""
            print(f"    {rule:12} wrong {scores['wrong']:4}{accuracy}")


if __name__ == "__main__":
    main()
