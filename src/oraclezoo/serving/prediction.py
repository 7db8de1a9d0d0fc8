"""The output of a model for a batch of images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Prediction(NamedTuple):
    """Labels int64 ``(N,)`` and class probabilities float32 ``(N, C)``."""

    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
