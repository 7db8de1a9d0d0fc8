"""Start a benchmark that outlives the process that started it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from oraclezoo.cli._shared.app import emit_json, say
from oraclezoo.errors import JobError
from oraclezoo.executors.campaign import FOLDER, Campaign

LOG = "log.txt"
"""File in a campaign's folder with the output of its supervising process."""

_ANNOUNCED = re.compile(r"^campaign [0-9a-f]+ in (.+)$", re.MULTILINE)


def start(arguments: Sequence[str], runs: str, *, as_json: bool) -> None:
    """Run the same command in a new session, and return once it has started its campaign.

    If the executor's jobs outlive a process, the new process submits them and ends.

    Args:
        arguments: Arguments of this process, with ``--detach``.
        runs: Folder for runs.
        as_json: Whether to print the campaign as JSON.

    Raises:
        JobError: The command failed before its campaign started.
    """
    command = [word for word in arguments if word not in ("--detach", "--json")]
    if not any(word == "--on" or word.startswith("--on=") for word in command):
        command += ["--on", "local"]
    folder = Path(runs) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"detached-{secrets.token_hex(4)}.txt"
    environment = dict(os.environ)
    environment.pop("ORACLEZOO_BENCH_DETACH", None)  # sets --detach like the option itself
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oraclezoo", *command, "--leave"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
        )
    campaign = _announced(process, path)
    with contextlib.suppress(OSError):  # Windows does not rename open files
        path.replace(campaign.folder / LOG)
    if as_json:
        emit_json(
            "oraclezoo/bench-detached/1", {"campaign": campaign.id, "folder": str(campaign.folder)}
        )
        return
    click.echo(campaign.folder)
    say(f"campaign {campaign.id} has started; 'oraclezoo bench status {campaign.folder}' shows it")


def _announced(process: subprocess.Popen[bytes], path: Path) -> Campaign:
    """Wait until the process has started its campaign, or has submitted all of it."""
    while True:
        status = process.poll()
        text = path.read_text(encoding="utf-8", errors="replace")
        match = _ANNOUNCED.search(text)
        if match and (status is None or not status):
            return Campaign(Path(match[1]))
        if status is not None:
            lines = [line for line in text.splitlines() if line.strip()]
            message = lines[-1].removeprefix("oraclezoo: ") if lines else f"status {status}"
            path.unlink(missing_ok=True)
            raise JobError(f"the campaign did not start: {message}")
        time.sleep(0.1)
