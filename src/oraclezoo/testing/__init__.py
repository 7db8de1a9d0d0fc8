"""The conformance kit: whether a component keeps its contract, as verdicts and as pytest tests.

Built-ins and plugins are held to the same checks. For a test file of a plugin's::

    from oraclezoo.testing import conformance

    test_conformance = conformance("my-distribution")

``oraclezoo plugins check NAME`` prints the same verdicts as a table.
"""

from oraclezoo.testing.collect import conformance
from oraclezoo.testing.kit import CHECKS, Check, Verdict, check, checks_of, find
from oraclezoo.testing.subject import Subject

__all__ = ["CHECKS", "Check", "Subject", "Verdict", "check", "checks_of", "conformance", "find"]
