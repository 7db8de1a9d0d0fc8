"""Teachers: trained first, counted, resumed, and gone when the student is done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import oraclezoo as oz
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.errors import InterruptedRunError
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.teachers import FOLDER

SETTINGS: dict[str, object] = {
    "data.track": "idx",
    "budget.epochs": 2,
    "budget.batch_size": 20,
    "distill.teachers": 2,
}


def weights(run: oz.Run) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_state(run.folder / "last.safetensors")["model"]
    return tensors


def test_teachers_count_and_change_the_student(tiny_idx: Path, tmp_path: Path) -> None:
    """Examples, steps and seconds are those of all; the teachers' runs do not stay."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    run = oz.train(recipe, data_dir=tiny_idx, out=tmp_path)
    taught, outcome = run.record.taught, run.outcome
    assert taught.teachers == len(taught.validation_accuracy) == 2
    alone = outcome.examples - taught.examples
    assert taught.examples == 2 * alone
    assert outcome.steps == 3 * taught.steps // 2
    assert outcome.train_s > taught.train_s > 0
    assert not (run.folder / FOLDER).exists()
    plain = oz.train(recipe.override({"distill.teachers": 0}), data_dir=tiny_idx, out=tmp_path)
    assert plain.record.taught is None
    assert any(not torch.equal(a, weights(plain)[key]) for key, a in weights(run).items())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_stopped_anywhere_the_student_ends_bit_equal(
    tiny_idx: Path, tmp_path: Path, share: float
) -> None:
    """In the first teacher, the second, or the student itself."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    whole = oz.train(recipe, data_dir=tiny_idx, out=tmp_path / "whole")
    after = int(share * whole.outcome.steps)
    calls = 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == after

    with pytest.raises(InterruptedRunError):
        oz.train(recipe, data_dir=tiny_idx, out=tmp_path / "two", should_stop=should_stop)
    resumed = oz.train(recipe, data_dir=tiny_idx, out=tmp_path / "two", resume=True)
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[key]), key
    assert resumed.outcome.examples == whole.outcome.examples


def test_teachers_are_built_by_the_registry_that_was_given(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may know components that the installation does not."""

    def refuse() -> oz.Registry:
        raise AssertionError("another registry was asked for")

    registry = oz.registry()
    monkeypatch.setattr("oraclezoo.artifacts.run.build_registry", refuse)
    recipe = oz.Recipe.load("authors-cnn", {**SETTINGS, "budget.epochs": 1, "distill.teachers": 1})
    run = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, registry=registry)
    assert run.record.taught.teachers == 1


def test_the_hash_tells_of_teachers_only_where_there_are_some() -> None:
    """Recipes published before there were teachers keep their hashes."""
    plain = resolve(oz.Recipe.load("authors-cnn"), oz.registry())
    assert "distill" not in plain.canonical()
    taught = resolve(oz.Recipe.load("authors-cnn", {"distill.teachers": 3}), oz.registry())
    assert taught.canonical()["distill"] == {"teachers": 3}
    assert taught.hash != plain.hash
