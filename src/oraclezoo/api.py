"""The public functions that are more than a re-export; light, they import rooms when called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.plugins.registry import Registry, build_registry

if TYPE_CHECKING:
    from oraclezoo.artifacts.model import Model
    from oraclezoo.ranking.table import Table
    from oraclezoo.result import Result
    from oraclezoo.serving.predictor import Predictor


def registry(*, strict: bool = False) -> Registry:
    """All components of this installation, by kind and name.

    Plugins that cannot be used are left out, and listed in ``.plugins`` with the reason; ``strict``
    raises PluginError instead.

    >>> import oraclezoo as oz
    >>> oz.registry().get("backbone", "lenet5").distribution
    'oraclezoo'
    """
    return build_registry(strict=strict)


def leaderboard(
    results: Iterable[Result], *, track: str | None = None, division: str | None = None
) -> Table:
    """The table that results of one track and division make; see :class:`Table` for its forms.

    Raises UsageError if the results belong to several tables and none is chosen.
    """
    from oraclezoo.ranking.table import leaderboard as rank

    return rank(results, track=track, division=division)


def receipt(model: Model | str | Path) -> list[dict[str, Any]]:
    """The receipts of a model, or of a model's or run's folder, the oldest first.

    Each says what one step (prune, export, quantize, compress) did: accuracy, size and speed
    before and after, as a JSON document. Reads a folder without torch. Raises ResultError if it has
    no card.

    >>> import json, pathlib, tempfile
    >>> import oraclezoo as oz
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> card = {"backbone": {"name": "lenet5"}, "receipts": [{"step": "export"}]}
    >>> _ = (folder / "model.json").write_text(json.dumps(card))
    >>> [made["step"] for made in oz.receipt(folder)]
    ['export']
    """
    from oraclezoo.card import read_card, receipts

    return receipts(read_card(model) if isinstance(model, (str, Path)) else model.card)


def predictor(
    model: str | Path = "oraclenet_s",
    *,
    threads: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Predictor:
    """A model that reads images by ONNX Runtime, without torch: quick to start, small to carry.

    ``model`` is a name (``oraclezoo models list``) or a folder; one that is to be fetched is
    fetched, and ``progress`` told. ``threads`` is how many may be used, 0 as many as there are
    cores. :func:`oraclezoo.load` gives the same model for torch. Raises UnknownNameError,
    ResultError, DownloadError.
    """
    from oraclezoo.serving.names import locate
    from oraclezoo.serving.predictor import Predictor

    return Predictor(locate(model, progress=progress), threads=threads)
