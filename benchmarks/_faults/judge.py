"""From the outcome of a command to a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable

from _faults.lab import mentions
from _faults.process import Ran
from _faults.records import Attempt, Verdict

_UNEXPECTED = re.compile(r"\bunexpected \w*(Error|Exception|Interrupt|Exit|Warning|Iteration)\b")


def crash(ran: Ran) -> tuple[Verdict, str] | None:
    """Return the verdict of a process that hung, died, or showed a traceback."""
    if ran.status is None:
        return Verdict.HANG, "no end within the time limit"
    if ran.status < 0:
        return Verdict.TRACEBACK, f"the process died of signal {-ran.status}"
    if "Traceback (most recent call last)" in ran.err:
        return Verdict.TRACEBACK, ran.err.strip().splitlines()[-1][:200]
    found = _UNEXPECTED.search(ran.said)
    if found:
        line = next(line for line in ran.said.splitlines() if found[0] in line)
        return Verdict.UNEXPECTED, line[:200]
    return None


def message(ran: Ran) -> str:
    """Return the error message of a command: the last lines of standard error, or of its report."""
    lines = [line for line in (ran.err.strip() or ran.said).splitlines() if line.strip()]
    return " | ".join(lines[-2:])[:240]


def refused(what: str, ran: Ran, *words: str, lost: Callable[[], str] = lambda: "") -> Attempt:
    """Expect a non-zero exit status and a message that matches each of ``words``.

    ``lost`` returns what was lost all the same, or "".
    """
    verdict, why = crash(ran) or _refusal(ran, words)
    harm = lost()
    if harm and verdict is Verdict.REFUSED:
        verdict, why = Verdict.LOST, f"refused ({message(ran)}), but {harm}"
    elif harm:
        why = f"{why}; {harm}"
    return Attempt(what, verdict, why, str(ran))


def _refusal(ran: Ran, words: tuple[str, ...]) -> tuple[Verdict, str]:
    if ran.status == 0:
        return Verdict.LOST, f"accepted: {message(ran) or 'no message'}"
    # a report, such as the doctor's, is a message on standard output
    if not (ran.said if words else ran.err).strip():
        return Verdict.LOST, f"ended with status {ran.status} and no message"
    missing = mentions(ran.said, *words)
    if missing:
        return Verdict.UNCLEAR, f"does not say {', '.join(missing)}: {message(ran)}"
    return Verdict.REFUSED, message(ran)


def survived(what: str, ran: Ran, fault: Callable[[], str] = lambda: "", *words: str) -> Attempt:
    """Expect success, a correct result (``fault`` returns what is wrong, or "") and ``words``."""
    verdict, why = crash(ran) or (Verdict.SURVIVED, "")
    if verdict is Verdict.SURVIVED and ran.status != 0:
        verdict, why = Verdict.UNCLEAR, f"refused what is valid: {message(ran)}"
    elif verdict is Verdict.SURVIVED:
        wrong, missing = fault(), mentions(ran.said, *words)
        if wrong:
            verdict, why = Verdict.LOST, wrong
        elif missing:
            verdict, why = Verdict.UNCLEAR, f"does not say {', '.join(missing)}"
    return Attempt(what, verdict, why, str(ran))


def told(what: str, ran: Ran, *words: str) -> Attempt:
    """Expect a refusal or a success whose output matches ``words``; success without is a loss."""
    if ran.status != 0:
        return refused(what, ran, *words)
    verdict, why = crash(ran) or (Verdict.SURVIVED, "")
    missing = mentions(ran.said, *words)
    if verdict is Verdict.SURVIVED and missing:
        verdict, why = Verdict.LOST, f"worked without a word on {', '.join(missing)}"
    return Attempt(what, verdict, why, str(ran))


def handled(what: str, ran: Ran, fault: Callable[[], str] = lambda: "") -> Attempt:
    """Expect either a refusal in words, or success with a correct result."""
    return survived(what, ran, fault) if ran.status == 0 else refused(what, ran)


def checked(
    what: str, fault: str, ran: Ran | None = None, *, verdict: Verdict = Verdict.LOST
) -> Attempt:
    """Judge a state of files or of output by what is wrong with it, or ""."""
    text = "" if ran is None else str(ran)
    return Attempt(what, verdict if fault else Verdict.SURVIVED, fault, text)


def skipped(what: str, why: str) -> Attempt:
    """An attempt that this machine cannot make."""
    return Attempt(what, Verdict.SKIPPED, why)
