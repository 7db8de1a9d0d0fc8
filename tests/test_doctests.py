"""Examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import oraclezoo

LIGHT = ("api", "errors", "recipe", "registry", "resolve", "result", "specs", "suite")


def test_examples_in_docstrings_run() -> None:
    """All of them, and there is at least one."""
    tried = 0
    for module in pkgutil.iter_modules(oraclezoo.__path__, "oraclezoo."):
        if module.name.rpartition(".")[2] in LIGHT:
            outcome = doctest.testmod(importlib.import_module(module.name))
            assert outcome.failed == 0, module.name
            tried += outcome.attempted
    assert tried
