"""Reference features of in-distribution images, for drift detection.

A reference is a single safetensors file, so that a deployed model can be monitored without its
data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from oraclezoo.analysis.features import Features, features
from oraclezoo.artifacts.model import Model
from oraclezoo.contracts import Dataset
from oraclezoo.documents import parse_json, read_file
from oraclezoo.errors import ResultError, command_line
from oraclezoo.storage import write_atomically

SCHEMA = "oraclezoo/reference/1"
MAX_SAMPLE = 1000
"""Maximum sample size; larger sets are subsampled with a fixed seed."""
MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Reference:
    """Features of a split, with the model's :func:`fingerprint` and the origin of the images."""

    features: Features
    model: str
    track: str
    split: str

    @classmethod
    def of(cls, model: Model, dataset: Dataset, track: str, split: str) -> Reference:
        """Compute the features of up to ``MAX_SAMPLE`` images of a split."""
        images = dataset.split(split).images
        rows = sample_indices(len(images))
        return cls(features(model, np.asarray(images[rows])), fingerprint(model), track, split)

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file atomically and return its path."""
        about = {"schema": SCHEMA, "model": self.model, "track": self.track, "split": self.split}
        arrays: dict[str, npt.NDArray[Any]] = {
            "vectors": self.features.vectors,
            "labels": self.features.labels,
        }
        content = save(arrays, metadata={"oraclezoo": json.dumps(about)})
        return write_atomically(Path(path), content)

    @classmethod
    def load(cls, path: str | Path, model: Model) -> Reference:
        """Load a file written by :meth:`save`.

        Raises ResultError if the file cannot be read or belongs to a model with different weights.
        """
        place = Path(path)
        try:
            arrays = load(read_file(place, MAX_FILE_BYTES))
            with safe_open(place, framework="numpy") as file:
                about = parse_json((file.metadata() or {})["oraclezoo"])
            vectors, labels = arrays["vectors"], arrays["labels"]
            classes = len(model.classes)
            if about["schema"] != SCHEMA or vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
                raise ValueError("vectors and labels do not match")
            if vectors.dtype != np.float32 or not np.isfinite(vectors).all():
                raise ValueError("its features are not finite float32 values")
            if labels.dtype != np.int64 or ((labels < 0) | (labels >= classes)).any():
                raise ValueError(f"its labels are not in 0 .. {classes - 1}")
            loaded = cls(Features(vectors, labels), *(str(about[k]) for k in _WORDS))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ResultError(f"{place}: not a reference file ({error})") from error
        if loaded.model != fingerprint(model):
            raise ResultError(
                f"{place} belongs to different weights; recreate it with "
                f"{command_line('oraclezoo', 'drift', 'MODEL', '--save-reference', place)}"
            )
        return loaded


_WORDS = ("model", "track", "split")


def sample_indices(number: int) -> npt.NDArray[np.int64]:
    """Return the sorted indices of the images to use: all, or a fixed sample of ``MAX_SAMPLE``."""
    if number <= MAX_SAMPLE:
        return np.arange(number)
    return np.sort(np.random.default_rng(0).permutation(number)[:MAX_SAMPLE])


def fingerprint(model: Model) -> str:
    """Return the SHA-256 (hex) of a model's weights and their names."""
    state = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        state.update(name.encode() + b"\0" + tensor.cpu().contiguous().numpy().tobytes())
    return state.hexdigest()
