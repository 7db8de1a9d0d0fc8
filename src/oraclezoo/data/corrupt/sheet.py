"""Contact sheets of corrupted images, to judge severities by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.data.corrupt import CORRUPTIONS, SEVERITIES, corrupt
from oraclezoo.data.tiles import rows_sheet

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_GROUPS = 3  # images per row of the overview
_COLUMNS = 16  # images per row of one corruption's sheet


def overview(images: Images, labels: Labels, *, seed: int = 0) -> Image.Image:
    """Return a sheet with one row per corruption: three images, clean and at severities 1 to 5.

    ``images`` are uint8 ``(N, H, W)``, ``labels`` int64 ``(N,)``. Raises DataError.
    """
    chosen = images[_spread(labels, _GROUPS)]
    rows = []
    for name in CORRUPTIONS:
        columns = [chosen, *(corrupt(chosen, name, severity, seed) for severity in SEVERITIES)]
        rows.append((name, list(np.stack(columns, axis=1))))
    return rows_sheet(rows)


def severities(images: Images, labels: Labels, name: str, *, seed: int = 0) -> Image.Image:
    """Return a sheet with one row per severity, clean to 5, and images of every class.

    Raises the same errors as :func:`corrupt`.
    """
    chosen = images[_spread(labels, _COLUMNS)]
    rows = [("as it is", [chosen])]
    rows += [(f"{name} {s}", [corrupt(chosen, name, s, seed)]) for s in SEVERITIES]
    return rows_sheet(rows, scale=3)


def _spread(labels: Labels, count: int) -> npt.NDArray[np.int64]:
    """Return up to ``count`` indices into ``labels``, cycling through the classes."""
    seen: dict[int, int] = {}
    ranks = []
    for label in labels.tolist():
        ranks.append(seen.get(label, 0))
        seen[label] = ranks[-1] + 1
    return np.lexsort((labels, np.array(ranks, dtype=np.int64)))[:count]
