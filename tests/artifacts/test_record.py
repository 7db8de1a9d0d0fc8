"""Comparison of a kept run with the run that would be made now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oraclezoo.artifacts.record import refuse_other
from oraclezoo.artifacts.run import Run
from oraclezoo.errors import ResultError, UsageError


def identity(distribution: str, version: str) -> dict[str, Any]:
    """Data and components of a run, the optimizer from this distribution."""
    optimizer = {"name": "x", "distribution": distribution, "version": version}
    return {"data_sha256": {"a": "0"}, "components": {"optimizer": optimizer}}


def test_a_newer_oraclezoo_resumes_a_run(tmp_path: Path) -> None:
    """The version of oraclezoo's own components may differ, the name may not."""
    run = Run(tmp_path)
    run.update(**identity("oraclezoo", "0.1.0"))
    refuse_other(run, identity("oraclezoo", "0.2.0"))
    renamed = identity("oraclezoo", "0.2.0")
    renamed["components"]["optimizer"]["name"] = "y"
    with pytest.raises(UsageError, match="other components"):
        refuse_other(run, renamed)


def test_another_version_of_a_plugin_is_refused(tmp_path: Path) -> None:
    """A plugin does not promise that its checkpoints are compatible."""
    run = Run(tmp_path)
    run.update(**identity("a-plugin", "1.0"))
    refuse_other(run, identity("a-plugin", "1.0"))
    with pytest.raises(UsageError, match="other components"):
        refuse_other(run, identity("a-plugin", "1.1"))


def test_a_run_that_is_not_scored_is_refused(tmp_path: Path) -> None:
    """The typed record needs outcome, digests and calibration; it merges both sets of digests."""
    run = Run(tmp_path)
    outcome = {
        "steps": 4,
        "examples": 64,
        "train_s": 1.5,
        "compile_s": 0.0,
        "validation_accuracy": 0.5,
        "peak_memory_bytes": None,
    }
    run.update(data_sha256={"a": "0"}, outcome={**outcome, "compiled": False})
    with pytest.raises(ResultError, match="not a scored run"):
        run.scored()
    run.update(test_sha256={"b": "1"}, calibration_s=None)
    record = run.scored()
    assert record.data_sha256 == {"a": "0", "b": "1"}
    assert (record.outcome.steps, record.robust) == (4, None)
