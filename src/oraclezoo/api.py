"""Public functions that are not re-exports. Each one imports its package when called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry, build_registry

if TYPE_CHECKING:
    from oraclezoo.artifacts.model import Model
    from oraclezoo.imaging.polarity import Polarity
    from oraclezoo.ranking.table import Table
    from oraclezoo.result import Result
    from oraclezoo.serving.prediction import Prediction
    from oraclezoo.serving.predictor import Predictor


def registry(*, strict: bool = False) -> Registry:
    """Return the registry of all installed components.

    Args:
        strict: Whether to raise PluginError if a plugin is quarantined. By default, its components
            are skipped and ``.plugins`` states the reason.

    >>> import oraclezoo as oz
    >>> oz.registry().get("backbone", "lenet5").distribution
    'oraclezoo'
    """
    return build_registry(strict=strict)


def load(model: str | Path, registry: Registry | None = None) -> Model:
    """Load a model as a PyTorch module on the CPU.

    Args:
        model: A name (``oraclezoo models list``), the folder of a saved model, or a run folder.
        registry: Registry of components; by default all installed components.

    Raises:
        ResultError: A file is missing, corrupt, or does not match the card.
        UnknownNameError: No model has this name.
        DownloadError: The model cannot be downloaded.

    >>> import oraclezoo as oz
    >>> oz.load("oraclenet_n").classes[:3]
    ('big', 'sun', 'moon')
    """
    from oraclezoo.artifacts.load import load as load_model
    from oraclezoo.artifacts.run import Run
    from oraclezoo.card import CARD
    from oraclezoo.serving.listing import shipped

    folder = Path(model).expanduser()
    is_run = (folder / Run.FILE).is_file() and not (folder / CARD).exists()
    if is_run and str(model) not in shipped():
        return Run.load(folder).model(registry=registry)
    return load_model(model, registry)


def predict(
    images: Any, model: str | Path = "oraclenet_s", *, polarity: Polarity = "auto"
) -> Prediction:
    """Classify images with a model in ONNX Runtime, without torch.

    For many calls, use :func:`oraclezoo.predictor`, which returns a predictor that is loaded once.

    Args:
        images: One or several pictures as file names, bytes, Pillow images or uint8 arrays; see
            :meth:`oraclezoo.serving.predictor.Predictor.predict`.
        model: Name of a model (``oraclezoo models list``), or its folder.
        polarity: ``auto`` detects the polarity of each picture; otherwise ``light-on-dark`` or
            ``dark-on-light``.

    Returns:
        Labels int64 ``(N,)`` and probabilities float32 ``(N, C)``.

    Raises:
        DataError: A picture cannot be read.
        UnknownNameError: No model has this name.
        ResultError: The folder has no valid card or ONNX file.

    >>> import numpy as np
    >>> import oraclezoo as oz
    >>> oz.predict(np.zeros((2, 28, 28), np.uint8), "oraclenet_n").probabilities.shape
    (2, 10)
    """
    return predictor(model).predict(images, polarity=polarity)


def leaderboard(
    results: str | Path | Result | Iterable[Result | str | Path],
    *,
    track: str | None = None,
    division: str | None = None,
) -> Table:
    """Return the leaderboard of results for one track and division.

    Args:
        results: One or several results, e.g. from :func:`oraclezoo.bench`, or files and folders
            of results.
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
    """Return the receipts of a model, model folder or run folder, oldest first.

    A receipt is the JSON document of one step (prune, export, quantize or compress), with accuracy,
    size and speed before and after it. For a folder, torch is not imported.

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
        model: Name of a model (``oraclezoo models list``), or its folder; a model that is not
            bundled is downloaded.
        threads: Number of threads; 0 uses all cores.
        progress: Called with one line of text at a time during a download.

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
