"""The components of this package pass oraclezoo's conformance kit."""

from oraclezoo.testing import conformance

test_conformance = conformance("oraclezoo-gcnn")
