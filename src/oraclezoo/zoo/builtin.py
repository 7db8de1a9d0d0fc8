"""The built-in components, registered through the same hooks as every plugin's. Imports light."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Spec


@hookimpl
def oraclezoo_backbones() -> list[Spec]:
    """The built-in backbones."""
    from oraclezoo.zoo.backbones.specs import BACKBONES

    return list(BACKBONES)


@hookimpl
def oraclezoo_optimizers() -> list[Spec]:
    """The built-in optimizers."""
    from oraclezoo.zoo.optimizers.specs import OPTIMIZERS

    return list(OPTIMIZERS)


@hookimpl
def oraclezoo_schedulers() -> list[Spec]:
    """The built-in schedulers."""
    from oraclezoo.zoo.schedulers.specs import SCHEDULERS

    return list(SCHEDULERS)


@hookimpl
def oraclezoo_datasets() -> list[Spec]:
    """The built-in tracks."""
    from oraclezoo.data.listing import DATASETS

    return list(DATASETS)


@hookimpl
def oraclezoo_trackers() -> list[Spec]:
    """The built-in trackers."""
    from oraclezoo.trackers.listing import TRACKERS

    return list(TRACKERS)


@hookimpl
def oraclezoo_models() -> list[Spec]:
    """The models of the shipped index."""
    from oraclezoo.serving.listing import models

    return models()
