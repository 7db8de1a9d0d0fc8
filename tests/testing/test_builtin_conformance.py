"""Conformance of the built-in components."""

from __future__ import annotations

from pathlib import Path

import pytest

from oraclezoo.plugins.registry import build_registry
from oraclezoo.specs import KINDS
from oraclezoo.testing import check, conformance, find

test_built_in_components_keep_their_contract = conformance(
    "oraclezoo", kinds=tuple(kind for kind in KINDS if kind != "dataset")
)
test_generated_tracks_keep_their_contract = conformance("oraclezoo:glyphs", "oraclezoo:glyphs-3k")


def hold(name: str, data_dir: Path) -> None:
    """Assert that no check of a track fails or is skipped for lack of data."""
    registry = build_registry()
    (track,) = find(registry, name)
    actual = list(check(registry, track, data_dir=data_dir))
    assert [verdict for verdict in actual if verdict.outcome == "fail"] == []
    assert [verdict for verdict in actual if "not available" in verdict.reason] == []


def test_a_users_files_keep_the_contract(tiny_idx: Path) -> None:
    """Track ``idx`` with generated files."""
    hold("oraclezoo:idx", tiny_idx)


@pytest.mark.realdata
def test_real_images_keep_the_contract(oracle_dir: Path) -> None:
    """Track ``oracle-mnist-3k``, on the official test file."""
    hold("oraclezoo:oracle-mnist-3k", oracle_dir)
