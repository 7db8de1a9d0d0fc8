"""Predictor: a deployed model that reads images by ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.contracts import Images
from oraclezoo.errors import ResultError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import as_batch
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.serving.prediction import Prediction

MAX_BYTES = 1 << 30
"""Largest ONNX file that is read: 1 GiB."""


class Predictor:
    """The ONNX file of a model folder; torch is never imported.

    The file is held against the digest in the card before anything of it is used. ``threads`` is
    how many ONNX Runtime may use, 0 as many as there are cores. Raises ResultError for a folder
    that is no model's, has no ONNX file, or is damaged.
    """

    def __init__(self, folder: str | Path, *, threads: int = 0) -> None:
        self.folder = Path(folder)
        self.card = card = Card.read(self.folder)
        path = self.folder / card.file
        self._net = OnnxClassifier(
            _verified(path, card.sha256),
            image_size=card.image_size,
            classes=len(card.classes),
            mean=card.mean,
            std=card.std,
            threads=threads,
            where=str(path),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """What each class means."""
        return self.card.classes

    @property
    def glyphs(self) -> tuple[str, ...]:
        """The modern form of each class's character, or ""."""
        return self.card.glyphs

    def predict(self, images: Any, *, polarity: Polarity = "auto") -> Prediction:
        """Labels and probabilities, calibrated where the model's card says so.

        ``images`` is uint8 ``(N, S, S)`` of the model's size, taken as prepared (bright strokes on
        black), or a picture, or an iterable of pictures of any size, colour and ``polarity``:
        files, the bytes of one, images of Pillow's, uint8 ``(H, W)`` or ``(H, W, 3 or 4)``.
        Raises DataError for a picture that cannot be read, UsageError for what is none.
        """
        found = self.probabilities(
            as_batch(images, self.card.image_size, polarity, self.card.jpeg_smoothing)
        )
        return Prediction(found.argmax(1).astype(np.int64), found)

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Of prepared images uint8 ``(N, S, S)``, float32 ``(N, C)``.

        Raises ResultError if what the model gives are none.
        """
        found = self._net.probabilities(images)
        shape = (len(images), len(self.classes))
        if found.shape != shape or not (abs(found.sum(1) - 1) <= 1e-3).all() or (found < 0).any():
            raise ResultError(f"{self.folder}: what the model gives are no probabilities")
        return found


def _verified(path: Path, sha256: str) -> bytes:
    """The file's bytes, if they are those. Raises ResultError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ResultError(
            f"{path.parent}: {path.name}, which its card names, is missing"
        ) from error
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_BYTES:
        raise ResultError(f"{path}: more than {MAX_BYTES >> 30} GiB are not read")
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise ResultError(
            f"{path}: its sha256 is {actual[:16]}…, not {sha256[:16]}… as its card says: it is "
            "damaged, or another model's\nExport or fetch the model again."
        )
    return data
