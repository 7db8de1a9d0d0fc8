"""Seeds by axis, so that runs differ in exactly what they are meant to differ in."""

from __future__ import annotations

import hashlib


def derive(seed: int, axis: str, index: int = 0) -> int:
    """A 63-bit seed for one axis of a run's seed: "initialisation", "order", "augment", ...

    Two recipes at one seed share every derived seed: the same data order and the same random
    changes of images, and the same initial weights if their backbones are the same.
    """
    digest = hashlib.sha256(f"oraclezoo/{axis}/{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
