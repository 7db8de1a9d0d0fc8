"""Built-in components, registered through the plugin hooks. No heavy imports."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Spec


@hookimpl
def oraclezoo_backbones() -> list[Spec]:
    """Return the specs of the built-in backbones."""
    from oraclezoo.zoo.backbones.specs import BACKBONES

    return list(BACKBONES)


@hookimpl
def oraclezoo_optimizers() -> list[Spec]:
    """Return the specs of the built-in optimizers."""
    from oraclezoo.zoo.optimizers.specs import OPTIMIZERS

    return list(OPTIMIZERS)


@hookimpl
def oraclezoo_schedulers() -> list[Spec]:
    """Return the specs of the built-in schedulers."""
    from oraclezoo.zoo.schedulers.specs import SCHEDULERS

    return list(SCHEDULERS)


@hookimpl
def oraclezoo_datasets() -> list[Spec]:
    """Return the specs of the built-in tracks."""
    from oraclezoo.data.listing import DATASETS

    return list(DATASETS)


@hookimpl
def oraclezoo_trackers() -> list[Spec]:
    """Return the specs of the built-in trackers."""
    from oraclezoo.trackers.listing import TRACKERS

    return list(TRACKERS)


@hookimpl
def oraclezoo_executors() -> list[Spec]:
    """Return the specs of the built-in executors."""
    from oraclezoo.executors.listing import EXECUTORS

    return list(EXECUTORS)


@hookimpl
def oraclezoo_models() -> list[Spec]:
    """Return the specs of the models in the bundled index."""
    from oraclezoo.serving.listing import models

    return models()
