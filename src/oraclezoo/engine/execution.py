"""Execution settings such as the device, which affect time and memory but not the recipe.

This module does not import torch, so a process that only parses a job request starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from oraclezoo.specs import Value

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Execution:
    """Settings of a training run that are not part of its recipe.

    Attributes:
        data_dir: Folder that contains the data set's files; None for the default folders.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        compile: Whether to use ``torch.compile``: ``"auto"``, ``"on"`` or ``"off"``.
        deterministic: Whether to use deterministic algorithms on a GPU too.
        stream_above: Size in bytes (or a string such as ``"2GiB"``) above which a split is streamed
            from its file; None for half of the free memory.
        trackers: Options of each tracker, keyed by its qualified name.
    """

    data_dir: Path | None = None
    device: str = "auto"
    compile: str = "auto"
    deterministic: bool = False
    stream_above: int | str | None = None
    trackers: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    def torch_device(self) -> torch.device:
        """Return the torch device. Raises UsageError if this machine does not have it."""
        from oraclezoo.engine.device import pick

        return pick(self.device)

    def stream_limit(self) -> int:
        """Return the size in bytes above which a split is streamed to the device.

        Raises UsageError if ``stream_above`` cannot be parsed as a size.
        """
        from oraclezoo.engine.streaming import stream_limit

        return stream_limit(self.stream_above, self.torch_device())
