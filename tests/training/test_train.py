"""Runs and models: what a training leaves on disk, and what can be made of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.analysis.evaluate import evaluate, wilson
from oraclezoo.artifacts import build
from oraclezoo.artifacts.load import _outline
from oraclezoo.artifacts.run import Run
from oraclezoo.card import Card
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import ArrayDataset, ArraySplit
from oraclezoo.data.idx import read_idx, write_idx
from oraclezoo.engine.checkpoint import load_state, save_state
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OracleZooError,
    ResultError,
    UsageError,
)

TINY: dict[str, object] = {
    "budget.epochs": 4,
    "budget.batch_size": 16,
    "data.track": "idx",
    "augment.cutout": 3,
}


@pytest.fixture(scope="module")
def recipe() -> oz.Recipe:
    """The default recipe, made small."""
    return oz.Recipe.load("quick", TINY)


@pytest.fixture(scope="module")
def run(recipe: oz.Recipe, tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> oz.Run:
    """A finished run."""
    return oz.train(recipe, data_dir=tiny_idx, out=tmp_path_factory.mktemp("runs"), device="cpu")


def read_test_images(tiny_idx: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The test images of the tiny data set."""
    images: np.ndarray[Any, np.dtype[np.uint8]] = read_idx(tiny_idx / "t10k-images-idx3-ubyte.gz")
    return images


def test_a_run_folder_holds_what_the_design_says(run: oz.Run) -> None:
    """Recipe, record, metrics and two weight files; the record tells where all came from."""
    names = {path.name for path in run.folder.iterdir()} - {".lock"}
    assert names == {
        "recipe.toml",
        "run.json",
        "metrics.jsonl",
        "best.safetensors",
        "last.safetensors",
    }
    record = run.record.to_json()
    assert run.folder.name == f"quick-{record['recipe']['hash'][:12]}-s0"
    assert record["status"] == "done"
    assert [row.epoch for row in run.metrics] == [1, 2, 3, 4]
    assert record["outcome"]["examples"] == 4 * 9 * 16
    assert record["outcome"]["validation_accuracy"] == run.metrics[-1].validation_accuracy
    assert record["components"]["backbone"]["distribution"] == "oraclezoo"
    assert len(record["data_sha256"]) == 2, "the test files were not read"
    assert not record["flip"], "the data set does not say that flips keep a label"


def test_training_never_reads_the_test_split(
    recipe: oz.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a test split that raises when touched, a training goes to its end."""
    part = ArraySplit(np.zeros((32, 16, 16), np.uint8), np.arange(32) % 4)

    def forbidden() -> ArraySplit:
        raise AssertionError("the test split was touched")

    dataset = ArrayDataset(
        classes=("a", "b", "c", "d"),
        glyphs=("", "", "", ""),
        flip_keeps_label=False,
        synthetic=True,
        sha256={},
        readers={"train": lambda: part, "validation": lambda: part, "test": forbidden},
    )

    def opened(*args: Any) -> Dataset:
        return dataset

    monkeypatch.setattr(build, "open_dataset", opened)
    for changes in ({}, {"data.refit": True}):
        run = oz.train(recipe.override(changes), out=tmp_path, device="cpu")
        assert run.record.status == "done"
    with pytest.raises(AssertionError, match="touched"):
        dataset.split("test")


def test_an_occupied_folder_is_left_alone(recipe: oz.Recipe, run: oz.Run, tiny_idx: Path) -> None:
    """Nothing is lost by running a command twice."""
    before = (run.folder / "last.safetensors").read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        oz.train(recipe, data_dir=tiny_idx, out=run.folder.parent, device="cpu")
    kept = oz.train(recipe, data_dir=tiny_idx, out=run.folder.parent, device="cpu", resume=True)
    assert kept == run
    assert (run.folder / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", [b"\xff\xfe{\n", b'{"epoch": 1', None])
def test_damaged_metrics_do_not_stop_a_resumed_run(
    recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path, content: bytes | None
) -> None:
    """They are only for reading; the epochs from then on are recorded."""
    stops = iter([False] * 12 + [True])
    places: dict[str, Any] = {"data_dir": tiny_idx, "out": tmp_path, "device": "cpu"}
    with pytest.raises(InterruptedRunError):
        oz.train(recipe, **places, should_stop=lambda: next(stops))
    (metrics,) = tmp_path.glob("*/metrics.jsonl")
    if content is None:
        metrics.unlink()
    else:
        metrics.write_bytes(content)
    resumed = oz.train(recipe, **places, resume=True)
    assert [row.epoch for row in resumed.metrics] == [2, 3, 4]


@pytest.mark.parametrize(
    "state",
    [{}, [], {"model": 1}, {"model": {"layer.weight": 1}}, {"model": {}, "ema": [1]}],
    ids=["no entries", "a list", "a number", "no tensor", "no names"],
)
def test_a_checkpoint_of_something_else_is_an_error(
    run: oz.Run, tmp_path: Path, state: object
) -> None:
    """A file with a fitting digest may still hold anything."""
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    for name in ("best", "last"):
        save_state(folder / f"{name}.safetensors", state)
    with pytest.raises(ResultError, match=r"\.safetensors"):
        oz.Run.load(folder).model()


def test_resume_continues_a_stopped_run(
    recipe: oz.Recipe, run: oz.Run, tiny_idx: Path, tmp_path: Path
) -> None:
    """Stopped in the third epoch and resumed, weights and metrics are those of the whole run."""
    calls = iter(range(10**6))
    with pytest.raises(InterruptedRunError):
        oz.train(
            recipe,
            data_dir=tiny_idx,
            out=tmp_path,
            device="cpu",
            should_stop=lambda: next(calls) == 20,
        )
    assert Run.load(tmp_path / run.folder.name).record.status == "interrupted"
    again = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, device="cpu", resume=True)
    one, other = again.model().module.state_dict(), run.model().module.state_dict()
    assert all(bool((one[key] == other[key]).all()) for key in other)
    figures = ("epoch", "step", "lr", "train_loss", "validation_loss", "validation_accuracy")
    assert [[getattr(row, f) for f in figures] for row in again.metrics] == [
        [getattr(row, f) for f in figures] for row in run.metrics
    ]


def test_a_diverged_run_says_so(recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path) -> None:
    """NaN ends the run; the record holds the reason."""
    wild = recipe.override(
        {
            "backbone.name": "lenet5",
            "optimizer.name": "sgd",
            "optimizer.lr": 100.0,
            "optimizer.weight_decay": 1.0,
            "budget.epochs": 10,
        }
    )
    with pytest.raises(DivergedError):
        oz.train(wild, data_dir=tiny_idx, out=tmp_path, device="cpu")
    (folder,) = tmp_path.iterdir()
    record = Run.load(folder).record
    assert record.status == "diverged"
    assert record.reason is not None
    assert "lr" in record.reason


def test_a_model_is_bit_equal_in_a_fresh_process(
    run: oz.Run, tiny_idx: Path, tmp_path: Path
) -> None:
    """Saved and loaded elsewhere, it gives the same probabilities to the last bit."""
    model = run.model()
    folder = model.save(tmp_path / "model")
    here = model.predict(read_test_images(tiny_idx))
    code = (
        "import sys, numpy as np, oraclezoo as oz\nfrom pathlib import Path\n"
        "from oraclezoo.data.idx import read_idx\n"
        "found = oz.load(sys.argv[1]).predict(read_idx(Path(sys.argv[2])))\n"
        "np.save(sys.argv[3], found.probabilities)\n"
        "assert not any(m.split('.')[0] in ('timm', 'torchvision') for m in sys.modules)\n"
    )
    images = tiny_idx / "t10k-images-idx3-ubyte.gz"
    out = tmp_path / "found.npy"
    subprocess.run([sys.executable, "-c", code, str(folder), str(images), str(out)], check=True)
    assert np.array_equal(np.load(out), here.probabilities)
    assert here.labels.tolist() == here.probabilities.argmax(1).tolist()
    assert (here.labels == np.arange(40) % 4).mean() > 0.9
    files = {path.name for path in folder.iterdir()} - {".lock"}
    assert files == {"model.json", "model.safetensors"}


def test_best_and_last_are_both_there(run: oz.Run) -> None:
    """The recipe's choice is the default; either can be asked for; another word is refused."""
    states = {keep: run.model(keep).module.state_dict() for keep in ("best", "last")}
    default = run.model().module.state_dict()
    assert all(bool((default[key] == states["last"][key]).all()) for key in default)
    best = load_state(run.folder / "best.safetensors")["model"]
    assert all(bool((states["best"][key] == best[key]).all()) for key in best)
    with pytest.raises(UsageError, match="best or last"):
        run.model("first")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((16, 16), np.float32),
        np.zeros((2, 16, 16), np.float32),
        np.zeros((2, 1, 16, 16, 3), np.uint8),
        7,
    ],
)
def test_predict_refuses_other_images(run: oz.Run, images: Any) -> None:
    """The message says what the model takes."""
    with pytest.raises(UsageError, match=r"uint8 \(N, 16, 16\)"):
        run.model().predict(images)


def test_predict_takes_pictures_of_any_size(run: oz.Run) -> None:
    """Prepared first; as it is at the model's own size."""
    image = np.zeros((16, 16), np.uint8)
    image[4:7, 2:14] = 220
    large = np.kron(image, np.ones((4, 4), np.uint8))
    model = run.model()
    other = model.predict([large, 255 - large])
    assert other.probabilities.shape == (2, 4)
    assert np.allclose(other.probabilities[0], other.probabilities[1], atol=1e-6)


def test_predict_takes_one_image_or_none(run: oz.Run) -> None:
    """A single image is a batch of one; an empty batch gives empty arrays."""
    model = run.model()
    assert model.predict(np.zeros((16, 16), np.uint8)).probabilities.shape == (1, 4)
    assert model.predict(np.zeros((0, 16, 16), np.uint8)).probabilities.shape == (0, 4)


def _spoil_schema(card: dict[str, Any]) -> None:
    card["schema"] = "other/1"


def _spoil_width(card: dict[str, Any]) -> None:
    card["backbone"]["options"]["width"] = 2.0


def _spoil_scale(card: dict[str, Any]) -> None:
    card["preprocessing"]["std"] = 0


def _spoil_name(card: dict[str, Any]) -> None:
    card["backbone"]["name"] = "oraclezoo:oraclenot"


@pytest.mark.parametrize("spoil", [_spoil_schema, _spoil_width, _spoil_scale, _spoil_name])
def test_a_spoilt_card_is_refused(run: oz.Run, tmp_path: Path, spoil: Any) -> None:
    """Whatever is wrong in model.json, it is one clear error of ours."""
    folder = run.model().save(tmp_path / "model")
    card = json.loads((folder / "model.json").read_text())
    spoil(card)
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(OracleZooError):
        oz.load(folder)


def test_broken_folders_are_refused(run: oz.Run, tmp_path: Path) -> None:
    """Absent, truncated or foreign folders are errors that name what is wrong."""
    with pytest.raises(ResultError, match=r"model\.json"):
        oz.load(tmp_path)
    folder = run.model().save(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ResultError, match="cannot be read"):
        oz.load(folder)
    with pytest.raises(ResultError, match="not a run folder"):
        Run.load(tmp_path)


def test_evaluate_scores_a_split_and_notes_the_test(
    run: oz.Run, tiny_idx: Path, tmp_path: Path
) -> None:
    """Validation leaves no trace; the test split leaves a line in the ledger."""
    evaluation = evaluate(run, data_dir=tiny_idx, results=tmp_path / "results", device="cpu")
    assert evaluation.images == 16
    assert evaluation.accuracy == run.outcome.validation_accuracy
    assert not (tmp_path / "results").exists()
    evaluation = evaluate(
        run.folder, split="test", data_dir=tiny_idx, results=tmp_path / "results", device="cpu"
    )
    assert evaluation.images == 40
    assert [row.images for row in evaluation.classes] == [10] * 4
    low, high = evaluation.accuracy_ci95
    assert low <= evaluation.accuracy <= high
    assert len((tmp_path / "results" / "ledger.jsonl").read_text().splitlines()) == 1


def test_wilson_interval_is_the_textbooks() -> None:
    """8 of 10: 0.490 to 0.943 (Wilson 1927, as tabulated)."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize(
    "name", [entry.spec.name for entry in oz.registry().entries("backbone") if entry.builtin]
)
def test_every_backbone_survives_saving(name: str, tmp_path: Path) -> None:
    """Built, saved and loaded, it gives the same outputs; its shapes are known without memory."""
    registry = oz.registry()
    shape = {"in_chans": 1, "num_classes": 10, "image_size": 28}
    options = registry.get("backbone", name).spec.fill({})
    module = build.build_backbone(registry, name, options, shape, seed=1)
    card = {
        "schema": "oraclezoo/model/1",
        "backbone": {"name": name, "options": options},
        "input": shape,
        "preprocessing": {"mean": 0.2, "std": 0.3},
        "classes": [str(label) for label in range(10)],
    }
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    model = oz.Model(module, Card.from_json(card))
    again = oz.load(model.save(tmp_path))
    assert np.array_equal(again.predict(images).probabilities, model.predict(images).probabilities)
    assert _outline(registry, name, dict(options), shape, None).keys() == module.state_dict().keys()


def test_tied_weights_can_be_saved(tmp_path: Path, run: oz.Run) -> None:
    """Weights that share memory are written out."""
    model = run.model()
    head = model.module.get_submodule("head")
    head.register_parameter("again", head.get_parameter("weight"))
    assert (model.save(tmp_path) / "model.safetensors").stat().st_size > 0


def test_the_recipe_decides_which_weights_are_kept(
    recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path
) -> None:
    """keep = "best" gives the weights of the best epoch; with averaging, the averaged ones."""
    changes: dict[str, object] = {"train.keep": "best", "train.ema": 0.5}
    run = oz.train(recipe.override(changes), data_dir=tiny_idx, out=tmp_path, device="cpu")
    outcome = run.outcome
    evaluation = evaluate(run, data_dir=tiny_idx, results=tmp_path, device="cpu")
    assert evaluation.accuracy == outcome.best_validation_accuracy
    last = load_state(run.folder / "last.safetensors")
    kept = run.model("last").module.state_dict()
    assert all(bool((kept[k] == last["ema"][f"module.{k}"]).all()) for k in kept)
    assert any(bool((kept[k] != last["model"][k]).any()) for k in kept)


def test_refit_trains_on_both_parts_and_cannot_choose(
    recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path
) -> None:
    """144 and 16 images become 160; what goes by validation images is refused then."""
    refit = recipe.override({"data.refit": True, "budget.epochs": 1})
    run = oz.train(refit, data_dir=tiny_idx, out=tmp_path, device="cpu")
    assert run.record.train_images == 160
    assert run.outcome.examples == 160
    assert run.outcome.validation_accuracy is run.outcome.validation_loss is None  # trained on
    assert run.outcome.best_validation_accuracy is None
    assert run.metrics[-1].validation_accuracy is run.metrics[-1].validation_loss is None
    assert evaluate(run, data_dir=tiny_idx, results=tmp_path, device="cpu").trained_on
    with pytest.raises(UsageError, match="refit"):
        oz.train(
            refit.override({"train.keep": "best"}), data_dir=tiny_idx, out=tmp_path, device="cpu"
        )


def test_stopped_in_the_first_epoch_and_stopped_hard_again_nothing_is_lost(
    recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path
) -> None:
    """The checkpoint that a resumed run began from stays until there is a newer one."""

    def stop(after: int, **options: bool) -> Path:
        calls = iter(range(1, 10**6))
        with pytest.raises((InterruptedRunError, KeyboardInterrupt)):
            oz.train(
                recipe,
                data_dir=tiny_idx,
                out=tmp_path,
                device="cpu",
                should_stop=lambda: _raise_at(next(calls), after, hard=bool(options)),
                **options,
            )
        (folder,) = tmp_path.iterdir()
        return folder

    folder = stop(3)
    before = (folder / "last.safetensors").read_bytes()
    stop(2, resume=True)
    assert (folder / "last.safetensors").read_bytes() == before
    done = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, device="cpu", resume=True)
    assert done.record.status == "done"


def _raise_at(asked: int, after: int, *, hard: bool) -> bool:
    if asked == after and hard:
        raise KeyboardInterrupt
    return asked == after


def test_a_run_does_not_go_on_with_other_data(
    recipe: oz.Recipe, run: oz.Run, tiny_idx: Path, tmp_path: Path
) -> None:
    """Neither resumed nor returned for a folder with other images."""
    other = tmp_path / "other"
    other.mkdir()
    for path in tiny_idx.iterdir():
        array = read_idx(path)
        if array.ndim == 3:
            array[0, 0, 0] ^= 1
        write_idx(other / path.name, array)
    with pytest.raises(UsageError, match="started with different data"):
        oz.train(recipe, data_dir=other, out=run.folder.parent, device="cpu", resume=True)
    with pytest.raises(UsageError, match="mutually exclusive"):
        oz.train(
            recipe,
            data_dir=tiny_idx,
            out=run.folder.parent,
            device="cpu",
            resume=True,
            overwrite=True,
        )


def test_a_model_ruined_by_the_last_step_is_no_model(tiny_idx: Path, tmp_path: Path) -> None:
    """The loss of a batch is taken before its step: validation finds what that step broke."""
    wild = oz.Recipe.load(
        "authors-cnn",
        {
            "data.track": "idx",
            "optimizer.lr": 100.0,
            "optimizer.weight_decay": 1.0,
            "budget.epochs": 1,
            "budget.batch_size": 48,
        },
    )
    with pytest.raises(DivergedError, match="validation loss"):
        oz.train(wild, data_dir=tiny_idx, out=tmp_path, device="cpu")


def test_the_test_of_an_unfinished_run_is_refused(
    recipe: oz.Recipe, tiny_idx: Path, tmp_path: Path
) -> None:
    """No look at the test split for a model that is still being trained."""
    calls = iter(range(10**6))
    with pytest.raises(InterruptedRunError):
        oz.train(
            recipe,
            data_dir=tiny_idx,
            out=tmp_path / "runs",
            device="cpu",
            should_stop=lambda: next(calls) == 20,
        )
    (folder,) = (tmp_path / "runs").iterdir()
    with pytest.raises(UsageError, match="interrupted, not done"):
        evaluate(folder, split="test", data_dir=tiny_idx, results=tmp_path, device="cpu")
    assert not (tmp_path / "ledger.jsonl").exists()
