"""Random numbers keyed by image content: independent of batch, order, process and machine."""

from __future__ import annotations

import hashlib
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float32]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


class Draws:
    """Counter-based random streams, one for each of N images, keyed by the image's bytes.

    Value ``c`` of an image's stream is output ``c`` of SplitMix64 with the image's key as the seed
    (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).

    Args:
        images: uint8 ``(N, H, W)``.
        purpose: Part of every key; different purposes give independent streams for the same images.
    """

    def __init__(self, images: npt.NDArray[np.uint8], purpose: str) -> None:
        head = hashlib.sha256(f"{purpose} {images.shape[1:]} ".encode())
        keys = np.empty(len(images), np.uint64)
        for at, image in enumerate(images):
            state = head.copy()
            state.update(image.tobytes())
            keys[at] = int.from_bytes(state.digest()[:8], "little")
        self._keys, self._used = keys, 0

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Draw uniform random numbers.

        Args:
            low: Lower bound.
            high: Upper bound.
            shape: Shape of the array for one image.

        Returns:
            float32 ``(N, *shape)``.
        """
        return (self._unit(*shape) * (high - low) + low).astype(np.float32)

    def normal(self, *shape: int) -> Floats:
        """Draw standard normal random numbers.

        Args:
            shape: Shape of the array for one image.

        Returns:
            float32 ``(N, *shape)``.
        """
        return cast(Floats, ndtri(self._unit(*shape)).astype(np.float32))

    def _unit(self, *shape: int) -> npt.NDArray[np.float64]:
        """Draw uniform numbers on the open interval (0, 1), float64 ``(N, *shape)``."""
        count = int(np.prod(shape, dtype=np.int64))
        counter = np.arange(self._used + 1, self._used + count + 1, dtype=np.uint64)
        self._used += count
        bits = self._keys[:, None] + counter * _STEP  # overflow wraps by design
        for shift, factor in _MIX:
            bits = (bits ^ (bits >> shift)) * factor
        bits ^= bits >> np.uint64(31)
        unit = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return unit.reshape(len(self._keys), *shape)
