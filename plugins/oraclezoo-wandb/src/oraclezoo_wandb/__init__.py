"""Weights & Biases tracker for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_trackers() -> list[Spec]:
    """Return the tracker ``wandb``."""
    return [
        Spec(
            kind="tracker",
            name="wandb",
            target="oraclezoo_wandb.tracker:WandbTracker",
            summary="Weights & Biases run, offline by default",
            options=(
                Option("project", "str", "oraclezoo", "project of the runs"),
                Option("entity", "str", None, "user or team; by default W&B's"),
                Option("group", "str", None, "name shared by related runs"),
                Option(
                    "mode",
                    "str",
                    "offline",
                    "offline: write to the run folder, for 'wandb sync'; online: upload",
                    choices=("offline", "online"),
                ),
            ),
            facts={"needs": "nothing; a W&B account in online mode"},
            source="https://docs.wandb.ai",
        )
    ]
