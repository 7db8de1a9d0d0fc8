"""Every hook that a plugin may implement is documented and tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oraclezoo import hookspecs
from oraclezoo.plugins.checks import HOOKS

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(name for name, item in vars(hookspecs).items() if hasattr(item, "oraclezoo_spec"))


def test_the_hooks_are_found() -> None:
    """The names below are those of the host, so that no hook escapes the other tests."""
    assert sorted(HOOKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_hook_is_documented(name: str) -> None:
    """The plugin author's guide has the hook in its table, and the hook says what it is."""
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}` \|", guide, re.MULTILINE), f"add {name} to docs/plugins.md"
    assert getattr(hookspecs, name).__doc__


@pytest.mark.parametrize("name", NAMES)
def test_hook_is_tested(name: str) -> None:
    """Some test file implements or calls the hook by its name."""
    users = [
        path.relative_to(ROOT)
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
    ]
    assert users, f"no test under tests/ uses {name}"
