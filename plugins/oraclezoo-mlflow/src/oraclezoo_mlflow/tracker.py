"""Log a training as an MLflow run."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

STATUS = {"done": "FINISHED", "interrupted": "KILLED"}
"""MLflow status of each end that is not a failure."""

AT_ONCE = 100
"""Maximum number of parameters per request."""

LONGEST = 500
"""Maximum length of a parameter's value in every store."""


class MlflowTracker:
    """Implements oraclezoo.contracts.Tracker with MLflow's client, without global state."""

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
        # concurrent trainings may start together, and MLflow creates tables without a lock
        alone = nullcontext() if self.home is None else FileLock(self.home / ".mlflow.lock")
        with alone:
            self.client = MlflowClient(tracking_uri=uri or f"sqlite:///{self.home}/mlflow.db")
            number = self._experiment(experiment)
        place = str(folder.resolve())
        key = hashlib.sha256(
            place.encode()
        ).hexdigest()  # MLflow's filters cannot quote arbitrary text
        earlier = self._earlier(number, key) if config.get("resumed_step") else None
        if earlier is not None:
            self.run_id = earlier
            self.client.update_run(self.run_id, status="RUNNING")
            return  # parameters exist already and are immutable in MLflow
        tags = {"oraclezoo.folder": place, "oraclezoo.key": key}
        self.run_id = self.client.create_run(number, run_name=run_name, tags=tags).info.run_id
        self._parameters(config)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log one metric per value."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics)

    def artifact(self, path: Path) -> None:
        """Log a file, or a folder under its name."""
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), path.name)
        else:
            self.client.log_artifact(self.run_id, str(path))

    def finish(self, status: str) -> None:
        """Set MLflow's status, and oraclezoo's as a tag."""
        self.client.set_tag(self.run_id, "oraclezoo.status", status)
        self.client.set_terminated(self.run_id, STATUS.get(status, "FAILED"))

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        place = None if self.home is None else (self.home / "mlflow-artifacts").as_uri()
        return str(self.client.create_experiment(name, artifact_location=place))

    def _earlier(self, experiment: str, key: str) -> str | None:
        """Return the newest run of this folder."""
        runs = self.client.search_runs(
            [experiment],
            f"tags.`oraclezoo.key` = '{key}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None

    def _parameters(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        parameters = [Param(key, str(value)[:LONGEST]) for key, value in config.items()]
        for first in range(0, len(parameters), AT_ONCE):
            self.client.log_batch(self.run_id, params=parameters[first : first + AT_ONCE])
