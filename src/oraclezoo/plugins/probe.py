"""Load each plugin in a subprocess, to find plugins that exit or never return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from oraclezoo.plugins.discovery import EntryPoint, entry_points
from oraclezoo.plugins.host import Disabled

TIMEOUT_S = 120.0
"""Time after which loading a plugin counts as endless."""
_DONE = b"oraclezoo: loaded\n"


def crashes() -> dict[str, str]:
    """Return why plugins end the process that loads them, by ``distribution:entry point``."""
    failures = {}
    disabled = Disabled.from_environment()
    for point in entry_points():
        reason = _crash(point) if point.well_formed and not disabled.blocks(point) else ""
        if reason:
            failures[f"{point.distribution}:{point.name}"] = reason
    return failures


def _crash(point: EntryPoint) -> str:
    """Return how a process that loads only this plugin ends prematurely, or "" if it does not."""
    command = [sys.executable, "-m", "oraclezoo.plugins.probe", point.distribution, point.name]
    path = os.pathsep.join(filter(None, sys.path))
    try:
        completed = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it does not finish loading within {TIMEOUT_S:.0f} s"
    if _DONE in completed.stdout:
        return ""
    if completed.returncode < 0:
        return f"it kills the process that loads it ({signal.Signals(-completed.returncode).name})"
    return f"it ends the process that loads it (exit status {completed.returncode})"


def main() -> None:
    """Load the plugin named in the arguments and report success; the host reports errors."""
    distribution, name = sys.argv[1:]
    for point in entry_points():
        if (point.distribution, point.name) == (distribution, name):
            with suppress(BaseException):  # the host reports errors when it loads the plugin
                point.load()
    os.write(1, _DONE)


if __name__ == "__main__":
    main()
