"""Contact sheet of an audit's findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.data.audit.records import Finding, Pool
from oraclezoo.data.tiles import captioned_sheet

_SHOWN = 3  # images per finding
_LETTERS = 34  # per line


def suspicious(
    pool: Pool, findings: Sequence[Finding], *, per_kind: int = 48, scale: int = 3
) -> Image.Image | None:
    """Draw a contact sheet of the findings that have images, one cell per finding.

    Args:
        pool: The images.
        findings: The findings, in order.
        per_kind: Largest number of cells per kind.
        scale: Zoom factor, screen pixels per image pixel.

    Returns:
        A gray picture, or None if no finding has images.
    """
    cells: list[tuple[list[str], npt.NDArray[np.uint8]]] = []
    shown: dict[str, int] = {}
    for finding in findings:
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        if not finding.places or shown[finding.kind] > per_kind:
            continue
        places = finding.places[:_SHOWN]
        images = pool.images[[pool.at(place) for place in places]]
        where = [f"{p.split} {p.index}: label {p.label}" for p in places]
        mark = "! " if finding.serious else ""
        cells.append(([mark + finding.kind, *_wrapped(finding.note), *where], images))
    return captioned_sheet(cells, columns=6, scale=scale) if cells else None


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _LETTERS:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
