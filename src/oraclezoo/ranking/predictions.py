"""Stored predictions of a result: float16 probabilities, verified on reading.

The protocol defines accuracy in terms of these probabilities: the prediction is the class with the
largest stored float16 probability, or the first such class in case of ties.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from oraclezoo.documents import read_file
from oraclezoo.errors import ResultError
from oraclezoo.result import PredictionsFile, Result
from oraclezoo.storage import write_atomically

_OVERHEAD_BYTES = 2**16


@dataclass(frozen=True, eq=False)
class Predictions:
    """``probabilities`` float16 ``(seeds, images, classes)`` and ``labels`` int64 ``(images,)``."""

    probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is correct, bool ``(seeds, images)``."""
        return _correct(self.probabilities, self.labels)


def accuracy_of(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return accuracy in [0, 1] as the protocol defines it, from probabilities rounded to float16.

    Args:
        probabilities: ``(images, classes)``.
        labels: Integers ``(images,)``.

    >>> accuracy_of([[0.9, 0.1], [0.4, 0.6]], [0, 0])
    0.5
    """
    return float(_correct(np.asarray(probabilities), np.asarray(labels)).mean())


def losses(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mean negative log-likelihood in nats over images.

    Args:
        probabilities: ``(..., images, classes)``; rounded to float16, with 0 clipped to 1e-7.
        labels: Integers ``(images,)``.

    Returns:
        Float64 array of the leading shape, e.g. one value per seed.
    """
    stored, truth = np.asarray(probabilities, dtype=np.float16), np.asarray(labels)
    indices = np.broadcast_to(truth[:, None], (*stored.shape[:-1], 1))
    likelihood = np.take_along_axis(stored, indices, axis=-1)[..., 0].astype(np.float64)
    loss: npt.NDArray[np.float64] = -np.log(np.maximum(likelihood, 1e-7)).mean(axis=-1)
    return loss


def save_predictions(path: Path, probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> str:
    """Write predictions atomically to a safetensors file.

    Args:
        path: Path of the file.
        probabilities: Float ``(seeds, images, classes)``; stored as float16.
        labels: Integers ``(images,)``.

    Returns:
        The SHA-256 (hex) of the file.

    Raises:
        ResultError: The arrays are not valid predictions.
    """
    stored = np.ascontiguousarray(probabilities, dtype=np.float16)
    truth = np.ascontiguousarray(labels)
    fault = _fault(stored, truth)
    if fault:
        raise ResultError(f"predictions {path}: {fault}")
    narrow = truth.astype(np.uint8 if stored.shape[2] <= 256 else np.int64)
    content = safetensors.save({"probabilities": stored, "labels": narrow})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load_predictions(result: Result, folder: Path) -> Predictions:
    """Load and verify the predictions of a result.

    Verifies the hash before parsing the file, then checks the shapes, that each row is a
    probability distribution, and that the predictions reproduce the stated accuracy of each seed.

    Args:
        result: The result.
        folder: Folder that contains the result file.

    Raises:
        ResultError: The result has no predictions, or a check fails.
    """
    record = result.predictions
    if record is None:
        raise ResultError(f"result {result.id} has no predictions: all seeds failed")
    path = folder / record.file
    arrays = _parse(path, _read(path, record, len(result.seeds)))
    probabilities, labels = arrays["probabilities"], arrays["labels"]
    fault = _fault(probabilities, labels)
    shape = (len(result.seeds), record.images, record.classes)
    if not fault and probabilities.shape != shape:
        fault = f"probabilities have shape {probabilities.shape}, expected {shape}"
    if fault:
        raise ResultError(f"predictions {path}: {fault}")
    loaded = Predictions(probabilities, labels.astype(np.int64))
    for score, accuracy in zip(result.seeds, loaded.correct.mean(axis=1), strict=True):
        if abs(score.accuracy - accuracy) > 1e-9:
            raise ResultError(
                f"predictions {path}: seed {score.seed}: reported accuracy {score.accuracy:.6f}, "
                f"its predictions give {accuracy:.6f}"
            )
    return loaded


def _correct(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    right: npt.NDArray[np.bool_] = (
        np.asarray(probabilities, dtype=np.float16).argmax(axis=-1) == labels
    )
    return right


def _read(path: Path, record: PredictionsFile, seeds: int) -> bytes:
    """Return the contents of the file after checking its size and hash."""
    max_bytes = seeds * record.images * record.classes * 2 + record.images * 8 + _OVERHEAD_BYTES
    try:
        content = read_file(path, max_bytes)
    except OSError as error:
        raise ResultError(f"predictions {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultError(f"predictions {path}: larger than the result allows") from error
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise ResultError(f"predictions {path}: SHA-256 differs from the one in its result")
    return content


def _parse(path: Path, content: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays: dict[str, npt.NDArray[Any]] = safetensors.load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"predictions {path}: not a safetensors file ({error})") from error
    if set(arrays) != {"probabilities", "labels"}:
        raise ResultError(f"predictions {path}: must contain exactly 'probabilities' and 'labels'")
    return arrays


def _fault(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> str:
    """Return the reason why the arrays are not valid predictions; empty if they are valid."""
    if probabilities.dtype != np.float16 or probabilities.ndim != 3 or 0 in probabilities.shape:
        return "probabilities must be float16 of shape (seeds, images, classes)"
    classes = probabilities.shape[2]
    if labels.dtype.kind not in "iu" or labels.shape != probabilities.shape[1:2]:
        return "labels must be integers, one per image"
    if labels.min() < 0 or labels.max() >= classes:
        return f"a label lies outside 0..{classes - 1}"
    if not np.isfinite(probabilities).all() or probabilities.min() < 0:
        return "a probability is negative or not finite"
    rounding = 1e-3 + classes * 2.0**-25  # float16: relative for large, absolute for tiny
    if np.abs(probabilities.sum(axis=2, dtype=np.float64) - 1).max() > rounding:
        return "the probabilities of an image do not sum to 1"
    return ""
