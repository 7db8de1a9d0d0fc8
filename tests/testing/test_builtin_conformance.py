"""The built-ins are held to the kit that plugins are held to."""

from __future__ import annotations

from oraclezoo.testing import conformance

test_builtins_keep_their_contract = conformance("oraclezoo")
