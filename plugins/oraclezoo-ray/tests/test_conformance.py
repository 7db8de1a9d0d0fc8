"""The conformance kit, on clusters that are started here."""

from __future__ import annotations

import pytest

from oraclezoo.testing import conformance

test_conformance = pytest.mark.full(conformance("oraclezoo-ray"))
