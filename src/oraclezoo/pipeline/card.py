"""Card: what a model's or a run's folder says of its model, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oraclezoo.errors import ResultError


def read_card(folder: str | Path) -> dict[str, Any]:
    """The card in a model folder, or in a run folder's record. Raises ResultError."""
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
    """A card's receipts, the oldest first; older cards have none. Raises ResultError."""
    found = card.get("receipts", [])
    if not isinstance(found, list) or not all(isinstance(made, dict) for made in found):
        raise ResultError("the card's receipts are not a list of documents")
    return found
