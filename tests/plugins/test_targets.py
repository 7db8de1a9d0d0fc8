"""Existence of targets is checked without importing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from oraclezoo.plugins.registry import build_registry
from oraclezoo.plugins.targets import missing

HEAVY = """
raise RuntimeError("nobody imports this")
import os
from json import dumps as written

LIMIT: int = 3
one = two = 1
if LIMIT:
    def inside(): ...
try:
    import tomllib as parser
except ImportError:
    parser = None


class Net:
    class Inner: ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a package whose modules raise on import."""
    name = "zoo_target_package"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(HEAVY)
    (folder / "net.py").write_text(HEAVY)
    (folder / "star.py").write_text("from os.path import *\n")
    (folder / "lazy.py").write_text("def __getattr__(name): ...\n")
    (folder / "broken.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    "attribute", ["Net", "Net.Inner", "LIMIT", "two", "inside", "written", "parser", "os"]
)
def test_what_a_module_defines_is_there(package: str, attribute: str) -> None:
    """Classes, functions, values and imports are found without running code."""
    assert missing(f"{package}.net:{attribute}") == ""
    assert package not in sys.modules


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("{}.nett:Net", "no module named '{}.nett'"),
        ("{}_x.net:Net", "no module named '{}_x'"),
        ("{}.net.deep:Net", "'{}.net' is a module, not a package, so '{}.net.deep' cannot exist"),
        ("{}.net:Nett", "'{}.net' defines no 'Nett'; did you mean 'Net'"),
        ("{}.net:Inner", "'{}.net' defines no 'Inner'"),
    ],
)
def test_what_is_not_there_is_told(package: str, target: str, why: str) -> None:
    """The reason names the module or the attribute, with a suggestion."""
    assert missing(target.replace("{}", package)).startswith(why.replace("{}", package))


@pytest.mark.parametrize("module", ["star", "lazy", "broken"])
def test_what_cannot_be_told_may_be_there(package: str, module: str) -> None:
    """``import *``, ``__getattr__`` and invalid source are inconclusive."""
    assert missing(f"{package}.{module}:Anything") == ""


def test_a_module_in_c_may_have_anything() -> None:
    """It has no source to search."""
    assert missing("math:no_such_function") == ""


def test_all_targets_of_the_built_ins_are_there() -> None:
    """The doctor's check holds for oraclezoo itself."""
    targets = [entry.spec.target for entry in build_registry() if entry.builtin]
    assert targets
    assert [why for target in targets if (why := missing(target))] == []
