"""The kit for pytest: one test for each check of each component."""

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
    """A test function, parametrised over the checks of the components that ``names`` mean.

    A name is a distribution or a component; ``kinds`` keeps to some kinds. ``data_dir`` is where a
    data set's files are. Assign it to a name that begins with ``test_``. Checks that may take more
    than ten seconds are marked ``slow``: register the marker, or load the fixtures of
    ``oraclezoo.testing.fixtures``, which do. Raises UnknownNameError while tests are collected
    if a name means nothing.
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

    @lru_cache(maxsize=1)  # checks of one component follow each other
    def subject_of(entry_name: tuple[str, str]) -> Subject:
        kind, name = entry_name
        return Subject(registry, registry.get(kind, name), data_dir)  # type: ignore[arg-type]  # a kind

    @pytest.mark.parametrize(("check", "entry"), cases)
    def test(check: Check, entry: Entry) -> None:
        """The component keeps this law of its contract."""
        verdict = judge(check, subject_of((entry.spec.kind, entry.qualified)))
        if verdict.outcome == "skip":
            pytest.skip(verdict.reason)
        if verdict.outcome == "fail":
            pytest.fail(f"{verdict.name}: {verdict.reason}", pytrace=False)

    return test
