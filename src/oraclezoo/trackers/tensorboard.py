"""Tracker ``tensorboard``: TensorBoard event files in the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oraclezoo.errors import OracleZooError

FOLDER = "tensorboard"
HEADLINES = ("validation/accuracy", "validation/loss", "train/loss")
"""Metrics shown as columns in TensorBoard's HPARAMS table."""

TEXT_BYTES = 1 << 16
"""Maximum size of a text file to display; larger files are listed by name and size."""


class TensorBoard:
    """Tracker that logs metrics as scalars, configuration as hyperparameters, and text files.

    Event files cannot store models; model files are listed by name and size. Raises OracleZooError
    if the package tensorboard is not installed.
    """

    def __init__(self, *, run_name: str, folder: Path, config: Mapping[str, Any]) -> None:
        try:
            from torch.utils import tensorboard
        except ImportError as error:
            raise OracleZooError(
                f"TensorBoard is not installed ({error}): pip install 'oraclezoo[trackers]'"
            ) from error
        events, resumed = folder / FOLDER, int(config.get("resumed_step", 0))
        if not resumed:
            shutil.rmtree(events, ignore_errors=True)  # left by an earlier run in the same folder
        torch_side: Any = tensorboard  # without type annotations
        # TensorBoard hides events after the step from which a run resumes
        first = resumed + 1 if resumed else None
        self.writer = torch_side.SummaryWriter(str(events), purge_step=first)
        hyperparameters = {key: _hyperparameter(value) for key, value in config.items()}
        metrics = dict.fromkeys(HEADLINES, 0.0)
        session, begin, self._end = torch_side.summary.hparams(hyperparameters, metrics)
        self.writer.file_writer.add_summary(session)
        self.writer.file_writer.add_summary(begin)
        self.writer.flush()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one scalar per metric."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def artifact(self, path: Path) -> None:
        """Write a text file as text, or a folder as a list of its files."""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        listed = []
        for file in files:
            size = file.stat().st_size
            if file.suffix in (".toml", ".json") and size <= TEXT_BYTES:
                text = file.read_text(encoding="utf-8").rstrip()
                name = file.relative_to(path.parent).as_posix()
                self.writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()))
            listed.append(f"| {file} | {size:,} |")
        if path.is_dir():
            self.writer.add_text(path.name, "\n".join(["| file | bytes |", "|---|---|", *listed]))
        self.writer.flush()

    def finish(self, status: str) -> None:
        """Write the status and close the files."""
        self.writer.add_text("status", status)
        if status == "done":
            self.writer.file_writer.add_summary(self._end)
        self.writer.close()


def _hyperparameter(value: Any) -> Any:
    """Convert ``value`` to a type that TensorBoard supports."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
