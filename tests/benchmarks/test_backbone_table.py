"""``benchmarks/backbone_table.py``: what ``list backbones`` shows is what is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "backbone_table.py"


def test_the_table_of_backbones_is_current() -> None:
    """Run the script with --write after publishing results."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
