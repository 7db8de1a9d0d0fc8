"""Conformance checks for components, with results as verdicts or as pytest tests.

The same checks are run for built-in components and for plugins. In a plugin's test file::

    from oraclezoo.testing import conformance

    test_conformance = conformance("my-distribution")

``oraclezoo plugins check NAME`` prints the verdicts as a table.
"""

from oraclezoo.testing.collect import conformance
from oraclezoo.testing.kit import CHECKS, Check, Verdict, check, checks_of, find
from oraclezoo.testing.subject import Subject

__all__ = ["CHECKS", "Check", "Subject", "Verdict", "check", "checks_of", "conformance", "find"]
