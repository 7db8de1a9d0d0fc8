"""Memory: the most that this process has held."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_bytes() -> int | None:
    """Peak resident size of this process, libraries included; None where the system is silent.

    From Linux's own record of the program, since ``getrusage`` there starts at what the parent had.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
