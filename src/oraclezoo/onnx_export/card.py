"""The part of a model's card that an exported file holds as metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CARD_KEY = "oraclezoo.card"
"""Name of the metadata property (ONNX) or extra file (PT2) that holds the card as JSON."""


def metadata(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a model's card that users of the exported file need."""
    provenance = card.get("provenance", {})
    entries = {
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
    return {key: value for key, value in entries.items() if value is not None}


def as_text(card: Mapping[str, Any]) -> str:
    """Return compact JSON, identical for equal content."""
    return json.dumps(card, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
