"""Ray cluster of several raylets on this machine, for tests; a node can be killed."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray runs tasks with low priority, which takes long on a busy machine
os.environ.setdefault("RAY_worker_niceness", "0")

STORE_BYTES = 100_000_000


class Nodes:
    """A running cluster, each node with its own address of the loopback interface.

    Args:
        count: Number of nodes; the first one is the head.
        cpus: CPUs that each node offers; they are not tied to cores of this machine.
    """

    def __init__(self, count: int = 2, cpus: int = 1) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(shutdown_at_exit=True)
        self._nodes = [
            self._cluster.add_node(
                num_cpus=cpus,
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                node_ip_address=f"127.0.0.{index + 2}",
            )
            for index in range(count)
        ]

    @property
    def address(self) -> str:
        """Address of the cluster."""
        return str(self._cluster.address)

    def kill_last(self) -> None:
        """Kill a node like a power failure: its raylet and all its workers."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def stop(self) -> None:
        """Stop all nodes."""
        self._cluster.shutdown()
