"""MLflow tracker for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_trackers() -> list[Spec]:
    """Return the tracker ``mlflow``."""
    return [
        Spec(
            kind="tracker",
            name="mlflow",
            target="oraclezoo_mlflow.tracker:MlflowTracker",
            summary="MLflow run, in an SQLite file next to the run folders or on a server",
            options=(
                Option("experiment", "str", "oraclezoo", "name of the experiment"),
                Option(
                    "uri",
                    "str",
                    None,
                    "sqlite:///FILE or a server; by default next to the runs",
                ),
            ),
            facts={"needs": "nothing, or a server if its address is given"},
            source="https://mlflow.org",
        )
    ]
