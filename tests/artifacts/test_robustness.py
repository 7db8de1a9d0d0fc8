"""Accuracy on corrupted test images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import oraclezoo as oz
from helpers.cards import small_card
from oraclezoo.artifacts import robustness
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.robustness import is_current, measure_robustness
from oraclezoo.benching.entry import robustness_section
from oraclezoo.data.corrupt import CORRUPTIONS, VERSION, corrupt
from oraclezoo.data.dataset import ArrayDataset, ArraySplit
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import UsageError
from oraclezoo.ranking.predictions import accuracy_of

IMAGES = np.random.default_rng(0).integers(0, 255, (23, 12, 12), np.uint8)
LABELS = np.arange(23) % 3


@pytest.fixture
def model() -> Model:
    """An untrained net for images of 12 x 12 and three classes."""
    torch.manual_seed(0)
    card = small_card(12, mean=0.5, std=0.3)
    return Model(nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), card)


@pytest.fixture
def dataset() -> ArrayDataset:
    """A data set of which only the test part may be touched."""

    def forbidden() -> ArraySplit:
        raise AssertionError("only test images are corrupted")

    return ArrayDataset(
        classes=("a", "b", "c"),
        glyphs=("", "", ""),
        flip_keeps_label=False,
        synthetic=True,
        sha256={},
        readers={
            "train": forbidden,
            "validation": forbidden,
            "test": lambda: ArraySplit(IMAGES, LABELS),
        },
    )


def test_each_corruption_is_scored_at_each_severity(model: Model, dataset: ArrayDataset) -> None:
    """As the model reads what ``corrupt`` gives, with seed 0, and the protocol counts."""
    actual = measure_robustness(model, dataset, "cpu")
    assert (actual.version, actual.seed) == (VERSION, 0)
    assert list(actual.accuracy) == list(CORRUPTIONS)
    corrupted = corrupt(IMAGES, "speckle", 4, 0)
    due = accuracy_of(model.predict(corrupted).probabilities, LABELS)
    assert actual.accuracy["speckle"][3] == pytest.approx(due)
    assert is_current(actual)


def test_the_number_of_images_at_a_time_changes_nothing(
    model: Model, dataset: ArrayDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven at a time, the last ones fewer, come to the same figures."""
    whole = measure_robustness(model, dataset, "cpu").accuracy
    monkeypatch.setattr(robustness, "CHUNK_SIZE", 7)
    parts = measure_robustness(model, dataset, "cpu").accuracy
    assert all(parts[name] == pytest.approx(whole[name]) for name in whole)


def test_a_result_has_it_only_if_each_seed_does(model: Model, dataset: ArrayDataset) -> None:
    """And of the corruptions that there are now."""
    kept = measure_robustness(model, dataset, "cpu")
    actual = robustness_section([kept, kept])
    assert actual is not None
    assert actual["corruptions"][0] == {
        "name": next(iter(CORRUPTIONS)),
        "accuracy": [list(kept.accuracy[next(iter(CORRUPTIONS))])] * 2,
    }
    assert robustness_section([kept, None]) is None
    assert robustness_section([]) is None
    assert robustness_section([replace(kept, version="0")]) is None


def test_images_too_small_are_refused_before_any_training(tmp_path: Path) -> None:
    """Corruptions take eight pixels a side; the benchmark says so first."""
    data = tmp_path / "data"
    data.mkdir()
    for name, count in (("train", 40), ("t10k", 8)):
        write_idx(data / f"{name}-images-idx3-ubyte", np.ones((count, 6, 6), np.uint8))
        write_idx(data / f"{name}-labels-idx1-ubyte", (np.arange(count) % 2).astype(np.uint8))
    with pytest.raises(UsageError, match="at least 8 x 8 pixels, these have 6 x 6"):
        oz.bench(
            ["authors-cnn"],
            track="idx",
            data_dir=data,
            seeds=1,
            device="cpu",
            out=tmp_path / "results",
            runs=tmp_path / "runs",
            robust=True,
        )
    assert not (tmp_path / "runs").exists()
