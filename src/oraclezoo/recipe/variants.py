"""Compression variants of a trained model, written as steps, e.g. ``prune50+int8``.

``pruneNN`` prunes to NN percent of the multiply-accumulates; ``int8`` and ``fp16`` quantize the
ONNX file. A variant has at most one pruning step, followed by at most one quantization step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from oraclezoo.errors import UsageError

PRECISIONS = ("int8", "fp16")
_PRUNE = re.compile(r"prune(\d{1,3})")
_KNOWN = "pruneNN (keeps NN percent of multiply-accumulates, 1 to 99), int8 and fp16"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: ``left`` is the percentage of MACs after pruning (None: unpruned)."""

    left: int | None = None
    precision: str = "fp32"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of a variant. Raises UsageError."""
        percent, precision = None, "fp32"
        for step in text.replace(" ", "").lower().split("+"):
            pruned = _PRUNE.fullmatch(step)
            if precision != "fp32" or (pruned and percent is not None):
                rule = "use at most one pruneNN first, then at most one of int8 and fp16"
                raise UsageError(f"compression '{text}': {rule}, e.g. prune50+int8")
            if step in PRECISIONS:
                precision = step
            elif pruned and 1 <= int(pruned[1]) <= 99:
                percent = int(pruned[1])
            else:
                raise UsageError(
                    f"compression '{text}': unknown step '{step}'; the steps are {_KNOWN}"
                )
        return cls(percent, precision)

    def __str__(self) -> str:
        """Return the canonical text; equal variants have equal texts."""
        pruned = [] if self.left is None else [f"prune{self.left}"]
        return "+".join(pruned + [self.precision] * (self.precision != "fp32"))
