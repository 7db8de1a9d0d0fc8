"""Resolve the name or path of a model to its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving import store
from oraclezoo.serving.listing import shipped

DEFAULT = "oraclenet_s"
"""The default model."""


def locate(
    model: str | Path,
    registry: Callable[[], Registry] = build_registry,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Return the folder of a model.

    Args:
        model: A folder, or the name of a bundled or downloadable model. A bundled model's name
            always means that model; ``./name`` is a folder.
        registry: Called only for other models, because loading plugins is slow.
        progress: Called with messages while a model is downloaded.

    Raises:
        UnknownNameError: No model has this name.
        AmbiguousNameError: Several plugins have a model of this name.
        ResultError: The model's folder is corrupt.
        DownloadError: The download failed.
    """
    if isinstance(model, Path):
        return model
    if model in shipped():
        bundled = shipped()[model]
        return store.shipped(**bundled.fixed)
    if Path(model).is_dir() or model.startswith((".", "~", os.sep)):
        return Path(model).expanduser()
    known = registry()
    if "/" in model and ("model", model) not in known:
        return Path(model)
    folder: Path = known.create("model", model, progress=progress)
    return folder
