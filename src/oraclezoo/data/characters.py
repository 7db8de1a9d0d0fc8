"""Names and glyphs of Oracle-MNIST's ten characters, in label order; imports nothing."""

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
"""Modern character of each class."""
