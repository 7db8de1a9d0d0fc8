"""Reference statistics of a model's outputs, for drift detection in a deployed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VERSION = 1
"""Version of the signals and their bins (:mod:`oraclezoo.watching.signals`)."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Histograms of the signals on in-distribution images, without the images themselves.

    ``counts`` holds the number of images in each bin, keyed by signal. ``onnx_sha256`` is the
    digest of the ONNX file that the histograms describe. ``by_a_twin`` is true if a second model,
    trained without these images, produced the probabilities.
    """

    version: int
    track: str
    split: str
    images: int
    by_a_twin: bool
    onnx_sha256: str
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, counts in self.counts.items():
            if min(counts, default=-1) < 0 or sum(counts) != self.images:
                raise ValueError(
                    f"baseline.counts of {name} must be counts of {self.images} images"
                )
