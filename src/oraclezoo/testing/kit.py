"""Conformance kit: the checks for each kind of component, and their verdicts."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from oraclezoo.errors import UnknownNameError, UsageError
from oraclezoo.plugins.calls import collected, foreign
from oraclezoo.plugins.checks import CONTRACT
from oraclezoo.plugins.discovery import normalize
from oraclezoo.plugins.process_state import preserved
from oraclezoo.plugins.registry import Entry, Registry
from oraclezoo.specs import KINDS, Kind
from oraclezoo.testing import (
    backbones,
    datasets,
    executors,
    models,
    optimizers,
    schedulers,
    trackers,
)
from oraclezoo.testing.subject import SkippedError, Subject, ViolationError, fail
from oraclezoo.testing.training import training_step

Outcome = Literal["pass", "fail", "skip"]
TRAINED = ("backbone", "optimizer", "scheduler", "dataset")
"""Kinds of components that take part in a training step."""

Function = Callable[[Subject], str | None]
"""Check function: raises ViolationError or SkippedError, or returns an optional remark."""


@dataclass(frozen=True, slots=True)
class Check:
    """A conformance check for a kind of component; ``slow`` if it may take over ten seconds."""

    kind: Kind
    name: str
    law: str
    function: Function
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a check for a component, with an optional ``reason``."""

    kind: Kind | Literal["plugin"]
    name: str
    check: str
    outcome: Outcome
    reason: str = ""


def target(subject: Subject) -> None:
    """The target can be imported and accepts its arguments."""
    guarded = subject.spec.kind in TRAINED and not subject.entry.builtin
    with foreign(str(subject.entry), "imported", guarded=guarded):
        factory = subject.spec.load()
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # a class implemented in C; other checks build it
        return
    positional, keyword = CONTRACT[subject.spec.kind]
    names = [option.name for option in subject.spec.options]
    keywords = dict.fromkeys([*keyword, *subject.spec.fixed, *names])
    try:
        signature.bind(*([None] * len(positional)), **keywords)
    except TypeError as error:
        fail(f"{subject.spec.target} cannot be called as the contract requires: {error}")


def _checks() -> Iterator[Check]:
    for kind in KINDS:
        yield Check(kind, "target", "can be imported and accepts its arguments and options", target)
    for kind, module in (
        ("backbone", backbones),
        ("optimizer", optimizers),
        ("scheduler", schedulers),
        ("dataset", datasets),
        ("tracker", trackers),
        ("model", models),
        ("executor", executors),
    ):
        for function in module.CHECKS:
            yield _check(kind, function, slow=function in module.SLOW)
        if kind in TRAINED:
            yield _check(kind, training_step)


def _check(kind: Kind, function: Function, *, slow: bool = False) -> Check:
    law = " ".join((function.__doc__ or "").split(".")[0].split())
    return Check(kind, function.__name__.replace("_", "-"), law, function, slow)


CHECKS: tuple[Check, ...] = tuple(_checks())
"""All checks, grouped by kind of component."""


def find(registry: Registry, name: str) -> list[Entry]:
    """Return all entries of a distribution, or the entries of any kind with a component's name.

    Raises UnknownNameError for an unknown name, and AmbiguousNameError for an unqualified name that
    two plugins provide.
    """
    of_distribution = [entry for entry in registry if entry.distribution == normalize(name)]
    if of_distribution:
        return of_distribution
    entries, failures = [], []
    for kind in KINDS:
        try:
            entries.append(registry.get(kind, name))
        except UnknownNameError:
            continue
        except UsageError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    if not entries:
        known = {plugin.distribution for plugin in registry.plugins}
        for kind in KINDS:
            known |= set(registry.names(kind))
        raise UnknownNameError("distribution or component", name, known)
    return entries


def checks_of(entry: Entry) -> list[Check]:
    """Return the checks for a component, which depend on its kind."""
    return [check for check in CHECKS if check.kind == entry.spec.kind]


def is_slow(check: Check, entry: Entry) -> bool:
    """Return whether a check may take more than ten seconds for this component."""
    facts = entry.spec.facts
    return (
        check.slow
        or (check.kind == "dataset" and datasets.is_large(facts))
        or (check.kind == "model" and models.is_remote(facts))
    )


def check(
    registry: Registry,
    entry: Entry,
    *,
    data_dir: Path | None = None,
    slow: bool = True,
) -> Iterator[Verdict]:
    """Run all checks of a component and yield their verdicts.

    Args:
        registry: Registry that contains the entry.
        entry: Registry entry of the component to check.
        data_dir: Folder with a data set's files.
        slow: Whether to run checks that may take more than ten seconds; if False, their verdict is
            "skip".
    """
    subject = Subject(registry, entry, data_dir)
    first, *others = checks_of(entry)
    verdict = judge(first, subject)
    yield verdict
    for each in others:
        if verdict.outcome == "fail":
            yield _verdict(each, subject, "skip", f"its check {first.name} fails")
        elif slow or not is_slow(each, entry):
            yield judge(each, subject)
        else:
            yield _verdict(each, subject, "skip", "slow check, not run")


def judge(check: Check, subject: Subject) -> Verdict:
    """Run a check; if the component raises any exception, the verdict is "fail"."""
    try:
        with (
            torch.random.fork_rng([]),
            warnings.catch_warnings(),
            preserved([], randomness=False),
            collected() as changes,
        ):
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            try:
                remark = check.function(subject)
            finally:
                subject.changes += changes
    except SkippedError as error:
        return _verdict(check, subject, "skip", str(error))
    except ViolationError as error:
        return _verdict(check, subject, "fail", str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a component may raise anything, even SystemExit
        text = " ".join(str(error).split())[:300]
        return _verdict(check, subject, "fail", f"{type(error).__name__}: {text}")
    return _verdict(check, subject, "pass", remark or "")


def _verdict(check: Check, subject: Subject, outcome: Outcome, reason: str) -> Verdict:
    return Verdict(check.kind, subject.entry.qualified, check.name, outcome, reason)


def document(verdict: Verdict) -> dict[str, Any]:
    """Convert a verdict to a JSON document."""
    return {
        "kind": verdict.kind,
        "name": verdict.name,
        "check": verdict.check,
        "verdict": verdict.outcome,
        "reason": verdict.reason,
    }
