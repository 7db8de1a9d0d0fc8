"""Names: which folder a model's name or path stands for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving import store
from oraclezoo.serving.listing import shipped

DEFAULT = "oraclenet_s"
"""The model that reads when none is named."""


def locate(
    model: str | Path,
    registry: Callable[[], Registry] = build_registry,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """The folder of ``model``: a path, or the name of a shipped or a fetched one.

    A shipped model's name means that model, always; ``./name`` is a folder. ``registry`` is called
    for neither, since it would load the plugins. Fetched models are fetched if need be. Raises
    UnknownNameError, AmbiguousNameError; ResultError, DownloadError.
    """
    if isinstance(model, Path):
        return model
    if model in shipped():
        found = shipped()[model]
        return store.shipped(**found.fixed)
    if Path(model).is_dir() or model.startswith((".", "~", os.sep)):
        return Path(model).expanduser()
    known = registry()
    if "/" in model and ("model", model) not in known:
        return Path(model)
    folder: Path = known.create("model", model, progress=progress)
    return folder
