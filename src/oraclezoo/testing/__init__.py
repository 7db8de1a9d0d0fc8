"""Conformance checks of component contracts, as verdicts and as pytest tests.

Built-in components and plugins run the same checks. In a plugin's test file::

    from oraclezoo.testing import conformance

    test_conformance = conformance("my-distribution")

``oraclezoo plugins check NAME`` prints the same verdicts as a table.
"""

from oraclezoo.testing.collect import conformance
from oraclezoo.testing.kit import CHECKS, Check, Verdict, check, checks_of, find
from oraclezoo.testing.subject import Subject

__all__ = ["CHECKS", "Check", "Subject", "Verdict", "check", "checks_of", "conformance", "find"]
