"""The model of the benchmark in LitServe, run in an environment of its own by ``serving.py``.

Environment: MODEL is the ONNX file; BATCHING is 1 for batches of up to 32 without waiting, else 0;
the port is the argument.
"""

from __future__ import annotations

import os
import sys
from base64 import b64decode
from io import BytesIO
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported

import litserve
import numpy as np
import onnxruntime
from PIL import Image


class Reader(litserve.LitAPI):
    """The ONNX file in a session with one thread."""

    def setup(self, device: str) -> None:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request: dict[str, str]) -> Any:
        """Return the image of the model's size."""
        return np.asarray(Image.open(BytesIO(b64decode(request["image"]))).convert("L"))

    def predict(self, x: Any) -> Any:
        """Return probabilities."""
        batch = x if x.ndim == 3 else x[None]
        return self.session.run(["probabilities"], {"images": batch})[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Return label and probability."""
        row = output.ravel()
        return {"label": int(row.argmax()), "probability": float(row.max())}


if __name__ == "__main__":
    batch = 32 if os.environ["BATCHING"] == "1" else 1
    server = litserve.LitServer(
        Reader(max_batch_size=batch, batch_timeout=0.0), accelerator="cpu", timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
