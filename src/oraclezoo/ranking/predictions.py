"""Predictions: the probabilities a result rests on, kept beside it and checked when read.

The protocol's accuracy is taken from what is kept: an image counts as right when its label is the
first largest of its stored float16 probabilities.
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

from oraclezoo.errors import ResultError
from oraclezoo.result import PredictionsFile, Result, write_atomically

_OVERHEAD_BYTES = 2**16


@dataclass(frozen=True, eq=False)
class Predictions:
    """``probabilities`` float16 ``(seeds, images, classes)`` and ``labels`` int64 ``(images,)``."""

    probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each image was classified rightly at each seed: bool ``(seeds, images)``."""
        return _correct(self.probabilities, self.labels)


def accuracy_of(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The protocol's accuracy, in [0, 1], of probabilities ``(images, classes)`` and labels.

    Probabilities are rounded to float16 first; the first of equal ones counts.
    """
    return float(_correct(np.asarray(probabilities), np.asarray(labels)).mean())


def losses(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mean negative log-likelihood, nats, of ``(..., images, classes)``: one number a seed.

    From probabilities as they are stored: a float16 zero counts as 1e-7.
    """
    kept, truth = np.asarray(probabilities, dtype=np.float16), np.asarray(labels)
    picked = np.broadcast_to(truth[:, None], (*kept.shape[:-1], 1))
    likelihood = np.take_along_axis(kept, picked, axis=-1)[..., 0].astype(np.float64)
    found: npt.NDArray[np.float64] = -np.log(np.maximum(likelihood, 1e-7)).mean(axis=-1)
    return found


def save_predictions(path: Path, probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> str:
    """Write predictions atomically; returns the SHA-256 (hex) of the file.

    ``probabilities`` is ``(seeds, images, classes)`` of any float type, ``labels`` integers
    ``(images,)``. Raises ResultError if they cannot be predictions.
    """
    kept = np.ascontiguousarray(probabilities, dtype=np.float16)
    truth = np.ascontiguousarray(labels)
    fault = _fault(kept, truth)
    if fault:
        raise ResultError(f"predictions {path}: {fault}")
    narrow = truth.astype(np.uint8 if kept.shape[2] <= 256 else np.int64)
    content = safetensors.save({"probabilities": kept, "labels": narrow})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load_predictions(result: Result, folder: Path) -> Predictions:
    """The predictions of a result from the folder that its document lies in.

    The file's hash is checked before it is parsed; then its shapes, that its rows are
    probabilities, and that they give each seed's stated accuracy. Raises ResultError.
    """
    stated = result.predictions
    if stated is None:
        raise ResultError(f"result {result.id} has no predictions: none of its seeds succeeded")
    path = folder / stated.file
    arrays = _parse(path, _read(path, stated, len(result.seeds)))
    probabilities, labels = arrays["probabilities"], arrays["labels"]
    fault = _fault(probabilities, labels)
    shape = (len(result.seeds), stated.images, stated.classes)
    if not fault and probabilities.shape != shape:
        fault = f"probabilities have shape {probabilities.shape}; {result.id} states {shape}"
    if fault:
        raise ResultError(f"predictions {path}: {fault}")
    loaded = Predictions(probabilities, labels.astype(np.int64))
    for score, found in zip(result.seeds, loaded.correct.mean(axis=1), strict=True):
        if abs(score.accuracy - found) > 1e-9:
            raise ResultError(
                f"predictions {path}: seed {score.seed} states accuracy {score.accuracy:.6f}, "
                f"its predictions give {found:.6f}"
            )
    return loaded


def _correct(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    right: npt.NDArray[np.bool_] = (
        np.asarray(probabilities, dtype=np.float16).argmax(axis=-1) == labels
    )
    return right


def _read(path: Path, stated: PredictionsFile, seeds: int) -> bytes:
    """The file's bytes, once their number and hash are as stated."""
    most = seeds * stated.images * stated.classes * 2 + stated.images * 8 + _OVERHEAD_BYTES
    try:
        if path.stat().st_size > most:
            raise ResultError(f"predictions {path}: larger than its result says it can be")
        content = path.read_bytes()
    except OSError as error:
        raise ResultError(f"predictions {path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != stated.sha256:
        raise ResultError(f"predictions {path}: not the file its result was made with (sha256)")
    return content


def _parse(path: Path, content: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays: dict[str, npt.NDArray[Any]] = safetensors.load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"predictions {path}: not a safetensors file ({error})") from error
    if set(arrays) != {"probabilities", "labels"}:
        raise ResultError(f"predictions {path}: must hold 'probabilities' and 'labels' alone")
    return arrays


def _fault(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> str:
    """What keeps the arrays from being predictions, or nothing."""
    if probabilities.dtype != np.float16 or probabilities.ndim != 3 or 0 in probabilities.shape:
        return "probabilities must be float16 of shape (seeds, images, classes)"
    classes = probabilities.shape[2]
    if labels.dtype.kind not in "iu" or labels.shape != probabilities.shape[1:2]:
        return "labels must be integers, one an image"
    if labels.min() < 0 or labels.max() >= classes:
        return f"a label lies outside 0..{classes - 1}"
    if not np.isfinite(probabilities).all() or probabilities.min() < 0:
        return "a probability is negative or not finite"
    rounding = 1e-3 + classes * 2.0**-25  # of float16, of large and of tiny probabilities
    if np.abs(probabilities.sum(axis=2, dtype=np.float64) - 1).max() > rounding:
        return "the probabilities of an image do not sum to 1"
    return ""
