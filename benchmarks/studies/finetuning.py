"""Study learning rate and distillation in the fine-tuning of pruned networks.

OracleNet with its recipe, cross-validated on the 2,000 training and validation images of
oracle-mnist-3k, never on test images. Each network is pruned to a share of its
multiply-accumulates, fine-tuned with each setting, and scored on its held-out fold.

    python benchmarks/studies/finetuning.py --data-dir FOLDER [--folds 4] [--recipe default]
        [--quick] [--device auto] [--json] [--out FILE]

Takes about 25 minutes. Output: benchmarks/measurements/finetuning.json.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _shared import emit, options, positive

import oraclezoo as oz
from oraclezoo.data.folds import deal
from oraclezoo.measure.temperature import mean_loss
from oraclezoo.pruning.options import EPOCHS
from oraclezoo.training.finetune import Tuning

SCHEMA = "oraclezoo/finetuning/1"
TRACK = "oracle-mnist-3k"
SHARES = (0.5, 0.25)
SCALES = (0.25, 0.5, 1.0, 2.0)
DISTILLED = (0.0, 0.5)


def main() -> None:
    """Run the study and print it."""
    parser = options(__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folds", type=positive, default=4)
    parser.add_argument("--recipe", default="default")
    arguments = parser.parse_args()
    changes: dict[str, object] = {"data.track": "idx", "data.refit": False}
    epochs, scales = EPOCHS, SCALES
    if arguments.quick:
        changes["budget.epochs"] = 1
        epochs, scales = 1, SCALES[1:2]
    recipe = oz.Recipe.load(arguments.recipe, changes)
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    settings = list(product(SHARES, scales, DISTILLED))
    scores: dict[Any, list[Any]] = {setting: [] for setting in (None, *settings)}
    labels = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, fold in enumerate(deal(dataset, Path(folder), arguments.folds)):
            print(f"fold {seed + 1} of {arguments.folds}", file=sys.stderr, flush=True)
            common: dict[str, Any] = {"data_dir": fold, "seed": seed, "device": arguments.device}
            run = oz.train(recipe, out=Path(folder, "runs"), **common)
            validation = oz.registry().create("dataset", "idx", data_dir=fold).split("validation")
            labels.append(np.asarray(validation.labels))
            scores[None].append(run.model().predict(validation.images).probabilities)
            for share, scale, distill in settings:
                model = oz.prune(
                    run,
                    macs=share,
                    epochs=epochs,
                    lr_scale=scale,
                    distill=distill,
                    timed=False,
                    **common,
                )
                scores[share, scale, distill].append(model.predict(validation.images).probabilities)
    truth = np.concatenate(labels).astype(np.int64)
    data = {
        "track": TRACK,
        "images": len(truth),
        "splits": ["train", "validation"],
        "folds": arguments.folds,
        "quick": arguments.quick,
        "recipe": arguments.recipe,
        "backbone": recipe.backbone.name,
        "epochs": epochs,
        "lr_scale": Tuning.lr_scale,
        "unpruned": scored(scores[None], truth),
        "rows": [
            dict(zip(("macs", "lr_scale", "distill"), setting, strict=True))
            | scored(scores[setting], truth)
            for setting in settings
        ],
    }
    if emit(SCHEMA, data, arguments):
        return
    print("unpruned: {accuracy:.2%}, {loss:.4f} nats".format(**data["unpruned"]))
    for row in data["rows"]:
        print(
            "macs {macs:g}, learning rate x {lr_scale:g}, distillation {distill:g}: "
            "{accuracy:.2%}, {loss:.4f} nats".format(**row)
        )


def scored(parts: list[Any], labels: Any) -> dict[str, float]:
    """Return accuracy, and mean cross-entropy in nats."""
    probabilities = np.concatenate(parts)
    return {
        "accuracy": round(float((probabilities.argmax(1) == labels).mean()), 4),
        "loss": round(float(mean_loss(probabilities, labels)), 5),
    }


if __name__ == "__main__":
    main()
