"""Stored predictions: writing, reading, and rejection of invalid files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from oraclezoo.errors import ResultError
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.predictions import accuracy_of, load_predictions, save_predictions
from oraclezoo.result import PredictionsFile, Result

MakeEntry = Callable[..., Entry]


@pytest.fixture
def entry(make_entry: MakeEntry) -> Entry:
    """Three seeds, forty images, four classes."""
    return make_entry("default", np.random.default_rng(0).random((3, 40)) < 0.8)


def rewrite(entry: Entry, arrays: dict[str, Any], **stated: Any) -> tuple[Result, Path]:
    """The entry with another predictions file, rightly hashed, and what else it states."""
    assert entry.result.path is not None
    assert entry.result.predictions is not None
    folder = entry.result.path.parent
    content = save(arrays)
    (folder / "other.safetensors").write_bytes(content)
    actual = PredictionsFile("other.safetensors", hashlib.sha256(content).hexdigest(), 40, 4)
    return dataclasses.replace(
        entry.result, predictions=dataclasses.replace(actual, **stated)
    ), folder


def arrays_of(entry: Entry) -> dict[str, Any]:
    """Copies of what the file of an entry holds."""
    assert entry.predictions is not None
    return {
        "probabilities": entry.predictions.probabilities.copy(),
        "labels": entry.predictions.labels.astype(np.uint8),
    }


def test_saved_is_loaded(tmp_path: Path, entry: Entry) -> None:
    """Probabilities come back as float16, labels as int64, right answers as they were."""
    assert entry.predictions is not None
    assert entry.predictions.probabilities.dtype == np.float16
    assert entry.predictions.labels.dtype == np.int64
    assert np.array_equal(entry.predictions.correct, np.random.default_rng(0).random((3, 40)) < 0.8)
    assert [s.accuracy for s in entry.result.seeds] == entry.predictions.correct.mean(1).tolist()


def test_same_predictions_same_bytes(tmp_path: Path, entry: Entry) -> None:
    """The hash depends on the predictions alone, and is that of the file."""
    arrays = arrays_of(entry)
    first = save_predictions(tmp_path / "a", **arrays)
    second = save_predictions(tmp_path / "b", **arrays)
    assert first == second == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()


def test_accuracy_is_that_of_what_is_kept() -> None:
    """Probabilities that float16 makes equal are equal: the first of them is the answer."""
    close = np.array([[0.3, 0.35, 0.35 + 1e-6], [0.3, 0.35, 0.35 + 1e-6]])
    assert close.argmax(1).tolist() == [2, 2]
    assert accuracy_of(close, [2, 1]) == 0.5
    assert accuracy_of(close.astype(np.float16), [2, 1]) == 0.5


def test_a_changed_byte_is_found_before_parsing(entry: Entry) -> None:
    """One flipped bit anywhere in the file, header or data, fails the hash."""
    assert entry.result.path is not None
    assert entry.result.predictions is not None
    path = entry.result.path.parent / entry.result.predictions.file
    whole = path.read_bytes()
    for position in (0, 10, len(whole) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ResultError, match="SHA-256 differs"):
            load_predictions(entry.result, path.parent)
    path.write_bytes(whole[:-1])
    with pytest.raises(ResultError, match="SHA-256 differs"):
        load_predictions(entry.result, path.parent)
    path.write_bytes(whole + b"\0" * 2**20)
    with pytest.raises(ResultError, match="larger"):
        load_predictions(entry.result, path.parent)
    path.unlink()
    with pytest.raises(ResultError, match=r"\.safetensors: No such file"):
        load_predictions(entry.result, path.parent)


def _swap(arrays: dict[str, Any]) -> None:
    arrays["probabilities"] = arrays["probabilities"][:, :, ::-1].copy()


def _one_image_less(arrays: dict[str, Any]) -> None:
    arrays["probabilities"] = arrays["probabilities"][:, 1:].copy()
    arrays["labels"] = arrays["labels"][1:].copy()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_swap, "reported accuracy"),
        (_one_image_less, "shape"),
        (lambda a: a.update(probabilities=a["probabilities"][:2].copy()), "shape"),
        (lambda a: a.update(probabilities=a["probabilities"].astype(np.float32)), "float16"),
        (lambda a: a.update(probabilities=a["probabilities"][0].copy()), "float16 of shape"),
        (lambda a: a["probabilities"].__setitem__((0, 0, 0), np.nan), "not finite"),
        (lambda a: a["probabilities"].__setitem__((0, 0, 0), -0.1), "negative"),
        (lambda a: a["probabilities"].__setitem__((0, 0, 0), 0.9), "sum to 1"),
        (lambda a: a["labels"].__setitem__(0, 4), "label lies outside"),
        (lambda a: a.update(labels=a["labels"].astype(np.float32)), "integers"),
        (lambda a: a.update(labels=a["labels"][:-1].copy()), "one per image"),
        (lambda a: a.update(extra=a["labels"]), "exactly"),
        (lambda a: a.pop("labels"), "exactly"),
    ],
)
def test_what_does_not_fit_is_refused(
    entry: Entry, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Shapes, values and accuracies are checked even if the hash matches."""
    arrays = arrays_of(entry)
    change(arrays)
    result, folder = rewrite(entry, arrays)
    with pytest.raises(ResultError, match=message) as caught:
        load_predictions(result, folder)
    assert "\n" not in str(caught.value)


def test_seeds_are_checked_one_by_one(entry: Entry) -> None:
    """Seeds in another order than stated have other accuracies: refused, and the seed is named."""
    arrays = arrays_of(entry)
    arrays["probabilities"] = np.roll(arrays["probabilities"], 1, axis=0)
    result, folder = rewrite(entry, arrays)
    with pytest.raises(ResultError, match="seed 0: reported accuracy"):
        load_predictions(result, folder)


def test_not_safetensors_is_refused(entry: Entry) -> None:
    """A file of another format with the stated hash gets its own error."""
    assert entry.result.path is not None
    content = b"PK\x03\x04 not tensors"
    folder = entry.result.path.parent
    (folder / "odd.safetensors").write_bytes(content)
    stated = PredictionsFile("odd.safetensors", hashlib.sha256(content).hexdigest(), 40, 4)
    with pytest.raises(ResultError, match="not a safetensors file"):
        load_predictions(dataclasses.replace(entry.result, predictions=stated), folder)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.full((1, 3, 2), 0.4), [0, 1, 0]),
        (np.full((1, 3, 2), np.nan), [0, 1, 0]),
        (np.full((1, 3, 2), 0.5), [0, 1, 2]),
        (np.full((1, 3, 2), 0.5), [0, 1]),
        (np.full((3, 2), 0.5), [0, 1, 0]),
        (np.zeros((0, 3, 2)), [0, 1, 0]),
    ],
)
def test_nothing_wrong_is_written(tmp_path: Path, probabilities: Any, labels: list[int]) -> None:
    """What loading would refuse is not saved."""
    with pytest.raises(ResultError):
        save_predictions(tmp_path / "p.safetensors", probabilities, labels)
    assert list(tmp_path.iterdir()) == []


def test_many_classes_keep_their_labels(tmp_path: Path) -> None:
    """Beyond 256 classes labels are kept in full, and rounding of tiny probabilities is allowed."""
    probabilities = np.full((1, 4, 3000), 1 / 3000)
    assert save_predictions(tmp_path / "p.safetensors", probabilities, [0, 300, 2999, 5])
