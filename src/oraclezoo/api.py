"""Public functions that are not re-exports. Each imports its package when called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry, build_registry

if TYPE_CHECKING:
    from oraclezoo.artifacts.model import Model
    from oraclezoo.ranking.table import Table
    from oraclezoo.result import Result
    from oraclezoo.serving.predictor import Predictor


def registry(*, strict: bool = False) -> Registry:
    """Return the registry of all installed components.

    Args:
        strict: Raise PluginError if a plugin is quarantined. By default its components are skipped
            and ``.plugins`` holds the reason.

    >>> import oraclezoo as oz
    >>> oz.registry().get("backbone", "lenet5").distribution
    'oraclezoo'
    """
    return build_registry(strict=strict)


def leaderboard(
    results: str | Path | Result | Iterable[Result | str | Path],
    *,
    track: str | None = None,
    division: str | None = None,
) -> Table:
    """Return the leaderboard of results of one track and division.

    Args:
        results: Results, e.g. of :func:`oraclezoo.bench`, or files and folders of results; one of
            them or several.
        track: Keep only results of this track.
        division: Keep only results of this division, "closed" or "open".

    Raises:
        UsageError: The results belong to several tables, or an item is not a result.
        ResultError: There are no results, or one is invalid.

    >>> import oraclezoo as oz
    >>> oz.leaderboard("results", track="glyphs-3k")  # doctest: +SKIP
    """
    from oraclezoo.ranking.load import load_results
    from oraclezoo.ranking.table import leaderboard as rank
    from oraclezoo.result import Result

    items = [results] if isinstance(results, (str, Path, Result)) else list(results)
    sources = [item for item in items if isinstance(item, (str, Path))]
    loaded = [item for item in items if isinstance(item, Result)]
    if len(sources) + len(loaded) < len(items):
        raise UsageError("leaderboard takes results, or files and folders of results")
    return rank(
        [*loaded, *(load_results(sources) if sources else ())], track=track, division=division
    )


def receipt(model: Model | str | Path) -> list[dict[str, Any]]:
    """Return the receipts of a model or of a model or run folder, oldest first.

    A receipt is the JSON document of one step (prune, export, quantize or compress), with accuracy,
    size and speed before and after. Does not import torch for a folder.

    Raises:
        ResultError: The folder has no model card.

    >>> import oraclezoo as oz
    >>> [receipt["step"] for receipt in oz.receipt(oz.load("oraclenet_n"))]
    ['export', 'quantize']
    """
    from oraclezoo.card import read_card

    card = read_card(model) if isinstance(model, (str, Path)) else model.card
    return [receipt.to_json() for receipt in card.receipts]


def predictor(
    model: str | Path = "oraclenet_s",
    *,
    threads: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Predictor:
    """Return a predictor that runs a model in ONNX Runtime, without torch.

    :func:`oraclezoo.load` returns the same model as a PyTorch module.

    Args:
        model: Model name (``oraclezoo models list``) or folder; a model that is not bundled is
            downloaded.
        threads: Number of threads; 0 uses all cores.
        progress: Called with a line of text during a download.

    Raises:
        UnknownNameError: No model has this name.
        ResultError: The folder has no valid card or ONNX file.
        DownloadError: The download failed.

    >>> import numpy as np
    >>> import oraclezoo as oz
    >>> oz.predictor("oraclenet_n").predict(np.zeros((2, 28, 28), np.uint8)).labels.shape
    (2,)
    """
    from oraclezoo.serving.names import locate
    from oraclezoo.serving.predictor import Predictor

    return Predictor(locate(model, progress=progress), threads=threads)
