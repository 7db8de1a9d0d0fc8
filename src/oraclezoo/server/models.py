"""The models that a server offers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.errors import UsageError, nearest
from oraclezoo.server.batching import Batcher
from oraclezoo.server.observer import Observer
from oraclezoo.server.rejection import RejectedError
from oraclezoo.server.settings import Settings
from oraclezoo.serving.document import model_entry
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import read
from oraclezoo.serving.sources import SAMPLE, Source

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model and the name that requests use for it."""

    name: str
    predictor: Predictor
    batcher: Batcher

    @property
    def image_size(self) -> int:
        """Height and width of the model's input."""
        return self.predictor.card.input.image_size

    def entry(self) -> dict[str, Any]:
        """Return the model's entry in ``GET /v1/models``."""
        card = self.predictor.card
        assert card.onnx is not None
        return {
            "name": self.name,
            "classes": [
                {"label": label, "name": name, "glyph": glyph}
                for label, (name, glyph) in enumerate(
                    zip(self.predictor.classes, self.predictor.glyphs, strict=True)
                )
            ],
            "image_size": self.image_size,
            "jpeg_smoothing": card.preprocessing.smoothing,
            "precision": card.onnx.precision,
            **model_entry(self.predictor),
        }


class Models:
    """Served models by name; the first is the default.

    Args:
        models: At least one model.
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self._models = {model.name: model for model in models}
        self.default = next(iter(self._models.values()))

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def find(self, name: str | None) -> ServedModel:
        """Return the model of this name, or the default for None. Raises RejectedError (404)."""
        if name is None:
            return self.default
        try:
            return self._models[name]
        except KeyError:
            near = nearest(name[:100], self._models)
            message = f"unknown model '{name[:100]}'{near}"
            raise RejectedError(404, "model", message) from None

    def start(self) -> None:
        """Start the threads of every model; must be called in the event loop."""
        for model in self:
            model.batcher.start()

    def stop(self) -> None:
        """Stop the threads."""
        for model in self:
            model.batcher.stop()


def open_models(
    names: Iterable[str], locate: Callable[[str], Path], settings: Settings, observer: Observer
) -> Models:
    """Load models and run each once, so that the first request is as fast as later ones.

    Args:
        names: Names or folders of models. A folder's model is served under the folder's name.
        locate: Returns the folder of a model.
        settings: Settings of the server.
        observer: Is notified of each loaded model.

    Raises:
        UsageError: Two models have the same name, or a name cannot be used in a URL.
        ResultError: A model cannot be loaded.
    """
    models: dict[str, ServedModel] = {}
    folders: set[Path] = set()
    for word in names:
        folder = locate(word)
        is_folder = Path(word).is_dir() or not _NAME.fullmatch(word)
        name = folder.resolve().name if is_folder else word
        if not _NAME.fullmatch(name):
            raise UsageError(f"the folder name '{name}' cannot be used in a URL; rename the folder")
        if name in models and folder.resolve() in folders:
            raise UsageError(f"model '{name}' is given twice; name it once")
        if name in models:
            raise UsageError(f"two models have the name '{name}'; rename the folder of one")
        predictor = Predictor(folder, threads=1)
        list(read(predictor, [Source(str(SAMPLE))]))
        batcher = Batcher(
            name, predictor, threads=settings.threads, queue=settings.queue, observer=observer
        )
        folders.add(folder.resolve())
        models[name] = ServedModel(name, predictor, batcher)
        observer.opened(name, predictor)
    return Models(models.values())
