"""Every error that oraclezoo raises on purpose, and the exit status each one means.

A message is one or two lines and says what to do next. Only the command line turns these into
printed text and exit codes; the library raises them.
"""

from __future__ import annotations

from collections.abc import Iterable


class OracleZooError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 1


class UsageError(OracleZooError):
    """What was asked for cannot mean anything: a wrong name, option, key or value."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that nothing goes by. The message lists the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        tail = f"; {hint}" if hint else ""
        super().__init__(f"unknown {kind} '{name}'{nearest(name, known)}{tail}")


class AmbiguousNameError(UsageError):
    """A bare name that two plugins offer. The message lists the qualified ones."""


class UnknownOptionError(UsageError):
    """An option that a component does not have. The message lists the nearest ones."""


class RecipeError(UsageError):
    """A recipe or suite file, or an override, that cannot be read."""


class PluginError(OracleZooError):
    """A plugin that does not keep the contract."""


class DataError(OracleZooError):
    """Data that is absent, unreadable, or not what it claims to be."""


class DownloadError(DataError):
    """A download that did not arrive or is not the file it should be."""


class ResultError(OracleZooError):
    """A result or run file that is unreadable or breaks the schema."""


class DivergedError(OracleZooError):
    """A training whose loss is no longer finite."""


class OutOfMemoryError(OracleZooError):
    """A batch that does not fit into memory. The message names a size that does."""


class JobError(OracleZooError):
    """At least one benchmark job failed."""


class VerificationError(OracleZooError):
    """A gate or a verification that was not met."""

    exit_code = 3


class InterruptedRunError(OracleZooError):
    """Stopped on request, with the work so far kept."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: up to three near ones, or nothing."""
    from difflib import get_close_matches  # of use to an error only

    names = sorted(set(known))
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "; did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    if names and len(names) <= 12:
        return "; there is " + ", ".join(names)
    return ""
