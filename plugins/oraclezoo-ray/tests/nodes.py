"""Ray cluster of several raylets on this machine, for tests; all but the head can be killed."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray runs tasks with low priority, which takes long on a busy machine
os.environ.setdefault("RAY_worker_niceness", "0")

STORE_BYTES = 100_000_000


class Nodes:
    """A running cluster.

    Args:
        count: Number of nodes; the first one is the head.
        cpus: CPUs that each node offers; they are not tied to cores of this machine.
    """

    def __init__(self, count: int = 2, cpus: int = 1) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(shutdown_at_exit=True)
        shared = {"num_cpus": cpus, "object_store_memory": STORE_BYTES}
        # the head has this machine's address, so that drivers connect to it, and not to others
        self._nodes = [self._cluster.add_node(include_dashboard=False, **shared)]
        for index in range(1, count):
            address = f"127.0.0.{index + 2}"
            self._nodes.append(self._cluster.add_node(node_ip_address=address, **shared))

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
