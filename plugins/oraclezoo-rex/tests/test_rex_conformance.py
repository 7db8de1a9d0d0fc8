"""What this package offers keeps oraclezoo's contract."""

from oraclezoo.testing import conformance

test_conformance = conformance("oraclezoo-rex")
