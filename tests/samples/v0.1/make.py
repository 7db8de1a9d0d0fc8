"""Write the samples of oraclezoo 0.1.0; README.md says what each of them is.

Runs with the code of commit 04f38a6 alone, since later ones write files of their own kind:

    git worktree add --detach OLD 04f38a6
    cd tests/samples/v0.1 && OMP_NUM_THREADS=1 PYTHONPATH=OLD/src python make.py

Paths are relative, so that no file names the machine it was written on.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import oraclezoo as oz

DATA = Path("idx")
NET: dict[str, object] = {
    "name": "sample",
    "summary": "A tiny net for a data set of 96 training images",
    "data.track": "idx",
    "backbone.name": "convmixer",
    "backbone.dim": 16,
    "backbone.depth": 2,
    "backbone.kernel_size": 3,
    "budget.epochs": 6,
    "budget.batch_size": 16,
    "augment.cutout": 3,
    "augment.rotate": 5.0,
    "augment.shift": 1.0,
    "augment.elastic": 0.0,
    "data.refit": False,
}
MLP: dict[str, object] = {
    "data.track": "idx",
    "backbone.name": "mlp",
    "backbone.hidden": 16,
    "backbone.depth": 1,
    "budget.epochs": 2,
    "budget.batch_size": 16,
}
PRUNING: dict[str, object] = {"macs": 0.6, "round_to": 2, "epochs": 4}
COMPRESSION: dict[str, object] = {
    "size": 0.9,
    "trials": 3,
    "round_to": 2,
    "epochs": 1,
    "rounds": 1,
}
SPACE: dict[str, object] = {"optimizer.lr": [0.001, 0.01, 0.03, 0.1]}


def command(*words: str) -> None:
    """Run an oraclezoo command."""
    subprocess.run([sys.executable, "-m", "oraclezoo", *words], check=True)


def after(calls: int) -> Callable[[], bool]:
    """A ``should_stop`` that says so when it is asked for the last of so many times."""
    left = iter(range(calls, 0, -1))
    return lambda: next(left, 1) == 1


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """The body must end by being stopped."""
    try:
        yield
    except oz.OracleZooError as error:
        if error.exit_code != 130:
            raise
        return
    raise SystemExit("it was not stopped")


def write_idx(path: Path, array: np.ndarray) -> None:
    """An IDX file of bytes, compressed, without a time in it."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))


def make_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 16 x 16 with one bright bar, whose rows are the class, on sparse noise."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % 4).astype(np.uint8)
    images = np.where(generator.random((count, 16, 16)) < 0.15, 150, 0).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        left = generator.integers(0, 6)
        image[4 * label : 4 * label + 2, left : left + 9] = 220
    return images, labels


def make_data() -> None:
    """The data set that everything else is trained on."""
    DATA.mkdir()
    for name, count, seed in (("train", 96, 0), ("t10k", 40, 1)):
        images, labels = make_images(count, seed)
        write_idx(DATA / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(DATA / f"{name}-labels-idx1-ubyte.gz", labels)


def make_models(recipe: oz.Recipe) -> oz.Run:
    """Runs, finished and not, and the models made of the finished one."""
    Path("recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    common: dict[str, object] = {"data_dir": DATA, "device": "cpu"}
    run = oz.train(recipe, out="finished", **common)
    with stopped():
        oz.train(recipe, out="interrupted", should_stop=after(13), **common)
    proof: dict[str, object] = {"data_dir": DATA, "timed": False, "results": "ledgers"}
    exported = oz.export(run, "exported", **proof)
    oz.quantize(exported, "int8", **proof)
    oz.quantize(run, "bf16", backend="torch", precision="bf16", device="cpu", **proof)
    oz.prune(run, "pruned", device="cpu", **PRUNING, **proof)
    with stopped():
        oz.prune(run, "unfinished-prune", device="cpu", should_stop=after(8), **PRUNING, **proof)
    with stopped():
        oz.compress(
            exported,
            "unfinished-compress",
            data_dir=DATA,
            device="cpu",
            results="ledgers",
            should_stop=after(2),
            **COMPRESSION,
        )
    narrow = {"name": "oraclenet", "width": 0.25, "depth": 0}
    changes = {f"backbone.{key}": value for key, value in narrow.items()}
    other = recipe.override({**changes, "name": "narrow", "budget.epochs": 2})
    oz.prune(
        oz.train(other, out="narrow-runs", **common),
        "pruned-oraclenet",
        device="cpu",
        **{**PRUNING, "epochs": 2},
        **proof,
    )
    shutil.rmtree("narrow-runs")
    return run


def make_sweep(recipe: oz.Recipe) -> None:
    """Two of the four points of a grid."""
    oz.sweep(recipe, SPACE, sampler="grid", trials=2, data_dir=DATA, device="cpu", out="sweep")
    (Path("sweep") / ".lock").unlink(missing_ok=True)


def make_results(recipe: oz.Recipe) -> None:
    """Two results with five seeds each, one without times and one with corrupted images."""
    Path("mlp.toml").write_text(recipe.to_toml(), encoding="utf-8")
    slow = recipe.override({"name": "mlp-slow", "optimizer.lr": 0.001})
    Path("mlp-slow.toml").write_text(slow.to_toml(), encoding="utf-8")
    words = ("--track", "idx", "--data-dir", str(DATA), "--device", "cpu", "--out", "results")
    command("bench", "mlp.toml", "--robust", *words, "--runs", "bench-runs")
    command("bench", "mlp-slow.toml", "--accuracy-only", *words, "--runs", "bench-runs")
    shutil.rmtree("bench-runs")


def make_scans() -> None:
    """Dark strokes on light paper, six files of two classes, and what ``convert`` makes of them."""
    images, labels = make_images(40, 2)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label < 2:
            folder = Path("scans") / ("sun", "moon")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - image).resize((24, 24)).save(folder / f"{number:02}.png")
    command("data", "convert", "scans", "converted", "--size", "16", "--jobs", "1")
    (Path("converted") / ".convert" / "lock").unlink(missing_ok=True)


def make_glyphs() -> None:
    """A folder of generated characters."""
    counts = ("--train", "10", "--validation", "1", "--test", "1")
    command("data", "glyphs", "glyphs", *counts, "--classes", "characters.toml")
    Path(".glyphs.lock").unlink(missing_ok=True)


def make_card() -> None:
    """The card of a model that comes with oraclezoo."""
    package = Path(str(oz.__file__)).parent
    shutil.copy(package / "models" / "oraclenet_n" / "model.json", "oraclenet_n.json")


def hash_of(recipe: str) -> str:
    """A recipe's hash, as the command line shows it."""
    words = [sys.executable, "-m", "oraclezoo", "recipe", "show", recipe, "--json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    digest: str = json.loads(done.stdout)["data"]["hash"]
    return digest


def note_what_is_expected(run: oz.Run) -> None:
    """What the samples mean to the code that wrote them: expected.json."""
    images, _ = make_images(40, 1)
    folders = ("exported", "pruned", "int8", "bf16", "pruned-oraclenet")
    models = {"finished": run.model(), **{name: oz.load(name) for name in folders}}
    predictions = {}
    for name, model in models.items():
        actual = model.predict(images[:12])
        predictions[name] = {
            "labels": actual.labels.tolist(),
            "probabilities": [[round(float(p), 7) for p in row] for row in actual.probabilities],
        }
    table = oz.leaderboard(
        [oz.Result.load(path) for path in sorted(Path("results").glob("*.json"))]
    )
    document = {
        "recipe_hash": hash_of("recipe.toml"),
        "run_recipe_hash": run.record["recipe"]["hash"],
        "epochs": len(run.metrics),
        "outcome": {
            key: run.record["outcome"][key]
            for key in ("steps", "examples", "validation_accuracy", "validation_loss", "best_epoch")
        },
        "predictions": predictions,
        "ranking": [
            {"recipe": row.recipe, "rank": row.rank, "accuracy_percent": row.accuracy_percent}
            for row in table.rows
        ],
    }
    Path("expected.json").write_text(
        json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8"
    )


def main() -> None:
    """All of them, beside this file."""
    for path in Path().iterdir():
        if path.name not in ("README.md", "make.py", "characters.toml"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    recipe = oz.Recipe.load("default", NET)
    mlp = oz.Recipe.load("authors-cnn", {**MLP, "name": "mlp"})
    make_data()
    run = make_models(recipe)
    make_sweep(mlp)
    make_results(mlp)
    make_scans()
    make_glyphs()
    make_card()
    note_what_is_expected(run)


if __name__ == "__main__":
    main()
