"""Build the bundled models: train, calibrate, export, quantize and describe them.

    python benchmarks/bundled_models.py --data-dir FOLDER [--only n] [--seed 0] [--runs FOLDER]

Each of oraclenet_n, _s and _b is one training of its recipe. The script rounds the weights to
float16, fits the temperature on validation images, and quantizes the model to an int8 ONNX file. If
the recipe refits on validation images, a second model trained without them, the twin, fits the
temperature and reads pictures of every kind made from them (``_picture_kinds``). Finally, the
script evaluates the files to be shipped on the test images and records that in the ledger. It
writes src/oraclezoo/models/NAME/ and the digests in index.toml. Finished trainings are reused, and
so is the detector of unknown characters, which --runs keeps.

Exit status 3 if the models exceed 3 MB in total.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import shutil
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from _bundled_card import readme
from _drawings import drawings
from _picture_kinds import KINDS, encoded
from pictures import DRAWINGS, pictures
from safetensors.torch import load_file, save

import oraclezoo as oz
from oraclezoo.analysis.evaluate import wilson
from oraclezoo.artifacts.model import WEIGHTS, Model
from oraclezoo.artifacts.onnx import with_detector
from oraclezoo.artifacts.resolve import record_test_evaluation
from oraclezoo.card import CARD
from oraclezoo.data.upstream import digest
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import prepare_all
from oraclezoo.measure.temperature import mean_loss
from oraclezoo.quantization.baseline import with_baseline
from oraclezoo.quantization.temperature import calibrate, calibrated
from oraclezoo.quantization.unknown import detecting
from oraclezoo.ranking.calibration import expected_error
from oraclezoo.ranking.predictions import accuracy_of
from oraclezoo.serving.listing import INDEX, MODELS
from oraclezoo.storage import write_atomically

TRACK = "oracle-mnist-3k"
RECIPES = {"oraclenet_n": "tiny", "oraclenet_s": "default", "oraclenet_b": "best"}
PICTURES: dict[str, object] = {
    "augment.jpeg": 0.5,
    "augment.jpeg_quality": 15,
    "augment.binary": 0.15,
}
"""Augmentation chosen by ``studies/predict_jpeg.py`` and ``studies/picture_augmentation.py``."""
CHANGES: dict[str, dict[str, object]] = {
    "oraclenet_n": PICTURES,
    "oraclenet_s": PICTURES,
    "oraclenet_b": {
        **PICTURES,
        "backbone.name": "oraclenet_b",
        "budget.batch_size": 128,
        "evaluate.flip": True,
    },
}
"""Changes to each model's recipe; without ``PICTURES``, the largest equals the second row of
``best``.
"""
SUMMARIES = {
    "oraclenet_n": "ten oracle bone characters, smallest model",
    "oraclenet_s": "ten oracle bone characters, default model",
    "oraclenet_b": "ten oracle bone characters, most accurate model",
}
SOURCE = (
    "trained by oraclezoo on Oracle-MNIST (Wang and Deng, Scientific Data 11:87, 2024; Apache-2.0)"
)
REDUCE_RANGE = True
"""7-bit weights, with which no program saturates on processors without VNNI."""
MAX_BYTES = 3_000_000
RESULTS = Path(__file__).parent / "results"
FLOATS = (torch.float32, torch.float64, torch.bfloat16)


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr)


def make(name: str, recipe: oz.Recipe, arguments: argparse.Namespace) -> None:
    """Build the folder of one model."""
    run = trained(recipe, arguments)
    whole = run.model()
    rounded, effect = half(whole, arguments.data_dir)
    dataset = open_track(arguments.data_dir)
    if recipe.data.refit:
        twin = trained(recipe.override({"data.refit": False}), arguments).model()
        model = calibrated(rounded, dataset, twin, unknown=False)
    else:
        twin = rounded
        model = calibrate(rounded, data_dir=arguments.data_dir, unknown=False)
    model = detecting_unknown(model, dataset, arguments.runs / "detector")
    say(f"{name}: temperature {model.card.calibration.temperature:.3f}")
    common: dict[str, Any] = {"data_dir": arguments.data_dir, "progress": say}
    exported = oz.export(model, **common)
    # the last receipt uses test images: no choice depends on it
    small = oz.quantize(
        exported, split="test", results=arguments.results, reduce_range=REDUCE_RANGE, **common
    )
    small = with_baseline(small, dataset, twin=twin if recipe.data.refit else None)
    record_test_evaluation(small, dataset, arguments.results)
    published = {
        "name": name,
        "weights": {"file": WEIGHTS, "dtype": "float16", **effect},
        "result": result(small, dataset),
        "pictures": by_kind(twin, arguments.data_dir, recipe.data.refit),
        "licence": "Apache-2.0",
    }
    card = replace(small.card, extra=published)
    folder = arguments.models / name
    with tempfile.TemporaryDirectory(dir=arguments.models) as temporary:
        staged = Path(temporary, name)
        Model(small.module, card, small.onnx, detector=small.detector).save(staged)
        shrink(staged)
        (staged / "README.md").write_text(readme(card.to_json(), recipe), encoding="utf-8")
        check(staged, small, dataset)
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
    pin(arguments.models, name)
    evaluation = published["result"]
    say(
        f"{name}: test {100 * evaluation['accuracy']:.1f}% of {evaluation['images']}, "
        f"{size(folder):,} bytes"
    )


def trained(recipe: oz.Recipe, arguments: argparse.Namespace) -> oz.Run:
    """Train the recipe at the seed, resuming an interrupted run."""
    say(f"training {recipe.name}{'' if recipe.data.refit else ' without a refit'}")
    return oz.train(
        recipe,
        data_dir=arguments.data_dir,
        seed=arguments.seed,
        out=arguments.runs,
        resume=True,
        progress=say,
    )


def detecting_unknown(model: Model, dataset: Any, folder: Path) -> Model:
    """Return the model with a detector of unknown characters.

    The detector depends on the data alone, so all models share the one that the folder keeps.
    """
    if not (folder / "model.json").is_file():
        detecting(model, dataset, say).save(folder)
    kept = oz.load(folder)
    assert kept.detector is not None
    assert kept.card.unknown is not None
    return with_detector(model, kept.detector, kept.card.unknown)


def open_track(data_dir: Path) -> Any:
    """Open the track's data set."""
    return oz.registry().create("dataset", TRACK, data_dir=data_dir)


def half(model: Model, data_dir: Path) -> tuple[Model, dict[str, Any]]:
    """Round the weights to float16; return the model and the effect on validation images."""
    images = np.asarray(open_track(data_dir).split("validation").images)
    before = model.predict(images)
    with torch.no_grad():
        for tensor in model.module.state_dict().values():
            if tensor.dtype in FLOATS:
                tensor.copy_(tensor.half())
    after = model.predict(images)
    difference = abs(before.probabilities - after.probabilities)
    changed = int((before.labels != after.labels).sum())
    effect = {
        "validation_images": len(images),
        "labels_changed_by_rounding": changed,
        "largest_difference": float(difference.max()),
    }
    return model, effect


def shrink(folder: Path) -> None:
    """Store float weights, already rounded to float16, as float16, and their digest in the card."""
    state = load_file(folder / WEIGHTS)
    content = save({k: v.half() if v.dtype in FLOATS else v for k, v in state.items()})
    write_atomically(folder / WEIGHTS, content)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card["weights_file"]["sha256"] = hashlib.sha256(content).hexdigest()
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / CARD, text.encode())


def result(model: Model, dataset: Any) -> dict[str, Any]:
    """Return the scores of the shipped ONNX file on the test images."""
    part = dataset.split("test")
    probabilities, labels = model.predict(part.images).probabilities, np.asarray(part.labels)
    right = probabilities.argmax(1) == labels
    return {
        "track": TRACK,
        "split": "test",
        "images": len(labels),
        "accuracy": accuracy_of(probabilities, labels),
        "accuracy_ci95": list(wilson(int(right.sum()), len(right))),
        "loss": mean_loss(probabilities, labels),
        "ece": expected_error(probabilities.max(1), right),
        "recall": {
            name: float(right[labels == label].mean()) for label, name in enumerate(dataset.classes)
        },
    }


@functools.cache
def shown(data_dir: Path) -> dict[str, Gray]:
    """Return what a model reads of the validation images by kind of picture, and of drawings."""
    images = np.asarray(open_track(data_dir).split("validation").images)
    size = images.shape[-1]
    kinds = {"plain": images}
    for kind in KINDS:
        kinds[kind.name] = prepare_all(pictures(kind, images), size)
    kinds["drawings"] = prepare_all([encoded(gray) for _, gray in drawings(DRAWINGS)], size)
    return kinds


def by_kind(model: Model, data_dir: Path, twin: bool) -> dict[str, Any]:
    """Return the accuracy of a model that has not seen them on pictures of validation images."""
    kinds = dict(shown(data_dir))
    drawn = kinds.pop("drawings")
    labels = np.asarray(open_track(data_dir).split("validation").labels)
    truth = np.array([label for label, _ in drawings(DRAWINGS)])
    return {
        "split": "validation",
        "images": len(labels),
        "by_a_twin": twin,
        "accuracy": {
            name: float((model.predict(batch).labels == labels).mean())
            for name, batch in kinds.items()
        },
        "drawings": DRAWINGS,
        "drawings_right": int((model.predict(drawn).labels == truth).sum()),
    }


def check(folder: Path, model: Model, dataset: Any) -> None:
    """Check that the written files equal the measured model, with and without PyTorch."""
    images = np.asarray(dataset.split("validation").images)
    expected = model.predict(images).probabilities
    assert np.array_equal(oz.predictor(folder).predict(images).probabilities, expected)
    reloaded = oz.load(folder)
    state, other = reloaded.module.state_dict(), model.module.state_dict()
    assert all(torch.equal(state[key], other[key]) for key in other)


def pin(models: Path, name: str) -> None:
    """Write the folder's digests to the index; keep the comment at its head."""
    index = models / INDEX.name
    text = (index if index.is_file() else INDEX).read_text(encoding="utf-8")
    head = "".join(line for line in text.splitlines(True) if line.startswith("#"))
    entries = tomllib.loads(text)
    folder = models / name
    entries[name] = {
        "summary": SUMMARIES[name],
        "source": SOURCE,
        "size_bytes": size(folder),
        "files": {path.name: digest(path) for path in sorted(folder.iterdir())},
    }
    ordered = {key: entries[key] for key in sorted(entries, key=list(RECIPES).index)}
    index.write_text(f"{head}\n{tomli_w.dumps(ordered)}", encoding="utf-8")


def size(folder: Path) -> int:
    """Return the total size of a folder's files in bytes."""
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Build the models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="folder with the track's files"
    )
    parser.add_argument("--only", choices=[n[-1] for n in RECIPES], help="build only this size")
    parser.add_argument("--recipe", help="another recipe for --only, for experiments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--models", type=Path, default=MODELS, help="output folder")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder with the ledger")
    arguments = parser.parse_args()
    if arguments.recipe and not arguments.only:
        parser.error("--recipe needs --only")
    arguments.models.mkdir(parents=True, exist_ok=True)
    for name, default in RECIPES.items():
        if arguments.only in (None, name[-1]):
            changes = {} if arguments.recipe else CHANGES.get(name, {})
            recipe = oz.Recipe.load(arguments.recipe or default, {"data.track": TRACK, **changes})
            make(name, recipe, arguments)
    folders = [path for path in arguments.models.iterdir() if path.name in RECIPES]
    sizes = {folder.name: size(folder) for folder in sorted(folders)}
    total = sum(sizes.values())
    print(json.dumps({"size_bytes": sizes, "total_bytes": total, "bound": MAX_BYTES}, indent=2))
    sys.exit(0 if total < MAX_BYTES else 3)


if __name__ == "__main__":
    main()
