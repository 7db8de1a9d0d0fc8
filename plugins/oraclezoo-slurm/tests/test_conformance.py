"""The conformance kit on a real Slurm cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Cluster, missing

from oraclezoo.testing import conformance


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start a cluster with eight cores, for a hundred jobs."""
    absent = missing()
    if absent:
        pytest.skip(f"{absent} not installed; Debian: apt install slurmctld slurmd munge")
    started = Cluster(tmp_path_factory.mktemp("slurm"), cpus=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(started.conf))
        try:
            started.start()
            yield
        finally:
            started.stop()


test_conformance = pytest.mark.full(
    pytest.mark.usefixtures("cluster")(conformance("oraclezoo-slurm"))
)
