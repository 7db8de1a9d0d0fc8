"""Contact sheets of corrupted images, for checking the severities by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.data.corrupt import CORRUPTIONS, SEVERITIES, corrupt
from oraclezoo.data.tiles import rows_sheet

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_GROUPS = 3  # images in the overview
_COLUMNS = 16  # images in the sheet of one corruption


def overview(images: Images, labels: Labels, *, seed: int = 0) -> Image.Image:
    """Draw one row per corruption: three images, each clean and at severities 1 to 5.

    Args:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``; images from different classes are shown where possible.
        seed: Seed of the corruptions.

    Returns:
        A gray picture.

    Raises:
        DataError: If the images cannot be corrupted.
    """
    chosen = images[_spread(labels, _GROUPS)]
    rows = []
    for name in CORRUPTIONS:
        versions = [chosen, *(corrupt(chosen, name, severity, seed) for severity in SEVERITIES)]
        rows.append((name, list(np.stack(versions, axis=1))))
    return rows_sheet(rows)


def severities(images: Images, labels: Labels, name: str, *, seed: int = 0) -> Image.Image:
    """Draw one row per severity of a corruption, clean images first.

    Args:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``; every class is shown where possible.
        name: Name of the corruption.
        seed: Seed of the corruptions.

    Returns:
        A gray picture.

    Raises:
        UnknownNameError: If no corruption has this name.
        DataError: If the images cannot be corrupted.
    """
    chosen = images[_spread(labels, _COLUMNS)]
    rows = [("clean", [chosen])]
    rows += [(f"{name} {s}", [corrupt(chosen, name, s, seed)]) for s in SEVERITIES]
    return rows_sheet(rows, scale=3)


def _spread(labels: Labels, count: int) -> npt.NDArray[np.int64]:
    """Return up to ``count`` indices: first one image of each class, then a second, and so on."""
    counts: dict[int, int] = {}
    ranks = []
    for label in labels.tolist():
        ranks.append(counts.get(label, 0))
        counts[label] = ranks[-1] + 1
    return np.lexsort((labels, np.array(ranks, dtype=np.int64)))[:count]
