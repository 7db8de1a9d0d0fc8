"""A private Slurm cluster of two nodes, for the tests that need one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cluster import Cluster, missing


def pytest_addoption(parser: pytest.Parser) -> None:
    with suppress(ValueError):  # plugins/conftest.py has added it
        parser.addoption("--full", action="store_true", help="run tests marked `full` as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests marked ``full`` unless ``--full`` is given."""
    if config.getoption("--full"):
        return
    deselected = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a cluster, which the Slurm commands of this process use; skip without Slurm."""
    absent = missing()
    if absent:
        pytest.skip(f"{absent} not installed; Debian: apt install slurmctld slurmd munge")
    started = Cluster(tmp_path_factory.mktemp("slurm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(started.conf))
        try:
            started.start()
            yield started
        finally:
            started.stop()
