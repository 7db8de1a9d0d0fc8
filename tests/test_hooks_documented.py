"""Every hook that a plugin may implement is documented."""

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
    guide = (ROOT / "docs" / "how-to" / "publish" / "plugins.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}` \|", guide, re.MULTILINE), f"add {name} to the guide"
    assert getattr(hookspecs, name).__doc__
