"""MLflow as a tracker for oraclezoo. Imports light."""

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
            name="mlflow",
            target="oraclezoo_mlflow.tracker:MlflowTracker",
            summary="an MLflow run, in an SQLite file beside the run folders or on a server",
            options=(
                Option("experiment", "str", "oraclezoo", "experiment that the runs belong to"),
                Option(
                    "uri",
                    "str",
                    None,
                    "sqlite:///FILE or a server; by default beside the runs",
                ),
            ),
            facts={"needs": "nothing; a server if its address is given"},
            source="https://mlflow.org",
        )
    ]
