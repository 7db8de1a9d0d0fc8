"""Records of runs for tests."""

from __future__ import annotations

from oraclezoo.artifacts.record import Outcome, Provenance, RunRecord
from oraclezoo.card import RecipeId, Source


def provenance(distribution: str = "oraclezoo", version: str = "0.1.0") -> Provenance:
    """The provenance of a run whose components come from one distribution."""
    return Provenance(
        recipe=RecipeId("a", "0" * 64),
        seed=0,
        oraclezoo="0.1.0",
        code_sha256="0" * 64,
        components={"optimizer": Source("x", distribution, version)},
        data_sha256={"a": "0"},
        compile="auto",
        deterministic=False,
        hardware={"class": "cpu", "threads": 1},
        libraries={},
    )


def run_record(of: Provenance | None = None, status: str = "running") -> RunRecord:
    """The record of a run without a model."""
    return RunRecord(
        provenance=of or provenance(),
        started="2026-01-01T00:00:00Z",
        status=status,
        reason=None,
        parts=(),
        pretrained=None,
        taught=None,
    )


OUTCOME = Outcome(
    steps=4,
    examples=64,
    train_s=1.5,
    compile_s=0.0,
    validation_accuracy=0.5,
    validation_loss=0.7,
    peak_memory_bytes=None,
)
