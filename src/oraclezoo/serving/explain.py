"""Occlusion sensitivity: which parts of an image a prediction depends on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.errors import UsageError
from oraclezoo.imaging.polarity import Gray
from oraclezoo.serving.predictor import Predictor

WINDOW = 0.25
"""Edge of the occluding square, as a fraction of the image's edge."""
STEPS = 14
"""Number of positions of the square in each direction, so that all fit in one batch."""
_EDGE = 280
_RED = np.array([230.0, 30.0, 30.0])


def occlusion(predictor: Predictor, image: Gray) -> npt.NDArray[np.float32]:
    """Return the importance of each pixel for the predicted class.

    A square in the image's background gray (its median) covers the image at 14 x 14 positions; each
    position gives the decrease in the probability of the predicted class. The importance of a pixel
    is the mean decrease over the squares that cover it. Source: Zeiler and Fergus, "Visualizing and
    understanding convolutional networks" (ECCV 2014, arXiv 1311.2901), section 4.2.

    Args:
        predictor: The model.
        image: Preprocessed image uint8 ``(S, S)`` of the model's input size.

    Returns:
        Decrease in probability, float32 ``(S, S)``; negative where covering the pixel makes the
        prediction more certain.

    Example:
        >>> import oraclezoo as oz
        >>> predictor = oz.predictor("oraclenet_n")
        >>> occlusion(predictor, np.zeros((28, 28), np.uint8)).shape
        (28, 28)
    """
    edge = len(image)
    window = max(1, round(WINDOW * edge))
    starts = np.unique(np.linspace(0, edge - window, min(STEPS, edge)).round().astype(np.int64))
    places = [(int(y), int(x)) for y in starts for x in starts]
    covered = np.repeat(image[None], len(places) + 1, axis=0)
    background = np.uint8(np.median(image))
    for row, (y, x) in enumerate(places, 1):
        covered[row, y : y + window, x : x + window] = background
    probabilities = predictor.probabilities(covered)
    label = int(probabilities[0].argmax())
    total, count = np.zeros((edge, edge)), np.zeros((edge, edge))
    for (y, x), after in zip(places, probabilities[1:, label], strict=True):
        total[y : y + window, x : x + window] += float(probabilities[0, label]) - float(after)
        count[y : y + window, x : x + window] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)


def write_overlay(path: Path, image: Gray, importance: npt.NDArray[np.float32]) -> None:
    """Write an enlarged image, and next to it a copy with the important pixels in red.

    The red of a pixel is proportional to its importance; the most important pixel is fully red if
    covering it lowers the probability by at least 0.1.

    Raises UsageError if the picture cannot be written.
    """
    strength = (importance / max(float(importance.max()), 0.1)).clip(0, 1)
    smooth = Image.fromarray(strength).resize((_EDGE, _EDGE), Image.Resampling.BICUBIC)
    cover = 0.75 * np.asarray(smooth).clip(0, 1)[..., None]
    seen = Image.fromarray(image).resize((_EDGE, _EDGE), Image.Resampling.NEAREST)
    gray = np.asarray(seen.convert("RGB")).astype(np.float64)
    gap = np.full((_EDGE, 8, 3), 128.0)
    page = np.concatenate([gray, gap, gray * (1 - cover) + _RED * cover], axis=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(page).astype(np.uint8)).save(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from error
