"""Synthetic characters: strokes written down, then warped, framed and worn."""

from oraclezoo.data.glyphs.draw import CHUNK, VERSION, generate

__all__ = ["CHUNK", "VERSION", "generate"]
