"""Log a training as a W&B run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class WandbTracker:
    """Implements oraclezoo.contracts.Tracker. Files go to ``wandb`` in the run folder."""

    def __init__(
        self,
        *,
        run_name: str,
        folder: Path,
        config: Mapping[str, Any],
        project: str,
        entity: str | None,
        group: str | None,
        mode: str,
    ) -> None:
        # wandb reads this on import; otherwise it sends error reports even when offline
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.run_name, self.wandb = run_name, wandb
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        self.run = wandb.init(
            project=project,
            entity=entity,
            group=group,
            mode=mode,
            name=run_name,
            id=run_name,
            resume="allow",
            reinit="create_new",
            dir=str(folder),
            config=dict(config),
            settings=settings,
        )
        # W&B's internal steps only increase, but a resumed run may restart at an earlier step
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log a row of the run's history."""
        self.run.log({**values, "step": step})

    def artifact(self, path: Path) -> None:
        """Log a folder as an artifact of type model, or a file under its name."""
        kind = "model" if path.is_dir() else path.stem
        artifact = self.wandb.Artifact(f"{kind}-{self.run_name}", type=kind)
        if path.is_dir():
            artifact.add_dir(str(path))
        else:
            artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def finish(self, status: str) -> None:
        """Write the status to the summary, and set an exit code unless done."""
        self.run.summary["status"] = status
        self.run.finish(exit_code=0 if status == "done" else 1)
