"""Model cards for tests."""

from __future__ import annotations

from oraclezoo.card import Backbone, Card, InputShape, Preprocessing


def small_card(size: int, *, mean: float, std: float, classes: str = "abc") -> Card:
    """The card of a net for gray images that no registry knows."""
    return Card(
        backbone=Backbone("oraclezoo:mlp", {}),
        input=InputShape(1, len(classes), size),
        preprocessing=Preprocessing(mean, std),
        classes=tuple(classes),
        receipts=(),
    )
