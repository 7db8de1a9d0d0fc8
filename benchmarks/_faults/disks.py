"""File systems that refuse to be written to."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """Mount an empty file system in memory on a new folder; yields whether that worked."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Make a new folder that cannot be written to; yields whether that worked.

    Root ignores permissions, so root mounts a file system for reading only.
    """
    with mounted(folder, "ro") as done:
        if not done:
            folder.chmod(0o555)
        yield done or os.geteuid() != 0
