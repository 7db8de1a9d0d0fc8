"""Worker processes: results, stopping, and death."""

from __future__ import annotations

import os

import pytest

from oraclezoo.data.workers import spread
from oraclezoo.errors import DataError


def test_a_dead_worker_raises() -> None:
    """The death of a worker is a DataError, not a hang."""
    with pytest.raises(DataError, match=r"a worker process died.*kept\n.*smaller --jobs"):
        list(spread(os._exit, [1, 2, 3], 2, lambda: False))
