"""Hooks that a plugin may implement. Each hook is optional and returns an iterable of specs."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from oraclezoo.specs import Spec

hookspec = pluggy.HookspecMarker("oraclezoo")
hookimpl = pluggy.HookimplMarker("oraclezoo")


@hookspec
def oraclezoo_backbones() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "backbone": networks that map images to logits."""


@hookspec
def oraclezoo_optimizers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "optimizer"."""


@hookspec
def oraclezoo_schedulers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "scheduler": learning-rate schedules."""


@hookspec
def oraclezoo_datasets() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "dataset": tracks (data sets with a fixed split)."""


@hookspec
def oraclezoo_trackers() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "tracker": destinations for training metrics."""


@hookspec
def oraclezoo_models() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "model": trained models with a fixed digest, downloaded on demand."""


@hookspec
def oraclezoo_executors() -> Iterable[Spec]:  # type: ignore[empty-body]  # implemented by plugins
    """Return specs of kind "executor": places where jobs run, e.g. a cluster's queue."""
