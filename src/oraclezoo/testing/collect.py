"""Pytest tests for conformance, one for each check of each component."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from oraclezoo.plugins.registry import Entry, build_registry
from oraclezoo.testing.kit import Check, checks_of, find, is_slow, judge
from oraclezoo.testing.subject import Subject


def conformance(
    *names: str, data_dir: Path | None = None, kinds: tuple[str, ...] = ()
) -> Callable[..., None]:
    """Return a pytest test function that is parametrized over the checks of components.

    Assign the function to a name that begins with ``test_``. Checks that may take more than ten
    seconds are marked ``slow``; register the marker, or load ``oraclezoo.testing.fixtures``, which
    registers it.

    Args:
        names: Names of distributions or components.
        data_dir: Folder with a data set's files.
        kinds: Kinds of components to check; all kinds if empty.

    Raises:
        UnknownNameError: A name is unknown. The error is raised during collection.
    """
    import pytest

    registry = build_registry()
    entries = [entry for name in names for entry in find(registry, name)]
    cases = [
        pytest.param(
            check,
            entry,
            id=f"{entry.spec.kind}-{entry.spec.name}-{check.name}",
            marks=[pytest.mark.slow] if is_slow(check, entry) else [],
        )
        for entry in entries
        if not kinds or entry.spec.kind in kinds
        for check in checks_of(entry)
    ]

    @lru_cache(maxsize=1)  # all checks of a component are consecutive
    def subject_of(entry_name: tuple[str, str]) -> Subject:
        kind, name = entry_name
        return Subject(registry, registry.get(kind, name), data_dir)  # type: ignore[arg-type]  # a kind

    @pytest.mark.parametrize(("check", "entry"), cases)
    def test(check: Check, entry: Entry) -> None:
        """The component passes this conformance check."""
        verdict = judge(check, subject_of((entry.spec.kind, entry.qualified)))
        if verdict.outcome == "skip":
            pytest.skip(verdict.reason)
        if verdict.outcome == "fail":
            pytest.fail(f"{verdict.name}: {verdict.reason}", pytrace=False)

    return test
