"""The kit: every check, by kind, and the verdicts that they come to."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from oraclezoo.errors import UnknownNameError, UsageError
from oraclezoo.plugins.checks import CONTRACT
from oraclezoo.plugins.discovery import normalise
from oraclezoo.plugins.registry import Entry, Registry
from oraclezoo.specs import KINDS, Kind
from oraclezoo.testing import backbones, datasets, optimizers, schedulers, trackers
from oraclezoo.testing.subject import BrokenError, SkippedError, Subject, broken

Outcome = Literal["pass", "fail", "skip"]
Look = Callable[[Subject], str | None]
"""Ends in BrokenError or SkippedError, or returns a remark or nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One law of a kind's contract. ``slow``: it may take more than ten seconds."""

    kind: Kind
    name: str
    law: str
    look: Look
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found of one component; ``reason`` says why, where there is more to say."""

    kind: Kind
    name: str
    check: str
    outcome: Outcome
    reason: str = ""


def target(subject: Subject) -> None:
    """The target can be imported, and takes what it will be called with."""
    factory = subject.spec.load()
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of a class in C: building it will tell
        return
    positional, keyword = CONTRACT[subject.spec.kind]
    names = [option.name for option in subject.spec.options]
    given = dict.fromkeys([*keyword, *subject.spec.fixed, *names])
    try:
        signature.bind(*([None] * len(positional)), **given)
    except TypeError as error:
        broken(f"{subject.spec.target} cannot be called by the contract: {error}")


def _checks() -> Iterator[Check]:
    for kind in KINDS:
        yield Check(kind, "target", "can be imported and takes its arguments and options", target)
    for kind, module in (
        ("backbone", backbones),
        ("optimizer", optimizers),
        ("scheduler", schedulers),
        ("dataset", datasets),
        ("tracker", trackers),
    ):
        for look in module.CHECKS:
            name = look.__name__.replace("_", "-")
            law = " ".join((look.__doc__ or "").split(".")[0].split())
            yield Check(kind, name, law, look, slow=look in module.SLOW)


CHECKS: tuple[Check, ...] = tuple(_checks())
"""All checks, by kind."""


def find(registry: Registry, name: str) -> list[Entry]:
    """The entries that a name means: all of a distribution, or each kind's component.

    Raises UnknownNameError, or AmbiguousNameError for a bare name that two plugins offer.
    """
    of_distribution = [entry for entry in registry if entry.distribution == normalise(name)]
    if of_distribution:
        return of_distribution
    found, failures = [], []
    for kind in KINDS:
        try:
            found.append(registry.get(kind, name))
        except UnknownNameError:
            continue
        except UsageError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    if not found:
        known = {plugin.distribution for plugin in registry.plugins}
        for kind in KINDS:
            known |= set(registry.names(kind))
        raise UnknownNameError("distribution or component", name, known)
    return found


def checks_of(entry: Entry) -> list[Check]:
    """The checks that the kit has for a component."""
    return [check for check in CHECKS if check.kind == entry.spec.kind]


def is_slow(check: Check, entry: Entry) -> bool:
    """Whether a check may take more than ten seconds on this component."""
    return check.slow or (check.kind == "dataset" and datasets.is_large(entry.spec.facts))


def check(
    registry: Registry,
    entry: Entry,
    *,
    data_dir: Path | None = None,
    slow: bool = True,
) -> Iterator[Verdict]:
    """A verdict of each check, as it is found.

    ``data_dir`` is where a data set's files are. Without ``slow`` the checks that may take more
    than ten seconds are left out, and their verdict says so.
    """
    subject = Subject(registry, entry, data_dir)
    first, *others = checks_of(entry)
    verdict = judge(first, subject)
    yield verdict
    for each in others:
        if verdict.outcome == "fail":
            yield _verdict(each, subject, "skip", f"its {first.name} fails")
        elif slow or not is_slow(each, entry):
            yield judge(each, subject)
        else:
            yield _verdict(each, subject, "skip", "slow, left out")


def judge(check: Check, subject: Subject) -> Verdict:
    """The verdict of one check. Whatever a component raises is a failure, and told."""
    try:
        with torch.random.fork_rng([]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            remark = check.look(subject)
    except SkippedError as error:
        return _verdict(check, subject, "skip", str(error))
    except BrokenError as error:
        return _verdict(check, subject, "fail", str(error))
    except Exception as error:  # a component may raise anything
        text = " ".join(str(error).split())[:300]
        return _verdict(check, subject, "fail", f"{type(error).__name__}: {text}")
    return _verdict(check, subject, "pass", remark or "")


def _verdict(check: Check, subject: Subject, outcome: Outcome, reason: str) -> Verdict:
    return Verdict(check.kind, subject.entry.qualified, check.name, outcome, reason)


def document(verdict: Verdict) -> dict[str, Any]:
    """A verdict for JSON."""
    return {
        "kind": verdict.kind,
        "name": verdict.name,
        "check": verdict.check,
        "verdict": verdict.outcome,
        "reason": verdict.reason,
    }
