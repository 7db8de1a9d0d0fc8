"""Style of the gallery's figures: legible on the light and on the dark theme."""

from __future__ import annotations

from typing import Any

GRAY = "#808890"
"""Color of text and lines, with a contrast of at least 3.4 against both backgrounds."""


def reset(config: dict[str, Any], script: str | None) -> None:
    """Apply the style; sphinx-gallery calls this before each script."""
    import matplotlib

    colors = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = dict.fromkeys(colors, GRAY) | {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.bbox": "tight",
        "figure.dpi": 110,
    }
    matplotlib.rcParams.update(settings)
