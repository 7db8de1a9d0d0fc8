"""Compare ways to detect unknown characters, cross-validated on oracle-mnist-3k.

In each fold, the recipe `speed` is trained on the other folds' training and validation images. A
method gives each picture a score; its threshold keeps 95% of the fold's images and of drawings of
the ten characters. Rows are the foreign pictures of benchmarks/unknown.py that it rejects. The
methods that learn from foreign pictures see only those with the role `fit`.

    python benchmarks/studies/unknown.py --data-dir FOLDER [--folds 3] [--json] [--out FILE]

Takes about ten minutes on two idle cores. Output: benchmarks/measurements/unknown-methods.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from _shared import emit
from torch import nn

import oraclezoo as oz
from oraclezoo.analysis.features import features
from oraclezoo.data.folds import deal
from oraclezoo.data.foreign import sets
from oraclezoo.engine.augment import standardize
from oraclezoo.quantization import unknown

SCHEMA = "oraclezoo/unknown-methods/1"
TRACK, RECIPE, SIZE = "oracle-mnist-3k", "speed", 28
COUNT, EPOCHS, TESTED = 500, 6, 300
KEPT = 0.95

Floats = npt.NDArray[np.floating[Any]]
Score = Callable[[Any], Floats]


def pooled(model: oz.Model, images: Any) -> torch.Tensor:
    """Return maximum and mean over positions of each stage's output, ``(N, D)``."""
    seen: list[torch.Tensor] = []
    stages: Any = model.module.stages
    hooks = [
        stage.register_forward_hook(
            lambda _m, _i, out: seen.append(torch.cat([out.amax((2, 3)), out.mean((2, 3))], 1))
        )
        for stage in stages
    ]
    rows, scale = [], model.card.preprocessing
    with torch.inference_mode():
        for part in np.array_split(images, max(1, len(images) // 500)):
            seen.clear()
            model.module(standardize(torch.from_numpy(part.copy()), scale.mean, scale.std))
            rows.append(torch.cat(seen, 1))
    for hook in hooks:
        hook.remove()
    return torch.cat(rows)


def logits_of(model: oz.Model, images: Any) -> torch.Tensor:
    """Return logits ``(N, C)``."""
    scale = model.card.preprocessing
    with torch.inference_mode():
        inputs = standardize(torch.from_numpy(np.array(images)), scale.mean, scale.std)
        logits: torch.Tensor = model.module(inputs)
        return logits


def head_on(model: oz.Model, known: Any, foreign: Any) -> Score:
    """Train a head with one hidden layer on pooled features of known and foreign pictures."""
    vectors = torch.cat([pooled(model, known), pooled(model, foreign)]).clone()
    targets = torch.cat([torch.zeros(len(known)), torch.ones(len(foreign))])
    mean, std = vectors.mean(0), vectors.std(0) + 1e-3
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(vectors.shape[1], 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(15):
        for rows in torch.randperm(len(vectors), generator=generator).split(256):
            out = net((vectors[rows] - mean) / std)[:, 0]
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(out, targets[rows]).backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimizer.step()

    def score(images: Any) -> Floats:
        with torch.inference_mode():
            scores: Floats = net((pooled(model, images) - mean) / std)[:, 0].numpy()
            return scores

    return score


def methods(model: oz.Model, images: Any, labels: Any, seed: int) -> dict[str, Score]:
    """Return the score of each method, fitted to the training images of a fold."""
    reference = features(model, images).vectors.astype(np.float64)
    means = np.stack([reference[labels == label].mean(0) for label in range(10)])
    spread = np.cov((reference - means[labels]).T) + 1e-3 * np.eye(reference.shape[1])
    precision = np.linalg.inv(spread)
    unit = reference / np.linalg.norm(reference, axis=1, keepdims=True)

    def mahalanobis(pictures: Any) -> Floats:
        away = features(model, pictures).vectors[:, None] - means
        distances: Floats = np.einsum("nkd,de,nke->nk", away, precision, away).min(1)
        return distances

    def neighbors(pictures: Any) -> Floats:
        vectors = features(model, pictures).vectors
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        distances: Floats = -np.sort(vectors @ unit.T, axis=1)[:, -5]
        return distances

    known = list(sets.known(images, labels, SIZE, seed, forms="fit", count=2 * COUNT))
    foreign = list(sets.foreign("fit", SIZE, seed, count=COUNT, originals=(images, labels)))
    known_images = np.concatenate([each.images for each in known])
    foreign_images = np.concatenate([each.images for each in foreign])
    targets = np.concatenate(
        [each.labels for each in known if each.labels is not None]
        + [np.full(len(foreign_images), 10)]
    )
    weights = np.ones(len(targets), np.float32)
    weights[: 2 * len(images)] = unknown.REAL_WEIGHT
    unknown.EPOCHS = EPOCHS
    detector = unknown.fitted(
        np.concatenate([known_images, foreign_images]),
        (torch.from_numpy(targets.astype(np.int64)), torch.from_numpy(weights)),
        10,
        True,
        seed,
    )

    def agreement(pictures: Any) -> Floats:
        with torch.inference_mode():
            q = detector(torch.from_numpy(np.array(pictures))[:, None].float() / 255).numpy()
        scores: Floats = 1 - (q[:, :10] * model.predict(pictures).probabilities).sum(1)
        return scores

    return {
        "maximum softmax": lambda x: 1 - model.predict(x).probabilities.max(1),
        "energy": lambda x: -logits_of(model, x).logsumexp(1).numpy(),
        "Mahalanobis distance": mahalanobis,
        "distance to the fifth neighbor": neighbors,
        "head on pooled features": head_on(model, known_images, foreign_images),
        "separate CNN": lambda x: unknown.scores_of(detector, np.ascontiguousarray(x)),
        "separate CNN and classifier agree": agreement,
    }


def measured(scores: dict[str, Score], known: dict[str, Any], foreign: dict[str, Any]) -> Any:
    """Return the percentage of each foreign group that each method rejects."""
    rows: dict[str, dict[str, float]] = {}
    for name, score in scores.items():
        limit = max(np.quantile(score(images), KEPT, method="higher") for images in known.values())
        rows[name] = {
            group: 100 * float((score(images) > limit).mean()) for group, images in foreign.items()
        }
    return rows


def groups_of(seed: int) -> dict[str, Any]:
    """Return foreign pictures by what they show, clean and worn together with scripts joined."""
    groups: dict[str, list[Any]] = {}
    named = {"other Chinese characters", "invented characters"}
    for each in sets.foreign("report", SIZE, seed, count=TESTED):
        if each.look == sets.TEXTURES:
            name = "textures"
        else:
            family = each.family if each.family in named else "other scripts"
            name = f"{family}, {each.look}"
        groups.setdefault(name, []).append(each.images)
    return {name: np.concatenate(parts) for name, parts in groups.items()}


def main() -> None:
    """Run the study and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, place in enumerate(deal(dataset, Path(folder), arguments.folds)):
            print(f"fold {number + 1} of {arguments.folds}", file=sys.stderr, flush=True)
            recipe = oz.Recipe.load(RECIPE, {"data.track": "idx", "data.refit": False})
            model = oz.train(recipe, data_dir=place, out=Path(folder, "runs", str(number))).model()
            fold = oz.registry().create("dataset", "idx", data_dir=place)
            train, held = fold.split("train"), np.asarray(fold.split("validation").images)
            scores = methods(model, np.asarray(train.images), np.asarray(train.labels), number)
            drawn = sets.known(held[:1], np.zeros(1, np.int64), SIZE, 7, forms="report", count=300)
            drawings = next(each.images for each in drawn if each.family == "drawings")
            known = {"real": held, "drawings": drawings}
            results.append(measured(scores, known, groups_of(100 + number)))
    rows = [
        {
            "method": name,
            "rejected": {
                group: round(float(np.mean([fold[name][group] for fold in results])), 1)
                for group in results[0][name]
            },
        }
        for name in results[0]
    ]
    data = {
        "track": TRACK,
        "recipe": RECIPE,
        "folds": arguments.folds,
        "kept": KEPT,
        "fitted_on": COUNT,
        "rows": rows,
    }
    if emit(SCHEMA, data, arguments):
        return
    for row in rows:
        print(f"{row['method']:36}", *(f"{value:6.1f}" for value in row["rejected"].values()))


if __name__ == "__main__":
    main()
