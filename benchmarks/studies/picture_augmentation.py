"""Choose the augmentation of the bundled models by kinds of pictures, cross-validated.

The training and validation images of oracle-mnist-3k (2,000), never test images, are dealt into
folds. A model trained without a fold reads pictures of it of every kind that
``benchmarks/pictures.py`` knows, and JPEG files of quality 30. Small drawings, which belong to no
fold, are read by the model of each fold. ``VARIANTS`` are changes to the recipe.

    python benchmarks/studies/picture_augmentation.py --data-dir FOLDER --work FOLDER
        [--recipe default] [--epochs 50] [--folds 4] [--first 4] [--only NAME]... [--json]
        [--out FILE]

``--first`` trains on the first folds alone, and ``--all-kinds`` makes pictures whose character must
be found for the first folds alone, for screening. ``--work`` keeps prepared pictures and a
journal with the result of every training, so that an interrupted study continues. An hour on one
core for four folds of ``default``. Output: benchmarks/measurements/picture-augmentation.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import emit
from predict_polarity import as_jpeg

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _drawings import drawings
from _picture_kinds import KINDS, Kind, encoded
from pictures import pictures

import oraclezoo as oz
from oraclezoo.data.folds import deal
from oraclezoo.data.splits import position_in_class
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import prepare_all

SCHEMA = "oraclezoo/picture-augmentation/1"
TRACK, SIZE, DRAWINGS = "oracle-mnist-3k", 28, 200
SMALL = tuple(kind for kind in KINDS if kind.name.endswith("-28"))
"""Kinds of 28 px, in which no character has to be found, which takes longest."""
JPEG = {"jpeg": 0.5, "jpeg_quality": 15}
INK = {"margin": 0.08, "thickness": 0.3, "gamma": 0.3, "shade": 0.3, "blur": 0.5}
BINARY = {"binary": 0.15}
VARIANTS: dict[str, dict[str, object]] = {
    "jpeg": {},
    "ink": {**INK},
    "binary": {**BINARY},
    "ink+binary": {**INK, **BINARY},
}
"""Changes to ``[augment]`` beside JPEG, which all have and ``studies/predict_jpeg.py`` chose."""


def prepared(images: Gray, file: Path, some: tuple[Kind, ...]) -> dict[str, Gray]:
    """Return what a model reads of each image by kind of picture, ``(N, 28, 28)``."""
    if not file.is_file():
        kinds = {"plain": images, "jpeg-30": np.stack([as_jpeg(image, 30) for image in images])}
        for kind in some:
            kinds[kind.name] = prepare_all(pictures(kind, images), SIZE)
        kinds["drawings"] = prepare_all([encoded(gray) for _, gray in drawings(DRAWINGS, 1)], SIZE)
        np.savez(file, **kinds)
    with np.load(file) as known:
        return {name: known[name] for name in known.files}


def scores(model: oz.Model, kinds: dict[str, Gray], labels: Any) -> dict[str, int]:
    """Return the number of correct predictions by kind of picture on a fold."""
    drawn = np.arange(DRAWINGS) % len(model.classes)
    return {
        name: int((model.predict(batch).labels == (drawn if name == "drawings" else labels)).sum())
        for name, batch in kinds.items()
    }


def study(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train what the journal does not have, and return all its rows for this recipe."""
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    parts = [dataset.split("train"), dataset.split("validation")]
    images = np.concatenate([np.asarray(part.images) for part in parts])
    labels: npt.NDArray[np.int64] = np.concatenate([np.asarray(part.labels) for part in parts])
    arguments.work.mkdir(parents=True, exist_ok=True)
    fold = position_in_class(labels) % arguments.folds
    journal = arguments.work / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
    rows = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        places = deal(dataset, Path(folder, "folds"), arguments.folds)
        for number in range(arguments.first):
            mine = fold == number
            some = KINDS if number < arguments.all_kinds else SMALL
            file = arguments.work / f"pictures-{number}-of-{arguments.folds}-{len(some)}.npz"
            kinds = prepared(images[mine], file, some)
            for name in arguments.only or VARIANTS:
                key = {
                    "variant": name,
                    "recipe": arguments.recipe,
                    "epochs": arguments.epochs,
                    "folds": arguments.folds,
                    "fold": number,
                }
                if any(key.items() <= row.items() for row in rows):
                    continue
                changes = {f"augment.{k}": v for k, v in {**JPEG, **VARIANTS[name]}.items()}
                changes |= {"data.track": "idx", "data.refit": False}
                # one prediction per picture instead of five
                changes |= {"evaluate.shifts": 0, "budget.epochs": arguments.epochs}
                recipe = oz.Recipe.load(arguments.recipe, changes)
                out = Path(folder, "runs", name)
                run = oz.train(recipe, data_dir=places[number], seed=number, out=out, device="cpu")
                right = scores(run.model(), kinds, labels[mine])
                row = {**key, "images": int(mine.sum()), "drawings": DRAWINGS, "right": right}
                with journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                rows.append(row)
                print(name, number, right["plain"], file=sys.stderr, flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return accuracies in percent by variant, pooled over folds."""
    pooled = []
    for recipe, epochs, name in dict.fromkeys(
        (row["recipe"], row["epochs"], row["variant"]) for row in rows
    ):
        mine = [
            row
            for row in rows
            if (row["recipe"], row["epochs"], row["variant"]) == (recipe, epochs, name)
        ]
        images = sum(row["images"] for row in mine)
        accuracy = {}
        for kind in mine[0]["right"]:
            having = [row for row in mine if kind in row["right"]]
            shown = sum(row["drawings" if kind == "drawings" else "images"] for row in having)
            right = sum(row["right"][kind] for row in having)
            accuracy[kind] = round(100 * right / shown, 2)
        pooled.append(
            {
                "recipe": recipe,
                "epochs": epochs,
                "variant": name,
                "augment": {**JPEG, **VARIANTS[name]},
                "folds": sorted(row["fold"] for row in mine),
                "images": images,
                "accuracy": accuracy,
            }
        )
    return pooled


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of pictures and journal")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--first", type=int, default=4, help="train on this many of the folds")
    parser.add_argument(
        "--all-kinds", type=int, default=4, help="folds with every kind of picture; others: 28 px"
    )
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="may be repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    return parser.parse_args()


def main() -> None:
    """Run the study and print it."""
    arguments = parse()
    rows = study(arguments)
    kinds = {"plain": "28 px, PNG", "jpeg-30": "28 px, JPEG of quality 30"}
    kinds |= {kind.name: kind.how for kind in KINDS}
    data = {
        "track": TRACK,
        "splits": ["train", "validation"],
        "folds": arguments.folds,
        "kinds": kinds,
        "rows": summary(rows),
    }
    if emit(SCHEMA, data, arguments):
        return
    for row in data["rows"]:
        values = " ".join(f"{kind} {value:.1f}" for kind, value in row["accuracy"].items())
        print(f"{row['recipe']} {row['epochs']} {row['variant']} {row['folds']}: {values}")


if __name__ == "__main__":
    main()
