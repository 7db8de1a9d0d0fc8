"""Records of the harness: cases, attempts and their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _faults.lab import Lab


class Verdict(Enum):
    """How an attempt ended. All but the first two, and ``SKIPPED``, are faults.

    REFUSED     non-zero exit status and a message that names the cause
    SURVIVED    the command worked, and its result is correct
    LOST        a wrong result in silence, lost or mixed data, or a failure without a message
    UNCLEAR     nothing lost, but the message misleads, or valid input was refused
    TRACEBACK   a traceback, or a process that died of a signal of its own
    UNEXPECTED  the message says "unexpected"
    HANG        no end within the time limit
    SKIPPED     this machine cannot try it
    """

    REFUSED = "refused"
    SURVIVED = "survived"
    LOST = "lost"
    UNCLEAR = "unclear"
    TRACEBACK = "tracebacks"
    UNEXPECTED = "unexpected"
    HANG = "hangs"
    SKIPPED = "skipped"


FAULTS = (Verdict.LOST, Verdict.UNCLEAR, Verdict.TRACEBACK, Verdict.UNEXPECTED, Verdict.HANG)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried, and what came out of it."""

    what: str
    verdict: Verdict
    why: str = ""
    ran: str = ""

    @property
    def failed(self) -> bool:
        """Whether the attempt shows a fault."""
        return self.verdict in FAULTS


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table: a sentence that states a fault, or a kind of input."""

    name: str
    sentence: str
    attempts: Callable[[Lab], Iterator[Attempt]]


@dataclass(frozen=True, slots=True)
class Row:
    """Counts of a case, and its faults in words (at most ``SHOWN``)."""

    section: str
    name: str
    sentence: str
    tried: int
    counts: dict[str, int]
    faults: tuple[str, ...]
    seconds: float

    @property
    def failed(self) -> int:
        """Number of attempts that show a fault."""
        return sum(self.counts[verdict.value] for verdict in FAULTS)


SHOWN = 5
"""Number of faults of a row that the document describes."""


def summarize(section: str, case: Case, attempts: Iterable[Attempt], seconds: float) -> Row:
    """Count the attempts of a case; skipped ones are not tried."""
    attempts = list(attempts)
    counted = Counter(attempt.verdict for attempt in attempts)
    seen: dict[str, str] = {}
    for attempt in attempts:
        if attempt.failed:
            seen.setdefault(
                attempt.why[:40], f"{attempt.what}: {attempt.verdict.value}: {attempt.why}"
            )
    return Row(
        section,
        case.name,
        case.sentence,
        sum(counted.values()) - counted[Verdict.SKIPPED],
        {verdict.value: counted[verdict] for verdict in Verdict},
        tuple(list(seen.values())[:SHOWN]),
        round(seconds, 1),
    )
