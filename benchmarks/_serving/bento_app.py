"""The model of the benchmark in BentoML, run in an environment of its own by ``serving.py``.

Environment: MODEL is the ONNX file; BATCHING is 1 for adaptive batching, else 0.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported

import bentoml
import numpy as np
import onnxruntime
from PIL import Image

BATCHING = os.environ["BATCHING"] == "1"


class Classifier:
    """The ONNX file in a session with one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def run(self, images: list[Any]) -> list[dict[str, Any]]:
        """Return label and probability of each image of the model's size."""
        batch = np.stack([np.asarray(image.convert("L")) for image in images])
        (probabilities,) = self.session.run(["probabilities"], {"images": batch})
        return [
            {"label": int(row.argmax()), "probability": float(row.max())} for row in probabilities
        ]


if BATCHING:

    @bentoml.service(workers=1, traffic={"timeout": 60})
    class Reader:
        """Batches across requests, adaptively."""

        def __init__(self) -> None:
            self.net = Classifier()

        @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=10_000)
        def predict(self, images: list[Image.Image]) -> list[dict[str, Any]]:
            """Classify images."""
            return self.net.run(images)

else:

    @bentoml.service(workers=1, traffic={"timeout": 60})
    class Reader:  # type: ignore[no-redef]  # the other mode
        """Classifies one image at a time."""

        def __init__(self) -> None:
            self.net = Classifier()

        @bentoml.api
        def predict(self, images: Image.Image) -> dict[str, Any]:
            """Classify an image."""
            return self.net.run([images])[0]
