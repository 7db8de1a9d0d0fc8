"""Weights & Biases as a tracker for oraclezoo. Imports light."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_trackers() -> list[Spec]:
    """The one tracker there is here."""
    return [
        Spec(
            kind="tracker",
            name="wandb",
            target="oraclezoo_wandb.tracker:WandbTracker",
            summary="a Weights & Biases run, offline unless its option says otherwise",
            options=(
                Option("project", "str", "oraclezoo", "project that the runs belong to"),
                Option("entity", "str", None, "user or team; by default W&B's own"),
                Option("group", "str", None, "a name that runs share"),
                Option(
                    "mode",
                    "str",
                    "offline",
                    "offline writes into the run's folder, for 'wandb sync'; online sends",
                    choices=("offline", "online"),
                ),
            ),
            facts={"needs": "a W&B account for online, nothing for offline"},
            source="https://docs.wandb.ai",
        )
    ]
