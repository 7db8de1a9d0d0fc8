"""Generator of synthetic characters, whose strokes are warped, framed and degraded."""

from oraclezoo.data.glyphs.draw import CHUNK, VERSION, generate

__all__ = ["CHUNK", "VERSION", "generate"]
