"""What the bundled models' detector of unknown characters rejects, and what it keeps.

Foreign pictures are made by the project: textures, characters of scripts, Chinese characters and
fonts that were not used for fitting, each clean (printed on a canvas) and worn like a rubbing, half
of the worn ones on paper. Known pictures are the images of a split of oracle-mnist-3k, the same on
paper, and drawings of the ten characters in written forms that were not used for training.

    python benchmarks/unknown.py --data-dir FOLDER [--model NAME|FOLDER]... [--json] [--write]
        [--split validation|test]

The thresholds were fitted to the validation images. Other Chinese characters need a font, such as
Debian's fonts-arphic-uming and fonts-wqy-zenhei; without one they are left out, and the output says
so. The ledger of --results records test-set evaluations. ``--write`` writes
benchmarks/measurements/unknown.json. Exit status 3 if a bound is missed: 95% of real characters and
of drawings kept; 95% of noise, clouds, blank sheets and other scripts, and 80% of other Chinese
characters rejected.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _measured import emit

import oraclezoo as oz
from oraclezoo.artifacts.resolve import record_test_evaluation
from oraclezoo.data.foreign import scripts, sets
from oraclezoo.data.foreign.sets import CLEAN, TEXTURES, WORN, Group
from oraclezoo.measure import hardware

SCHEMA = "oraclezoo/unknown/1"
TRACK, SIZE = "oracle-mnist-3k", 28
MODELS = ("oraclenet_n", "oraclenet_s", "oraclenet_b")
MEASUREMENT = Path(__file__).with_name("measurements") / "unknown.json"
SEED, COUNT = 1, 600
CHINESE, INVENTED = "other Chinese characters", "invented characters"
KEPT, REJECTED, CHINESE_REJECTED = 95.0, 95.0, 80.0


def bound(group: Group) -> float | None:
    """Return the percentage of a group that must be kept or rejected; None if there is none."""
    if group.labels is not None:
        return None if group.family == "real on paper" else KEPT
    if group.family == INVENTED:
        return None
    return CHINESE_REJECTED if group.family == CHINESE else REJECTED


def rows_of(groups: list[Group], predictors: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each group; scripts are joined."""
    rows = []
    for group in groups:
        share = {}
        for name, predictor in predictors.items():
            flags = predictor.predict(group.images).unknown
            share[name] = round(100 * float((flags == (group.labels is None)).mean()), 1)
        least = bound(group)
        rows.append(
            {
                "family": group.family,
                "look": group.look,
                "known": group.labels is not None,
                "images": len(group.images),
                "right": share,
                "least": least,
                "holds": least is None or min(share.values()) >= least,
            }
        )
    return rows


def joined(groups: list[Group]) -> list[Group]:
    """Return the groups with those of all scripts joined, by look."""
    names = scripts.letters("report").keys()
    done = [each for each in groups if each.family not in names]
    for look in (CLEAN, WORN):
        parts = [each.images for each in groups if each.family in names and each.look == look]
        if parts:
            done.append(Group("other scripts", look, np.concatenate(parts)))
    return done


def aurocs(groups: list[Group], predictors: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the area under the ROC curve by look and model.

    Worn characters are compared with real ones, plain and on paper; clean ones with drawings; and
    textures with all known pictures.
    """
    areas: dict[str, dict[str, float]] = {}
    for look in (WORN, CLEAN, TEXTURES):
        areas[look] = {}
        for name, predictor in predictors.items():
            sides: dict[bool, list[npt.NDArray[np.float32]]] = {True: [], False: []}
            for group in groups:
                known = group.labels is not None
                if group.look == look or (known and look == TEXTURES):
                    sides[known].append(predictor.predict(group.images).unknown_score)
            areas[look][name] = round(auroc(*(np.concatenate(sides[k]) for k in (True, False))), 4)
    return areas


def auroc(known: npt.NDArray[np.float32], foreign: npt.NDArray[np.float32]) -> float:
    """Return the probability that a foreign score exceeds a known one; ties count half."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, foreign, "left"), np.searchsorted(ordered, foreign, "right")
    return float((below[0] + below[1]).mean() / 2 / len(known))


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", action="append", help=f"may be repeated; {', '.join(MODELS)}")
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the ledger")
    parser.add_argument("--count", type=int, default=COUNT, help="pictures in a group")
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
    predictors = {Path(model).name: oz.predictor(model) for model in models}
    for model, predictor in predictors.items():
        if predictor.threshold is None:
            sys.exit(f"{model} has no detector: run 'oraclezoo calibrate'")
    groups = [
        *sets.known(images, labels, SIZE, SEED, forms="report", count=arguments.count),
        *joined(list(sets.foreign("report", SIZE, SEED, count=arguments.count))),
    ]
    rows = rows_of(groups, predictors)
    if not scripts.chinese("report"):
        print("no installed font has Chinese characters: left out", file=sys.stderr)
    data: dict[str, Any] = {
        "track": TRACK,
        "split": arguments.split,
        "models": list(predictors),
        "thresholds": {name: predictor.threshold for name, predictor in predictors.items()},
        "rows": rows,
        "auroc": aurocs(groups, predictors),
        "chinese_fonts": sorted({each.font.name for each in scripts.chinese("report")}),
        "libraries": hardware.libraries(),
    }
    if not emit(SCHEMA, data, arguments):
        show(data)
    sys.exit(0 if all(row["holds"] for row in rows) else 3)


def show(data: dict[str, Any]) -> None:
    """Print a measurement."""
    for row in data["rows"]:
        values = " ".join(f"{value:5.1f}" for value in row["right"].values())
        verdict = "" if row["holds"] else f"  BELOW {row['least']:g}"
        what = "kept" if row["known"] else "rejected"
        print(f"{row['family']:27}{row['look']:9}{what:9}{values}{verdict}")
    for look, areas in data["auroc"].items():
        print(f"AUROC {look:9}" + " ".join(f"{value:.4f}" for value in areas.values()))


if __name__ == "__main__":
    main()
