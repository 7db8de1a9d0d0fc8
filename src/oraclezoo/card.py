"""The card of a model, ``model.json``: read and checked without torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from oraclezoo.errors import ResultError

SCHEMA = "oraclezoo/model/1"
MAX_BYTES = 4 << 20
"""Maximum size of ``model.json``."""

MAX_SIZE = 65_536
"""Maximum image size and number of classes in a card."""

SMOOTH = 0.4
"""Standard deviation, in pixels, of the smoothing of JPEG images that are hardly scaled down.

The best of 0 to 0.5 over qualities from 30 to 90, for models that were not trained on JPEG images
(``benchmarks/studies/predict_jpeg.py``, on training images).
"""

CARD_KEY = "oraclezoo.card"
"""The metadata property of an ONNX file, or extra file of a ``.pt2``, with the card as JSON."""

_EXPORT = "make one by 'oraclezoo export'"


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a model with an ONNX file.

    Attributes:
        classes: Display name of each class.
        glyphs: Character of each class, or "".
        image_size: Width and height of the input in pixels.
        file: Name of the ONNX file in the folder.
        sha256: Its digest.
        mean: Mean gray level of the training images, from 0 to 1.
        std: Standard deviation of the gray levels.
        jpeg_smoothing: Smoothing of small JPEG images, in pixels.
        calibrated: Whether a temperature was fitted.
        content: The whole document.
    """

    classes: tuple[str, ...]
    glyphs: tuple[str, ...]
    image_size: int
    file: str
    sha256: str
    mean: float
    std: float
    jpeg_smoothing: float
    calibrated: bool
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card of a model folder.

        Raises ResultError if it is not a model folder, has no ONNX file, or its card is invalid.
        """
        content = read_document(folder)
        form = content.get("form")
        if isinstance(form, dict):
            raise ResultError(
                f"{folder}: the model is {form.get('precision')} for torch, without an ONNX file, "
                f"which is read here; read with oraclezoo.load, or {_EXPORT}"
            )
        if not content.get("onnx"):
            raise ResultError(
                f"{folder}: the model has no ONNX file, which is read here; {_EXPORT}"
            )
        try:
            return cls._checked(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultError(f"{folder}: its card is not one of a model ({error!r})") from error

    @classmethod
    def _checked(cls, content: dict[str, Any]) -> Self:
        given, onnx = content["input"], content["onnx"]
        size, number = given["image_size"], given["num_classes"]
        if not all(type(value) is int and 0 < value <= MAX_SIZE for value in (size, number)):
            raise ValueError(f"input is {given}")
        if given["in_chans"] != 1:
            raise ValueError(f"it takes {given['in_chans']} channels, not gray images")
        classes = tuple(map(str, content["classes"]))
        glyphs = tuple(map(str, content.get("glyphs") or [""] * number))
        if len(classes) != number or len(glyphs) != number:
            raise ValueError(
                f"{len(classes)} classes and {len(glyphs)} glyphs for {number} outputs"
            )
        name, digest = onnx["file"], onnx["sha256"]
        if not re.fullmatch(r"[\w-][\w.-]*", name) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"onnx is {onnx}")
        scale = content["preprocessing"]
        mean, std = float(scale["mean"]), float(scale["std"])
        if not math.isfinite(mean) or not 0 < std < math.inf:
            raise ValueError(f"preprocessing is {scale}")
        smoothing = smoothing_of(scale)
        calibrated = bool(content.get("calibration"))
        return cls(classes, glyphs, size, name, digest, mean, std, smoothing, calibrated, content)


def smoothing_of(preprocessing: Mapping[str, Any]) -> float:
    """Return the smoothing of small JPEG images in pixels. Raises ValueError if it is invalid."""
    found = preprocessing.get("jpeg_smoothing", SMOOTH)
    if type(found) not in (int, float) or not 0 <= found <= 1:
        raise ValueError(f"preprocessing is {preprocessing}")
    return float(found)


def read_document(folder: Path) -> dict[str, Any]:
    """Return the content of a model folder's ``model.json``.

    Raises ResultError if it is missing or is not a card.
    """
    path = folder / "model.json"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ResultError(f"{folder} is not a model folder: model.json is missing") from error
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        content = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: broken or cut short ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ResultError(f"{path}: this is no card of a model ({SCHEMA})")
    return content


def read_card(folder: str | Path) -> dict[str, Any]:
    """Return the card of a model folder or of a run folder. Raises ResultError."""
    path = Path(folder)
    for name in ("model.json", "run.json"):
        file = path / name
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ResultError(f"{file}: cannot be read ({error})") from error
        card = document.get("model") if name == "run.json" and type(document) is dict else document
        if not isinstance(card, dict) or "backbone" not in card:
            raise ResultError(f"{file} has no model's card")
        return card
    what = "has neither model.json nor run.json" if path.is_dir() else "is not there"
    raise ResultError(f"{path} {what}: give a model folder or a run folder")


def receipts(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a card's receipts, oldest first; older cards have none. Raises ResultError."""
    found = card.get("receipts", [])
    if not isinstance(found, list) or not all(isinstance(made, dict) for made in found):
        raise ResultError("the card's receipts are not a list of documents")
    return found


def backbone_of(card: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, int]]:
    """Check a card and return name, options and input shape of its backbone.

    Raises KeyError, ValueError, TypeError or AttributeError if the card is invalid.
    """
    backbone, given, scale = card["backbone"], card["input"], card["preprocessing"]
    shape = {key: given[key] for key in ("in_chans", "num_classes", "image_size")}
    if not all(type(value) is int and 0 < value <= MAX_SIZE for value in shape.values()):
        raise ValueError(f"input is {given}")
    size = shape["image_size"]
    mean, std, shifts = float(scale["mean"]), float(scale["std"]), scale.get("shifts", 0)
    if not (
        math.isfinite(mean)
        and 0 < std < math.inf
        and type(shifts) is int
        and 0 <= shifts < size
        and type(scale.get("flip", False)) is bool
    ):
        raise ValueError(f"preprocessing is {scale}")
    smoothing_of(scale)
    temperature = float(card.get("calibration", {}).get("temperature", 1.0))
    if not 0 < temperature < math.inf:
        raise ValueError(f"calibration is {card['calibration']}")
    if not isinstance(card.get("receipts", []), list):
        raise ValueError("receipts are not a list")
    if len(card["classes"]) != shape["num_classes"]:
        raise ValueError(f"{len(card['classes'])} classes, but {shape['num_classes']} outputs")
    if not isinstance(backbone["name"], str):
        raise ValueError(f"backbone is {backbone['name']!r}")
    options = {key: value for key, value in backbone["options"].items() if value is not None}
    return backbone["name"], options, shape


def metadata(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a card that are stored in an exported file."""
    provenance = card.get("provenance", {})
    found = {
        "classes": card["classes"],
        "glyphs": card.get("glyphs"),
        "synthetic": card.get("synthetic"),
        "input": card["input"],
        "preprocessing": card["preprocessing"],
        "calibration": card.get("calibration"),
        "backbone": card["backbone"]["name"],
        "recipe": provenance.get("recipe"),
        "oraclezoo": provenance.get("oraclezoo"),
        "data": card.get("data"),
    }
    return {key: value for key, value in found.items() if value is not None}


def as_text(card: Mapping[str, Any]) -> str:
    """Return compact JSON, identical for equal content."""
    return json.dumps(card, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
