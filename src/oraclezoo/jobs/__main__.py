"""Run a job: the request on standard input, or the task in the folder that is the argument."""

from __future__ import annotations

import sys

from oraclezoo.jobs import main


def _run() -> int:
    if not sys.argv[1:]:
        return main()
    from oraclezoo.jobs.worker import run_task

    return run_task(*sys.argv[1:3])


if __name__ == "__main__":
    sys.exit(_run())
