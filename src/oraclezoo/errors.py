"""Exceptions of oraclezoo and their exit statuses.

A message has one or two lines, with the problem and a remedy. The library raises these exceptions;
only the command line prints them and sets the exit status.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class OracleZooError(Exception):
    """Base class of all oraclezoo exceptions."""

    exit_code = 1


class UsageError(OracleZooError):
    """Invalid name, option, key or value."""

    exit_code = 2


class InUseError(UsageError):
    """Folder that another process is writing to."""


class UnknownNameError(UsageError):
    """Unknown name. The message suggests similar names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        tail = f"; {hint}" if hint else ""
        super().__init__(f"unknown {kind} '{name}'{nearest(name, known)}{tail}")


class AmbiguousNameError(UsageError):
    """Name provided by several plugins. The message lists the qualified names."""


class UnknownOptionError(UsageError):
    """Unknown option of a component. The message suggests similar options."""


class RecipeError(UsageError):
    """Invalid recipe, suite or override."""


class PluginError(OracleZooError):
    """Plugin that violates its contract."""


class DataError(OracleZooError):
    """Missing, unreadable or corrupt data."""


class DownloadError(DataError):
    """Failed download, or a downloaded file with the wrong digest."""


class ResultError(OracleZooError):
    """Unreadable or invalid result, run or model file."""


class DivergedError(OracleZooError):
    """Training run whose loss is no longer finite."""


class OutOfMemoryError(OracleZooError):
    """Batch that does not fit in memory. The message suggests a batch size that does."""


class JobError(OracleZooError):
    """At least one benchmark job failed."""


class VerificationError(OracleZooError):
    """Failed verification, or a violated accuracy limit."""

    exit_code = 3


class InterruptedRunError(OracleZooError):
    """Run stopped on request; the work so far is kept."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of the message for an unknown name: up to three similar names, or \"\"."""
    from difflib import get_close_matches  # needed for errors only

    names = sorted(set(known))
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "; did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    if names and len(names) <= 12:
        return "; available: " + ", ".join(names)
    return ""


def command_line(*words: object) -> str:
    """Return a command as text to paste into this system's shell, quoted where necessary."""
    texts = [str(word) for word in words]
    if os.name == "nt":
        from subprocess import list2cmdline  # slow to import

        return list2cmdline(texts)
    from shlex import join

    return join(texts)
