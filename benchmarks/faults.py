"""Attack an installed oraclezoo with faults, and count what it refuses, survives and loses.

    python benchmarks/faults.py --write
    python benchmarks/faults.py --only plugin-edited-bench -v
    python benchmarks/faults.py --python OTHER/bin/python --json

A case is a sentence that states a fault, or a kind of input. Exit status 1 if a case shows a fault.
"""

from __future__ import annotations

import sys

from _faults.main import main

if __name__ == "__main__":
    sys.exit(main(__doc__))
