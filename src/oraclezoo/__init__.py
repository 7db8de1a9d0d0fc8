"""oraclezoo: a model zoo and benchmark for reading oracle bone characters.

    import oraclezoo as oz

Every name below is imported when it is first used, so that ``import oraclezoo`` is cheap.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from oraclezoo._version import __version__

if TYPE_CHECKING:
    from oraclezoo.api import leaderboard, predictor, receipt, registry
    from oraclezoo.errors import OracleZooError
    from oraclezoo.pipeline.bench import bench
    from oraclezoo.pipeline.compress import compress
    from oraclezoo.pipeline.export import export
    from oraclezoo.pipeline.model import Model, load
    from oraclezoo.pipeline.plot import plot
    from oraclezoo.pipeline.prune import prune
    from oraclezoo.pipeline.quantize import quantize
    from oraclezoo.pipeline.run import Run
    from oraclezoo.pipeline.training import train
    from oraclezoo.recipe import Recipe
    from oraclezoo.result import Result
    from oraclezoo.sweeping.sweep import sweep

__all__ = [
    "Model",
    "OracleZooError",
    "Recipe",
    "Result",
    "Run",
    "__version__",
    "bench",
    "compress",
    "export",
    "leaderboard",
    "load",
    "plot",
    "predictor",
    "prune",
    "quantize",
    "receipt",
    "registry",
    "sweep",
    "train",
]

_WHERE = {
    "Model": "oraclezoo.pipeline.model",
    "OracleZooError": "oraclezoo.errors",
    "Recipe": "oraclezoo.recipe",
    "Result": "oraclezoo.result",
    "Run": "oraclezoo.pipeline.run",
    "bench": "oraclezoo.pipeline.bench",
    "compress": "oraclezoo.pipeline.compress",
    "export": "oraclezoo.pipeline.export",
    "leaderboard": "oraclezoo.api",
    "load": "oraclezoo.pipeline.model",
    "predictor": "oraclezoo.api",
    "plot": "oraclezoo.pipeline.plot",
    "prune": "oraclezoo.pipeline.prune",
    "quantize": "oraclezoo.pipeline.quantize",
    "receipt": "oraclezoo.api",
    "registry": "oraclezoo.api",
    "sweep": "oraclezoo.sweeping.sweep",
    "train": "oraclezoo.pipeline.training",
}


class _Lazy:
    """A public name, fetched on use.

    A data descriptor and not a module ``__getattr__``, because some public names are also names of
    rooms: importing the room ``oraclezoo.train`` must not hide the function ``oraclezoo.train``.
    """

    def __init__(self, name: str, where: str) -> None:
        self.name, self.where = name, where

    def __get__(self, package: ModuleType | None, owner: type | None = None) -> Any:
        return getattr(importlib.import_module(self.where), self.name)

    def __set__(self, package: ModuleType, value: object) -> None:
        if not isinstance(value, ModuleType):
            raise AttributeError(f"oraclezoo.{self.name} cannot be replaced")


class _Package(ModuleType):
    """The package's own type: carries the lazy names."""

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


for _name, _module in _WHERE.items():
    setattr(_Package, _name, _Lazy(_name, _module))
sys.modules[__name__].__class__ = _Package
