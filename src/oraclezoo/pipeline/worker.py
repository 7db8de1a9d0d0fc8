"""Worker: starts a job in a process of its own and listens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from oraclezoo.errors import InterruptedRunError

Event = dict[str, Any]
STDERR_KEPT = 4000
"""Characters of a failed job's standard error that its last event carries."""


def run_job(
    request: dict[str, Any], on_event: Callable[[Event], None] = lambda event: None
) -> Event:
    """Run one job to its end; its last event, or a ``failed`` one that says how it died.

    Raises InterruptedRunError when stopped by Ctrl-C, after the job has kept its state.
    """
    last: Event = {"event": "done"}
    command = [sys.executable, "-m", "oraclezoo.pipeline.job"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            for line in process.stdout:
                last = json.loads(line)
                on_event(last)
            status = process.wait()
        except BrokenPipeError:
            status = process.wait()
        except BaseException:
            # a second one if the terminal sent it already; Windows has no SIGINT for others
            process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)
            process.wait()
            raise
        finally:
            process.stdout.close()
        if last.get("reason") == "interrupted":
            raise InterruptedRunError(str(last["message"]))
        if status:
            stderr.seek(0)
            text = stderr.read()
            if last["event"] != "failed":
                last = {"event": "failed", **_post_mortem(status, text)}
            last["stderr"] = text[-STDERR_KEPT:]
    return last


def _post_mortem(status: int, stderr: str) -> dict[str, str]:
    """Reason and message for a job that ended without a word of its own."""
    tail = [line for line in stderr.splitlines() if line.strip()][-1:]
    said = f": {tail[0].strip()}" if tail else ""
    if status < 0:
        name = signal.Signals(-status).name
        return {"reason": "killed", "message": f"the job's process was killed by {name}{said}"}
    return {"reason": "error", "message": f"the job's process ended with status {status}{said}"}
