"""Synthetic characters: written strokes, then warped, framed and degraded."""

from oraclezoo.data.glyphs.draw import CHUNK, VERSION, generate

__all__ = ["CHUNK", "VERSION", "generate"]
