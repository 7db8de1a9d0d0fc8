"""A training as an MLflow run."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

STATUS = {"done": "FINISHED", "interrupted": "KILLED"}
"""What MLflow calls the ends that are no failures."""

AT_ONCE = 100
"""Parameters that a server takes in one request."""

LONGEST = 500
"""Characters of a parameter's value that every store takes."""


class MlflowTracker:
    """Keeps oraclezoo.contracts.Tracker, by MLflow's client alone: nothing global is set."""

    def __init__(
        self,
        *,
        run_name: str,
        folder: Path,
        config: Mapping[str, Any],
        experiment: str,
        uri: str | None,
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from filelock import FileLock
        from mlflow import MlflowClient

        self.home = folder.resolve().parent if uri is None else None
        # several trainings may begin at once, and MLflow makes a new file's tables without a lock
        alone = nullcontext() if self.home is None else FileLock(self.home / ".mlflow.lock")
        with alone:
            self.client = MlflowClient(tracking_uri=uri or f"sqlite:///{self.home}/mlflow.db")
            number = self._experiment(experiment)
        place = str(folder.resolve())
        key = hashlib.sha256(place.encode()).hexdigest()  # MLflow's filters cannot quote any text
        found = self._earlier(number, key) if config.get("resumed_step") else None
        if found is not None:
            self.run_id = found
            self.client.update_run(self.run_id, status="RUNNING")
            return  # its parameters stand, and MLflow does not change them
        tags = {"oraclezoo.folder": place, "oraclezoo.key": key}
        self.run_id = self.client.create_run(number, run_name=run_name, tags=tags).info.run_id
        self._parameters(config)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """A metric a figure."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics)

    def artifact(self, path: Path) -> None:
        """A file, or a folder of its own name."""
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), path.name)
        else:
            self.client.log_artifact(self.run_id, str(path))

    def finish(self, status: str) -> None:
        """MLflow's own status, and ours as a tag."""
        self.client.set_tag(self.run_id, "oraclezoo.status", status)
        self.client.set_terminated(self.run_id, STATUS.get(status, "FAILED"))

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if self.home is None else (self.home / "mlflow-artifacts").as_uri()
        return str(self.client.create_experiment(name, artifact_location=place))

    def _earlier(self, experiment: str, key: str) -> str | None:
        """The newest run of this folder."""
        runs = self.client.search_runs(
            [experiment],
            f"tags.`oraclezoo.key` = '{key}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None

    def _parameters(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        given = [Param(key, str(value)[:LONGEST]) for key, value in config.items()]
        for first in range(0, len(given), AT_ONCE):
            self.client.log_batch(self.run_id, params=given[first : first + AT_ONCE])
