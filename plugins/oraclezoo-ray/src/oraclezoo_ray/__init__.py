"""Ray executor for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_executors() -> list[Spec]:
    """Return the executor ``ray``."""
    return [
        Spec(
            kind="executor",
            name="ray",
            target="oraclezoo_ray.executor:Ray",
            summary="tasks of a Ray cluster, started on this machine or at an address",
            options=(
                Option(
                    "address",
                    "str",
                    None,
                    "address of a cluster, e.g. auto or 10.0.0.5:6379; by default, start one here",
                ),
                Option("workers", "int", None, "CPUs of a cluster that is started here", low=1),
                Option("cpus", "float", 1.0, "CPUs that a task reserves", low=0.0),
                Option("gpus", "float", 0.0, "GPUs that a task reserves", low=0.0),
                Option("memory_gb", "float", 0.0, "memory that a task reserves", low=0.0),
                Option("retries", "int", 3, "times that Ray restarts a task of a lost node", low=0),
                Option(
                    "shared",
                    "bool",
                    True,
                    "nodes see this machine's folders; if not, files are copied there and back",
                ),
                Option(
                    "ship_mb", "int", 1024, "largest archive that is copied, in megabytes", low=1
                ),
            ),
            facts={"needs": "Ray and oraclezoo, in the same versions on all nodes"},
            source="https://docs.ray.io",
        )
    ]
