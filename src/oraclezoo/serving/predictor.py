"""A deployed model that runs in ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.contracts import Images
from oraclezoo.documents import read_file
from oraclezoo.errors import ResultError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import Picture, as_batch, prepare_several
from oraclezoo.imaging.several import Order
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.serving.prediction import Outputs, Prediction
from oraclezoo.storage import current

MAX_BYTES = 1 << 30
"""Size limit of an ONNX file: 1 GiB."""


class Predictor:
    """Runs the ONNX file of a model folder without PyTorch.

    The file must match the SHA-256 in the model card.

    Args:
        folder: A model folder with an ONNX file.
        threads: Number of ONNX Runtime threads; 0 for one per core.

    Raises:
        ResultError: The folder is not a model folder, has no ONNX file or is corrupt.
    """

    def __init__(self, folder: str | Path, *, threads: int = 0) -> None:
        self.folder = Path(folder)
        self.card = card = Card.load_served(self.folder)
        assert card.onnx is not None
        path = current(self.folder, card.onnx.file)
        self._net = OnnxClassifier(
            _verified(path, card.onnx.sha256),
            image_size=card.input.image_size,
            classes=len(card.classes),
            mean=card.preprocessing.mean,
            std=card.preprocessing.std,
            threads=threads,
            where=str(path),
        )
        if card.unknown is not None and not self._net.detects:
            raise ResultError(f"{path}: the card has a detector (unknown), but the graph has none")

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the name of each class."""
        return self.card.classes

    @property
    def glyphs(self) -> tuple[str, ...]:
        """Return the modern character of each class, or "" if it has none."""
        return self.card.glyphs

    def predict(self, images: Any, *, polarity: Polarity = "auto") -> Prediction:
        """Classify images; the probabilities are calibrated if the model card has ``calibration``.

        If the card has ``unknown``, the prediction also says which images show none of the model's
        characters.

        Args:
            images: uint8 ``(N, S, S)`` of the model's input size counts as preprocessed (light
                strokes on black). Otherwise a picture or an iterable of pictures: file names, the
                bytes of files, Pillow images, uint8 ``(H, W)`` or ``(H, W, 3 or 4)``.
            polarity: ``auto`` detects the polarity of each picture.

        Returns:
            Labels int64 ``(N,)``, probabilities float32 ``(N, C)``, and ``unknown`` bool ``(N,)``.

        Raises:
            DataError: A picture cannot be read.
            UsageError: ``images`` is not an accepted input.
        """
        size, steps = self.card.input.image_size, self.card.preprocessing
        batch = as_batch(images, size, polarity, steps.smoothing)
        return Prediction.of(self.outputs(batch), self.threshold)

    def predict_several(
        self, picture: Picture, *, order: Order = "columns", polarity: Polarity = "auto"
    ) -> tuple[Prediction, list[Box]]:
        """Classify each separate character of a picture, e.g. of an inscription.

        Args:
            picture: A file name, the bytes of a file, a Pillow image or uint8 ``(H, W)`` or ``(H,
                W, 3 or 4)``.
            order: ``columns``, from right to left and each from top to bottom, or ``rows``, from
                top to bottom and each from left to right.
            polarity: As for :meth:`predict`.

        Returns:
            The prediction for the N characters in reading order, and their boxes in pixels of the
            upright picture.

        Raises:
            DataError: The picture cannot be read.
            UsageError: ``picture`` is not an accepted input, or the order is unknown.

        Example:
            >>> prediction, boxes = predictor.predict_several("page.png")  # doctest: +SKIP
        """
        size, steps = self.card.input.image_size, self.card.preprocessing
        every = prepare_several(picture, size, polarity, steps.smoothing, order)
        prediction = Prediction.of(self.outputs(np.stack([p.gray for p in every])), self.threshold)
        return prediction, [each.box for each in every]

    @property
    def threshold(self) -> float | None:
        """Score from which an image counts as unknown; None if the model has no detector."""
        return None if self.card.unknown is None else self.card.unknown.threshold

    def outputs(self, images: Images) -> Outputs:
        """Return class probabilities and unknown-character scores of images uint8 ``(N, S, S)``.

        Raises ResultError if the model's outputs are not probability distributions.
        """
        probabilities, scores = self._net.outputs(images)
        return Outputs(probabilities, None if self.threshold is None else scores)

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Return class probabilities float32 ``(N, C)`` of preprocessed images uint8 ``(N, S, S)``.

        Raises ResultError if the model's outputs are not probability distributions.
        """
        return self._net.probabilities(images)


def _verified(path: Path, sha256: str) -> bytes:
    """Return the content of a file. Raises ResultError if its SHA-256 does not match."""
    try:
        data = read_file(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise ResultError(f"{path}: not found, but named in the model card") from error
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ResultError(f"{path}: {error}") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise ResultError(
            f"{path}: its SHA-256 is {actual[:16]}…, but the model card says {sha256[:16]}…: the "
            "file is corrupt or belongs to another model\nExport or fetch the model again."
        )
    return data
