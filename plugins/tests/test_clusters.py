"""Executors on clusters of two nodes, one of which is killed while a benchmark runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import clusters  # noqa: E402

pytestmark = [pytest.mark.full, pytest.mark.timeout(2 * clusters.LIMIT_S)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Run the benchmark on this machine; return the folder and the results."""
    root = tmp_path_factory.mktemp("clusters")
    clusters.characters(root / "data")
    (root / "local").mkdir()
    clusters.bench(root / "local", None)
    return root, clusters.results(root / "local")


@pytest.mark.parametrize("executor", clusters.EXECUTORS)
def test_a_lost_node_loses_nothing(executor: str, reference: tuple[Path, dict[str, Any]]) -> None:
    """All results are there, none was computed twice, and each prediction equals the local one."""
    if executor == "slurm":
        cluster = clusters.module(ROOT / "plugins/oraclezoo-slurm/tests/cluster.py")
        if cluster.missing():
            pytest.skip(f"{cluster.missing()} not installed")
    root, expected = reference
    actual = clusters.measure(executor, root / executor, expected)
    assert actual["done_at_kill"] < clusters.JOBS
    assert actual["restarted"] >= 1
    assert actual["results"] == actual["runs"] == clusters.JOBS
    assert actual["accuracies_equal"]
    assert actual["predictions_equal"]
    assert actual["runs_changed_after_the_end"] == []
