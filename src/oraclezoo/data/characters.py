"""The ten characters of Oracle-MNIST, in label order. Imports nothing."""

from __future__ import annotations

CLASSES: tuple[str, ...] = (
    "big",
    "sun",
    "moon",
    "cattle",
    "next",
    "field",
    "not",
    "arrow",
    "time",
    "wood",
)
"""The meaning of each label, as translated by the authors of the data set."""

GLYPHS: tuple[str, ...] = ("大", "日", "月", "牛", "翌", "田", "勿", "矢", "巳", "木")
"""The modern character for each class."""
