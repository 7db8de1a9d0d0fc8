"""Conformance checks for models: the pinned archive, the card and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.artifacts.load import load
from oraclezoo.artifacts.model import WEIGHTS, Model
from oraclezoo.card import Card
from oraclezoo.serving.predictor import Predictor
from oraclezoo.testing.subject import Subject, fail


def archive(subject: Subject) -> str:
    """Its files can be fetched and have the pinned digest."""
    folder = _folder(subject)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return f"{len(files)} files, {size:,} bytes"


def card(subject: Subject) -> str:
    """The card is valid and fits the input and the classes of the model."""
    model_card = Card.load(_folder(subject))
    return f"{len(model_card.classes)} classes, {model_card.input.image_size} pixels"


def prediction(subject: Subject) -> str:
    """Predictions of two images are probabilities over its classes, from each of its files."""
    folder = _folder(subject)
    model_card, forms = Card.load(folder), []
    size, classes = model_card.input.image_size, len(model_card.classes)
    images = np.zeros((2, size, size), np.uint8)
    images[1, 4:-4, 4:-4] = 255
    if model_card.onnx:
        _check(Predictor(folder).predict(images).probabilities, classes, "ONNX")
        forms.append("ONNX")
    if (folder / WEIGHTS).is_file():
        model = load(folder, subject.registry)
        _check(Model(model.module, model.card).predict(images).probabilities, classes, "PyTorch")
        forms.append("PyTorch")
    if not forms:
        fail(f"it has neither {WEIGHTS} nor an ONNX file")
    return " and ".join(forms)


CHECKS = (archive, card, prediction)
SLOW: tuple[object, ...] = ()


def is_remote(facts: Mapping[str, Any]) -> bool:
    """Return whether a model must be downloaded."""
    url = facts.get("url")
    return isinstance(url, str) and not url.startswith("file:")


def _check(probabilities: npt.NDArray[np.float32], classes: int, runtime: str) -> None:
    if probabilities.shape != (2, classes):
        fail(f"{runtime}: probabilities are {probabilities.shape}, not {(2, classes)}")
    if not np.isfinite(probabilities).all() or not np.allclose(probabilities.sum(1), 1, atol=1e-3):
        fail(f"{runtime}: probabilities are not finite or do not sum to 1")


def _folder(subject: Subject) -> Path:
    """Return the model's folder, which is downloaded and verified once."""
    if "folder" not in subject.kept:
        subject.kept["folder"] = Path(subject.create())
    folder: Path = subject.kept["folder"]
    return folder
