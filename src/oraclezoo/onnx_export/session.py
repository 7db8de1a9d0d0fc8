"""Session: an exported file as a classifier again, through ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from oraclezoo.card import CARD_KEY
from oraclezoo.contracts import Images
from oraclezoo.errors import ResultError

BATCH_SIZE = 256
"""Images at a time; the result does not depend on it."""

_UNREADABLE = (
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NotImplemented,
    failures.RuntimeException,
)


class OnnxClassifier:
    """uint8 images ``(N, H, W)`` -> probabilities, by an ONNX file that oraclezoo wrote.

    ``content`` is the file; ``mean`` and ``std`` are used where the graph wants standardised
    images. ``threads`` 0 leaves the number to the runtime. Raises ResultError if the file cannot
    be read or takes or gives anything else.
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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())[:200]
            raise ResultError(f"{where} cannot be read by ONNX Runtime: {reason}") from error
        self.scale, self.shift = 1 / (255 * std), mean / std
        self.classes = classes
        self.preprocesses = self._signature(image_size, classes, where)

    def _signature(self, size: int, classes: int, where: str) -> bool:
        """Whether preprocessing is inside. Raises ResultError for a graph that is not ours."""
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        found = [(given.name, given.type, list(given.shape[1:])) for given in (*inputs, *outputs)]
        whole = [
            ("images", "tensor(uint8)", [size, size]),
            ("probabilities", "tensor(float)", [classes]),
        ]
        bare = [
            ("images", "tensor(float)", [1, size, size]),
            ("logits", "tensor(float)", [classes]),
        ]
        if found not in (whole, bare):
            raise ResultError(
                f"{where} has {found}; a model of {size}x{size} images and {classes} classes has "
                f"{whole} or {bare}, after the batch"
            )
        return found == whole

    def probabilities(self, images: npt.NDArray[np.uint8] | Images) -> npt.NDArray[np.float32]:
        """Class probabilities float32 ``(N, C)``."""
        rows = [np.zeros((0, self.classes), np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            (found,) = self.session.run(None, self.feed(images[start : start + BATCH_SIZE]))
            rows.append(found if self.preprocesses else _softmax(found))
        return np.concatenate(rows)

    def feed(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """A batch of uint8 images ``(N, H, W)`` as the graph takes it."""
        if self.preprocesses:
            return {"images": np.ascontiguousarray(images)}
        scaled = images[:, None].astype(np.float32) * np.float32(self.scale)
        return {"images": scaled - np.float32(self.shift)}

    @property
    def card(self) -> Mapping[str, Any]:
        """What oraclezoo wrote into the file's metadata; empty for a file without it."""
        text = self.session.get_modelmeta().custom_metadata_map.get(CARD_KEY, "{}")
        found = json.loads(text)
        return found if isinstance(found, dict) else {}


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: npt.NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return shares
