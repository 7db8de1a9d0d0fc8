"""The hooks that a plugin may implement. Each one is optional and returns an iterable of specs."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from oraclezoo.specs import Spec

hookspec = pluggy.HookspecMarker("oraclezoo")
hookimpl = pluggy.HookimplMarker("oraclezoo")


@hookspec
def oraclezoo_backbones() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "backbone": nets from images to logits."""


@hookspec
def oraclezoo_optimizers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "optimizer": rules that update parameters from gradients."""


@hookspec
def oraclezoo_schedulers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "scheduler": courses of the learning rate over a training."""


@hookspec
def oraclezoo_datasets() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "dataset": tracks, each with a fixed split."""


@hookspec
def oraclezoo_trackers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "tracker": places where a training's course is written down as it goes."""


@hookspec
def oraclezoo_models() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Specs of kind "model": trained models, each pinned by its digest, fetched when asked for."""
