"""Variants: how a trained net is made smaller, as steps in a text such as ``prune50+int8``.

``pruneNN`` leaves NN percent of the multiply-accumulates; ``int8`` and ``fp16`` round the ONNX
file. At most one pruning comes first, then at most one rounding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from oraclezoo.errors import UsageError

PRECISIONS = ("int8", "fp16")
_PRUNE = re.compile(r"prune(\d{1,3})")
_KNOWN = "pruneNN (the percent of multiply-accumulates that is left, 1 to 99), int8 and fp16"


@dataclass(frozen=True, slots=True)
class Variant:
    """The steps of a variant: ``left`` percent of MACs after a pruning, None without; precision."""

    left: int | None = None
    precision: str = "fp32"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The variant that a text describes. Raises UsageError."""
        left, precision = None, "fp32"
        for step in text.replace(" ", "").lower().split("+"):
            pruned = _PRUNE.fullmatch(step)
            if precision != "fp32" or (pruned and left is not None):
                why = "at most one pruning comes first, then at most one of int8 and fp16"
                raise UsageError(f"compression '{text}': {why}, e.g. prune50+int8")
            if step in PRECISIONS:
                precision = step
            elif pruned and 1 <= int(pruned[1]) <= 99:
                left = int(pruned[1])
            else:
                raise UsageError(f"compression '{text}': there is no step '{step}', only {_KNOWN}")
        return cls(left, precision)

    def __str__(self) -> str:
        """The normal form; equal for equal variants."""
        pruned = [] if self.left is None else [f"prune{self.left}"]
        return "+".join(pruned + [self.precision] * (self.precision != "fp32"))
