"""Accuracy of the bundled models on pictures as people bring them, by kind.

Every image of a split of oracle-mnist-3k is made into a picture of each kind: framed, in a corner
of a canvas, photographed, on a screen, in 1 bit and so on. ``_picture_kinds.KINDS`` says how each
is made; the same text is in the output. ``drawings`` are 50 small drawings of the ten characters.
``unchanged`` counts what must not be touched: published images and crops of them as PNG files, at
the published size and enlarged four times.

    python benchmarks/pictures.py --data-dir FOLDER [--model NAME|FOLDER]... [--json] [--write]
        [--split validation|test] [--against SRC]

Bounds: at most 2 points less than the plain image (4 for frames around 28 px; none for 1 bit at
28 px), and 45 of 50 drawings. The bundled models were trained on the validation images too, so
their accuracies here are too high, the differences less so. The ledger of --results records
test-set evaluations. ``--against`` compares the time of the command for 1,000 files with that of
another version, whose ``src`` folder it names; the versions take turns. ``--write`` writes
benchmarks/measurements/pictures.json. Exit status 3 if a bound is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _drawings import drawings
from _measured import emit, load_average, quotient, spread
from _picture_kinds import KINDS, Kind, cropped, encoded, scan

import oraclezoo as oz
from oraclezoo.artifacts.resolve import record_test_evaluation
from oraclezoo.engine.device import pick
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import fit, prepare, prepare_all
from oraclezoo.measure import hardware

SCHEMA = "oraclezoo/pictures/1"
TRACK, SIZE = "oracle-mnist-3k", 28
MODELS = ("oraclenet_n", "oraclenet_s", "oraclenet_b")
MEASUREMENT = Path(__file__).with_name("measurements") / "pictures.json"
DRAWINGS, LEAST_RIGHT = 50, 45
FILES, TURNS, SLOWER = 1_000, 5, 1.3


def pictures(kind: Kind, images: Gray) -> list[bytes]:
    """Return a picture of each image; its random numbers depend on image and kind alone."""
    seeds = (zlib.crc32(kind.name.encode(), zlib.crc32(image.tobytes())) for image in images)
    return [
        kind.make(image, np.random.default_rng(seed))
        for image, seed in zip(images, seeds, strict=True)
    ]


def kind_rows(predictors: dict[str, Any], images: Gray, labels: Any) -> list[dict[str, Any]]:
    """Return a row per kind, first that of the plain images."""
    plain = prepare_all([encoded(image) for image in images], SIZE)
    rows = [_row("plain", "28 px, PNG", 0.0, plain, labels, predictors, {})]
    for kind in KINDS:
        batch = prepare_all(pictures(kind, images), SIZE)
        accuracies = rows[0]["accuracy"]
        rows.append(_row(kind.name, kind.how, kind.points, batch, labels, predictors, accuracies))
    return rows


def _row(
    name: str,
    how: str,
    points: float | None,
    batch: Gray,
    labels: npt.NDArray[np.int64],
    predictors: dict[str, Any],
    plain: dict[str, float],
) -> dict[str, Any]:
    accuracy = {
        model: round(100 * float((predictor.predict(batch).labels == labels).mean()), 2)
        for model, predictor in predictors.items()
    }
    drop = {model: round(plain.get(model, value) - value, 2) for model, value in accuracy.items()}
    holds = points is None or max(drop.values()) <= points + 1e-9
    return {
        "kind": name,
        "how": how,
        "points": points,
        "accuracy": accuracy,
        "lost": drop,
        "holds": holds,
    }


def drawing_row(predictors: dict[str, Any]) -> dict[str, Any]:
    """Return how many small drawings each model reads."""
    images_drawn = drawings(DRAWINGS)
    labels = np.array([label for label, _ in images_drawn])
    batch = prepare_all([encoded(gray) for _, gray in images_drawn], SIZE)
    right = {
        model: int((predictor.predict(batch).labels == labels).sum())
        for model, predictor in predictors.items()
    }
    return {
        "drawings": DRAWINGS,
        "how": " ".join((drawings.__doc__ or "").split("\n\n")[1].split()),
        "right": right,
        "least": LEAST_RIGHT,
        "holds": min(right.values()) >= LEAST_RIGHT,
    }


def unchanged_rows(images: Gray) -> list[dict[str, Any]]:
    """Return how many published images and crops differ from themselves, only scaled."""
    forms = {
        "published, 28 px": list(images),
        "padding cropped": [cropped(image) for image in images],
        "padding cropped, enlarged 4 times": [scan(cropped(image)) for image in images],
    }
    rows = []
    for name, grays in forms.items():
        changed = 0
        for gray in grays:
            polarity: Any = "light-on-dark"
            prepared = prepare(encoded(gray), SIZE, polarity)
            changed += not np.array_equal(prepared.gray, fit(gray, SIZE))
        rows.append({"shown": name, "images": len(grays), "changed": changed})
    return rows


def speed_rows(images: Gray, against: Path) -> list[dict[str, Any]]:
    """Return the times in s of ``predict`` for 1,000 files, here and with another version."""
    root = Path(oz.__file__).parents[1]
    makers = {
        "published, 28 px": lambda image: encoded(image),
        "padding cropped, enlarged 4 times": lambda image: encoded(scan(cropped(image))),
        "scan with a margin of 25%": lambda image: next(
            kind for kind in KINDS if kind.name == "margin-25"
        ).make(image, np.random.default_rng(0)),
    }
    rows = []
    for name, make in makers.items():
        with tempfile.TemporaryDirectory() as folder:
            for number in range(FILES):
                Path(folder, f"{number}.png").write_bytes(make(images[number % len(images)]))
            times: dict[Path, list[float]] = {root: [], against: []}
            for _ in range(TURNS):
                for source, row in times.items():
                    row.append(_time(source, folder))
        now, before = spread(times[root], 3), spread(times[against], 3)
        ratio = quotient(now, before)
        rows.append({"files": name, "now_s": now, "before_s": before, "ratio": ratio})
    return rows


def _time(source: Path, folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "oraclezoo", "predict", folder, "--top", "1"],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", action="append", help=f"may be repeated; {', '.join(MODELS)}")
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the ledger")
    parser.add_argument("--against", type=Path, metavar="SRC", help="another version, for speed")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help=f"write {MEASUREMENT.name}")
    arguments = parser.parse_args()
    arguments.out = MEASUREMENT if arguments.write else None
    return arguments


def main() -> None:
    """Run the measurements and print them."""
    arguments = parse()
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    part = dataset.split(arguments.split)
    images, labels = np.asarray(part.images), np.asarray(part.labels)
    models = arguments.model or MODELS
    if arguments.split == "test":
        for model in models:
            record_test_evaluation(oz.load(model), dataset, arguments.results)
    predictors = {model: oz.predictor(model) for model in models}
    rows, drawing = kind_rows(predictors, images, labels), drawing_row(predictors)
    data: dict[str, Any] = {
        "track": TRACK,
        "split": arguments.split,
        "images": len(labels),
        "models": list(models),
        "rows": rows,
        "drawings": drawing,
        "unchanged": unchanged_rows(
            np.concatenate([np.asarray(dataset.split("train").images), images])
        ),
        "libraries": hardware.libraries(),
    }
    if arguments.against:
        data["hardware"] = hardware.describe(pick("cpu"))
        data["load_average"] = load_average()
        data["speed"] = speed_rows(images, arguments.against)
    elif arguments.write and MEASUREMENT.is_file():
        earlier = json.loads(MEASUREMENT.read_text(encoding="utf-8"))["data"]
        data |= {
            key: earlier[key] for key in ("hardware", "load_average", "speed") if key in earlier
        }
    if not emit(SCHEMA, data, arguments):
        show(data)
    sys.exit(0 if all(row["holds"] for row in (*rows, drawing)) else 3)


def show(data: dict[str, Any]) -> None:
    """Print a measurement."""
    for row in data["rows"]:
        values = " ".join(f"{value:5.1f}" for value in row["accuracy"].values())
        bound = "" if row["points"] is None else f"(at most {row['points']:g} points less)"
        verdict = "" if row["holds"] else "  EXCEEDS"
        print(f"{row['kind']:12}{values}  {bound}{verdict}")
    print(f"drawings    {data['drawings']['right']} of {DRAWINGS}")
    for row in data["unchanged"]:
        print(f"{row['shown']}: {row['changed']} of {row['images']} changed")
    for row in data.get("speed", ()):
        print(f"{row['files']}: {row['ratio']['value']} of the time before")


if __name__ == "__main__":
    main()
