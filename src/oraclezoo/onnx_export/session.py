"""Classifier that runs an exported ONNX file with ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from oraclezoo.card import CARD_KEY
from oraclezoo.contracts import Images
from oraclezoo.errors import ResultError
from oraclezoo.onnx_export.graph_check import check_graph
from oraclezoo.onnx_export.runtime import open_session

BATCH_SIZE = 256
"""Batch size for inference; it does not affect the result."""

_UNREADABLE = (
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NotImplemented,
    failures.RuntimeException,
    UnicodeDecodeError,  # raised for names in the file or in ONNX Runtime's error messages
)

Signature = tuple[str, str, list[Any]]
"""Name, type and shape (without the batch dimension) of an input or output."""


class OnnxClassifier:
    """Maps uint8 images ``(N, H, W)`` to probabilities with an ONNX file that oraclezoo wrote.

    Args:
        content: The bytes of the file.
        image_size: Height and width of the images in pixels.
        classes: Number of classes.
        mean: Mean of the training images, in [0, 1]; used if the graph takes standardized images.
        std: Standard deviation of the training images; used like ``mean``.
        threads: Number of threads; 0 lets ONNX Runtime choose.
        where: Name of the file for error messages.

    Raises:
        ResultError: The file cannot be read, refers to other files, contains operators that may
            never terminate, or has unexpected inputs or outputs.
    """

    def __init__(
        self,
        content: bytes,
        *,
        image_size: int,
        classes: int,
        mean: float,
        std: float,
        threads: int = 0,
        where: str = "the ONNX file",
    ) -> None:
        try:
            check_graph(content)
        except ValueError as error:
            raise ResultError(f"{where} is refused: {error}") from error
        try:
            self.session = open_session(content, threads)
            signature = self._values()
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())[:200]
            raise ResultError(f"{where} cannot be read by ONNX Runtime: {reason}") from error
        self.scale, self.shift = 1 / (255 * std), mean / std
        self.classes, self.where = classes, where
        self.preprocesses = self._preprocesses(signature, image_size)

    def _values(self) -> list[Signature]:
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        return [(each.name, each.type, list(each.shape[1:])) for each in (*inputs, *outputs)]

    def _preprocesses(self, signature: list[Signature], size: int) -> bool:
        """Return whether the graph preprocesses. Raises ResultError for unknown signatures."""
        classes, where = self.classes, self.where
        preprocessed = [
            ("images", "tensor(uint8)", [size, size]),
            ("probabilities", "tensor(float)", [classes]),
        ]
        bare = [
            ("images", "tensor(float)", [1, size, size]),
            ("logits", "tensor(float)", [classes]),
        ]
        self.detects = signature[2:] == [("unknown", "tensor(float)", [])]
        if self.detects:
            del signature[2:]
        if signature not in (preprocessed, bare):
            raise ResultError(
                f"{where} has inputs and outputs {signature}; for {size}x{size} images and "
                f"{classes} classes, expected {preprocessed} or {bare}, without the batch dimension"
            )
        return signature == preprocessed

    def probabilities(self, images: npt.NDArray[np.uint8] | Images) -> npt.NDArray[np.float32]:
        """Return class probabilities, float32 ``(N, C)``.

        Raises ResultError if running the graph fails, or if its output is not a probability
        distribution for each image.
        """
        return self.outputs(images)[0]

    def outputs(
        self, images: npt.NDArray[np.uint8] | Images
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Return class probabilities, and the scores ``(N,)`` of the graph's detector, if any.

        Raises ResultError like :meth:`probabilities`, and also if the scores are not one value in
        [0, 1] for each image.
        """
        rows = [np.zeros((0, self.classes), np.float32)]
        scores = [np.zeros(0, np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            try:
                output, *detected = self.session.run(None, self.feed(batch))
            except _UNREADABLE as error:
                reason = " ".join(str(error).split())[:200]
                raise ResultError(f"{self.where} failed in ONNX Runtime: {reason}") from error
            row = output if self.preprocesses else _softmax(output)
            if (
                row.shape != (len(batch), self.classes)
                or not (abs(row.sum(1) - 1) <= 1e-3).all()
                or (row < 0).any()
            ):
                raise ResultError(f"{self.where}: the model's outputs are not probabilities")
            rows.append(row)
            if self.detects and (
                detected[0].shape != (len(batch),)
                or not ((detected[0] >= 0) & (detected[0] <= 1)).all()
            ):
                raise ResultError(
                    f"{self.where}: the scores of unknown are not in 0 to 1, one for each image"
                )
            scores += detected
        return np.concatenate(rows), np.concatenate(scores) if self.detects else None

    def feed(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Return the graph's inputs for a batch of uint8 images ``(N, H, W)``."""
        if self.preprocesses:
            return {"images": np.ascontiguousarray(images)}
        scaled = images[:, None].astype(np.float32) * np.float32(self.scale)
        return {"images": scaled - np.float32(self.shift)}

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card in the file's metadata; empty if there is none."""
        text = self.session.get_modelmeta().custom_metadata_map.get(CARD_KEY, "{}")
        card = json.loads(text)
        return card if isinstance(card, dict) else {}


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return probabilities
