"""Pre-training: on another track, counted, resumed, and left out of nothing that is published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import oraclezoo as oz
from oraclezoo.data.glyphs.folder import write_folder
from oraclezoo.data.glyphs.forms import oracle
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.errors import InterruptedRunError, UsageError
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.pretrain import FOLDER

FEW = {"train": 20, "validation": 5, "test": 5}
SETTINGS: dict[str, object] = {
    "data.track": "idx",
    "budget.epochs": 2,
    "budget.batch_size": 50,
    "pretrain.track": "glyphs-3k",
    "pretrain.epochs": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "ten"
    write_folder(out, oracle(), FEW, 0, flip_keeps_label=True)
    return out


def weights(run: oz.Run) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_state(run.folder / "last.safetensors")["model"]
    return tensors


def test_it_counts_and_changes_where_training_starts(data: Path, tmp_path: Path) -> None:
    """Examples, steps and seconds of both parts; other weights than without; no folder stays."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    run = oz.train(recipe, data_dir=data, out=tmp_path)
    before, outcome = run.record.pretrained, run.outcome
    assert before.track == "oraclezoo:glyphs-3k"
    assert before.examples == 1800
    assert "generated" in before.data_sha256
    assert outcome.examples == 1800 + 2 * 200
    assert outcome.steps == 36 + 2 * 4
    assert outcome.train_s > before.train_s > 0
    assert not (run.folder / FOLDER).exists()
    plain = oz.train(
        oz.Recipe.load("authors-cnn", {**SETTINGS, "pretrain.epochs": 0}),
        data_dir=data,
        out=tmp_path,
    )
    assert plain.record.pretrained is None
    assert plain.outcome.examples == 400
    assert any(not torch.equal(a, weights(plain)[key]) for key, a in weights(run).items())


@pytest.mark.parametrize("after", [3, 20, 38])
def test_stopped_anywhere_it_ends_bit_equal(data: Path, tmp_path: Path, after: int) -> None:
    """In the pre-training or in the training: the resumed run has the weights of an unstopped."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    whole = oz.train(recipe, data_dir=data, out=tmp_path / "whole")
    calls = 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == after

    with pytest.raises(InterruptedRunError):
        oz.train(recipe, data_dir=data, out=tmp_path / "two", should_stop=should_stop)
    resumed = oz.train(recipe, data_dir=data, out=tmp_path / "two", resume=True)
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[key]), key
    assert resumed.record.pretrained.examples == 1800
    assert resumed.outcome.examples == 2200


def test_other_classes_are_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """The head must fit both tracks, and so must the images' size."""
    recipe = oz.Recipe.load("authors-cnn", {**SETTINGS, "budget.batch_size": 20})
    with pytest.raises(UsageError, match="needs 4 classes of 16 pixels"):
        oz.train(recipe, data_dir=tiny_idx, out=tmp_path)


def test_the_hash_tells_of_it_only_where_it_is() -> None:
    """Recipes published before there was pre-training keep their hashes."""
    recipe = oz.Recipe.load("authors-cnn", {"data.track": "oracle-mnist-3k"})
    plain = resolve(recipe, oz.registry())
    assert plain.hash12 == "8ccef09c650f"
    assert "pretrain" not in plain.canonical()
    first = resolve(recipe.override({"pretrain.epochs": 2}), oz.registry())
    assert first.canonical()["pretrain"]["epochs"] == 2
    assert first.hash != plain.hash
    other = recipe.override({"pretrain.epochs": 2, "pretrain.track": "glyphs-3k"})
    assert resolve(other, oz.registry()).hash != first.hash
