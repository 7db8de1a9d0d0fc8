"""Makes the models that ship with oraclezoo: trained, calibrated, exported, quantized, described.

    python benchmarks/animals.py --data-dir FOLDER [--only n] [--seed 0] [--runs FOLDER]

Each of oraclenet_n, _s and _b is its recipe's training at one seed. Weights are rounded to float16,
which the ONNX file, int8, is then made from. The temperature is fitted on validation images, by a
twin trained without them where the recipe refits on them. The test images are scored at the very
end, by the files as they are shipped, and the look is noted in the ledger. Written are
src/oraclezoo/models/NAME/ and the pins in index.toml. Trainings that are finished are not repeated.

Exit status 3 if the models are more than 3 MB together.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from _animal_card import readme
from safetensors.torch import load_file, save

import oraclezoo as oz
from oraclezoo.analysis.evaluate import wilson
from oraclezoo.artifacts.model import WEIGHTS, Model
from oraclezoo.artifacts.resolve import note_look
from oraclezoo.data.upstream import digest
from oraclezoo.measure.temperature import mean_loss
from oraclezoo.quantization.temperature import calibrate
from oraclezoo.ranking.calibration import expected_error
from oraclezoo.ranking.predictions import accuracy_of
from oraclezoo.result import write_atomically
from oraclezoo.serving.listing import INDEX, MODELS

TRACK = "oracle-mnist-3k"
RECIPES = {"oraclenet_n": "tiny", "oraclenet_s": "default", "oraclenet_b": "best"}
JPEG: dict[str, object] = {"augment.jpeg": 0.5, "augment.jpeg_quality": 15}
"""Half of the training images lose what JPEG does: best in folds, ``predict_jpeg.py``."""
CHANGES: dict[str, dict[str, object]] = {
    "oraclenet_n": JPEG,
    "oraclenet_s": JPEG,
    "oraclenet_b": {
        **JPEG,
        "backbone.name": "oraclenet_b",
        "budget.batch_size": 128,
        "evaluate.flip": True,
    },
}
"""What each has beyond its recipe; the largest, otherwise, is the other published row of that name.
"""
SUMMARIES = {
    "oraclenet_n": "ten oracle bone characters, smallest",
    "oraclenet_s": "ten oracle bone characters, the house net",
    "oraclenet_b": "ten oracle bone characters, most accurate",
}
SOURCE = (
    "trained by oraclezoo on Oracle-MNIST (Wang and Deng, Scientific Data 11:87, 2024; Apache-2.0)"
)
MAX_BYTES = 3_000_000
RESULTS = Path(__file__).parent / "results"
FLOATS = (torch.float32, torch.float64, torch.bfloat16)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr)


def make(name: str, recipe: oz.Recipe, arguments: argparse.Namespace) -> None:
    """One model's folder."""
    run = trained(recipe, arguments)
    whole = run.model()
    rounded, effect = half(whole, arguments.data_dir)
    dataset = open_track(arguments.data_dir)
    twin = None
    if recipe.data.refit:
        twin = trained(recipe.override({"data.refit": False}), arguments)
    model = calibrate(rounded, dataset, twin=None if twin is None else twin.model())
    say(f"{name}: temperature {model.card['calibration']['temperature']:.3f}")
    given: dict[str, Any] = {"data_dir": arguments.data_dir, "progress": say}
    exported = oz.export(model, **given)
    # the last step's receipt is on test images: nothing is chosen by it
    small = oz.quantize(exported, split="test", results=arguments.results, **given)
    note_look(small, dataset, arguments.results)
    card = {
        **small.card,
        "name": name,
        "weights": {"file": WEIGHTS, "dtype": "float16", **effect},
        "result": result(small, dataset),
        "licence": "Apache-2.0",
    }
    folder = arguments.models / name
    with tempfile.TemporaryDirectory(dir=arguments.models) as temporary:
        made = Path(temporary, name)
        Model(small.module, card, small.onnx).save(made)
        shrink(made / WEIGHTS)
        (made / "README.md").write_text(readme(card, recipe), encoding="utf-8")
        check(made, small, dataset)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    pin(arguments.models, name)
    found = card["result"]
    say(f"{name}: test {100 * found['accuracy']:.1f}% of {found['images']}, {size(folder):,} bytes")


def trained(recipe: oz.Recipe, arguments: argparse.Namespace) -> oz.Run:
    """The recipe's run at the seed, gone on with if it was broken off."""
    say(f"training {recipe.name}{'' if recipe.data.refit else ' without a refit'}")
    return oz.train(
        recipe,
        data_dir=arguments.data_dir,
        seed=arguments.seed,
        out=arguments.runs,
        resume=True,
        progress=say,
    )


def open_track(data_dir: Path) -> Any:
    """The track's data set."""
    return oz.registry().create("dataset", TRACK, data_dir=data_dir)


def half(model: Model, data_dir: Path) -> tuple[Model, dict[str, Any]]:
    """The model with its weights rounded to float16, and what that does to validation images."""
    images = np.asarray(open_track(data_dir).split("validation").images)
    before = model.predict(images)
    with torch.no_grad():
        for tensor in model.module.state_dict().values():
            if tensor.dtype in FLOATS:
                tensor.copy_(tensor.half())
    after = model.predict(images)
    apart = abs(before.probabilities - after.probabilities)
    changed = int((before.labels != after.labels).sum())
    effect = {
        "validation_images": len(images),
        "labels_changed_by_rounding": changed,
        "largest_difference": float(apart.max()),
    }
    return model, effect


def shrink(path: Path) -> None:
    """Store float weights, which are float16 numbers by now, as such."""
    state = load_file(path)
    content = save({k: v.half() if v.dtype in FLOATS else v for k, v in state.items()})
    write_atomically(path, content)


def result(model: Model, dataset: Any) -> dict[str, Any]:
    """What the shipped ONNX file scores on the test images."""
    part = dataset.split("test")
    found, labels = model.predict(part.images).probabilities, np.asarray(part.labels)
    right = found.argmax(1) == labels
    return {
        "track": TRACK,
        "split": "test",
        "images": len(labels),
        "accuracy": accuracy_of(found, labels),
        "accuracy_ci95": list(wilson(int(right.sum()), len(right))),
        "loss": mean_loss(found, labels),
        "ece": expected_error(found.max(1), right),
        "recall": {
            name: float(right[labels == label].mean()) for label, name in enumerate(dataset.classes)
        },
    }


def check(folder: Path, model: Model, dataset: Any) -> None:
    """What was written reads as what was measured, with torch's weights and without torch."""
    images = np.asarray(dataset.split("validation").images)
    wanted = model.predict(images).probabilities
    assert np.array_equal(oz.predictor(folder).predict(images).probabilities, wanted)
    again = oz.load(folder)
    state, other = again.module.state_dict(), model.module.state_dict()
    assert all(torch.equal(state[key], other[key]) for key in other)


def pin(models: Path, name: str) -> None:
    """Put the folder's digests into the index; the comment at its head stays."""
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
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Make the models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="where the track's files are")
    parser.add_argument("--only", choices=[n[-1] for n in RECIPES], help="just this one")
    parser.add_argument("--recipe", help="another recipe, for a trial of --only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for run folders")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder to write to")
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
