"""JSON document with predictions, for ``predict --json`` and the HTTP server."""

from __future__ import annotations

from typing import Any

from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Reading

SCHEMA = "oraclezoo/predict/1"
"""Name and version of the document."""


def model_entry(predictor: Predictor) -> dict[str, Any]:
    """Return the description of a model in a prediction document, without its location."""
    return {
        "onnx_sha256": predictor.card.onnx and predictor.card.onnx.sha256,
        "calibrated": predictor.card.calibration is not None,
        "unknown_threshold": predictor.threshold,
    }


def image_entry(predictor: Predictor, reading: Reading, top: int) -> dict[str, Any]:
    """Return the entry of a readable image: its predicted class and the ``top`` classes.

    If the image has several characters, each has an entry, with its ``number``.
    """
    assert reading.probabilities is not None
    assert reading.prepared is not None
    classes = [
        {
            "label": label,
            "name": predictor.classes[label],
            "glyph": predictor.glyphs[label],
            "probability": float(reading.probabilities[label]),
        }
        for label in reading.top(top)
    ]
    number = {} if reading.number is None else {"number": reading.number}
    return {
        "file": reading.name,
        **number,
        **classes[0],
        "unknown": reading.unknown,
        "unknown_score": reading.unknown_score,
        "inverted": reading.prepared.inverted,
        "box": reading.prepared.box._asdict(),
        "top": classes,
    }


def unreadable_entry(reading: Reading) -> dict[str, str]:
    """Return the entry of an image that could not be read, with the reason."""
    return {"file": reading.name, "reason": reading.reason}
