"""Card: what an exported file carries of its model's card, and under which name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CARD_KEY = "oraclezoo.card"
"""The metadata property of an ONNX file, or extra file of a ``.pt2``, with the card as JSON."""


def metadata(card: Mapping[str, Any]) -> dict[str, Any]:
    """What of a model's card a reader of the exported file alone needs to know."""
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
    """Compact JSON, the same for the same content."""
    return json.dumps(card, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
