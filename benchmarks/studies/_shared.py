"""Helpers that the studies share with the benchmarks in the parent folder."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
RESULTS = BENCHMARKS / "results"
sys.path.append(str(BENCHMARKS))

from _measured import Figures, emit, machine, names, noise, options, positive  # noqa: E402

__all__ = [
    "RESULTS",
    "Figures",
    "emit",
    "machine",
    "names",
    "noise",
    "options",
    "positive",
]
