"""Plugin host: loads each plugin in isolation and records its status.

The built-in components come from an ordinary plugin. A plugin that violates the contract is
quarantined with a reason and a fix; all other plugins keep working. Names in a plugin's module that
begin with ``oraclezoo_`` are reserved: for the hooks (:mod:`oraclezoo.hookspecs`) and for
``oraclezoo_plugin_api``, the supported versions of the plugin API, e.g. ``">=1,<3"`` or ``"1"``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

import pluggy

from oraclezoo import hookspecs
from oraclezoo._version import __version__
from oraclezoo.errors import PluginError
from oraclezoo.plugins.calls import warn
from oraclezoo.plugins.checks import (
    HOOKS,
    Key,
    Manager,
    RefusedError,
    Taken,
    check_api,
    check_hooks,
    check_spec,
    offered,
    register,
    unknown_facts,
)
from oraclezoo.plugins.discovery import EntryPoint, entry_points, normalize
from oraclezoo.specs import Kind, Spec

BUILTIN = EntryPoint("oraclezoo", __version__, "builtin", "oraclezoo.zoo.builtin")
DISABLE_VARIABLE = "ORACLEZOO_DISABLE_PLUGINS"
SLOW_LOAD_S = 0.5
"""Load time above which a plugin gets a warning: every command that resolves names must wait.
"""
_HEAVY = ("torch", "timm", "numpy", "scipy", "onnx", "onnxruntime", "PIL")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point: its origin, status and components.

    ``reason``, ``fix`` and ``traceback`` are empty unless the plugin is quarantined or disabled.
    The ``specs`` of a quarantined plugin are those registered before it failed; they cannot be
    built. ``notes`` holds (warning, fix) pairs about a working plugin.
    """

    distribution: str
    version: str
    entry_point: str
    value: str
    status: Literal["ok", "quarantined", "disabled"] = "ok"
    reason: str = ""
    fix: str = ""
    traceback: str = ""
    specs: tuple[Spec, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """``distribution:entry point``, which is unique in an installation."""
        return f"{self.distribution}:{self.entry_point}"


@dataclass(frozen=True, slots=True)
class Host:
    """All plugins of an installation: the built-in plugin first, the others sorted by name."""

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]
    unknown_disabled: tuple[str, ...] = ()


def build_host(
    *,
    strict: bool = False,
    disable: str | None = None,
    paths: Iterable[str] | None = None,
    crashed: Mapping[str, str] = MappingProxyType({}),
) -> Host:
    """Find and load all plugins.

    Args:
        strict: Whether to raise an error if a plugin is quarantined.
        disable: Comma-separated names of plugins to skip: distributions, ``distribution:entry``, or
            ``all``. Default: the value of ``ORACLEZOO_DISABLE_PLUGINS``.
        paths: Folders to search. Default: ``sys.path``.
        crashed: Plugins (``distribution:entry``) to quarantine without loading, with the reason
            for each.

    Raises:
        PluginError: The built-in plugin is broken, or a plugin is quarantined and ``strict`` is
            set.
    """
    manager = Manager("oraclezoo")
    manager.add_hookspecs(hookspecs)
    builtin = _load(manager, BUILTIN, {})
    if builtin.status != "ok":
        error = PluginError(
            f"the built-in components do not load: {builtin.reason}; reinstall oraclezoo"
        )
        error.add_note(builtin.traceback)
        raise error
    blocked = Disabled.from_environment() if disable is None else Disabled(disable)
    plugins: list[Plugin] = []
    taken: dict[tuple[str, Kind, str], str] = {}
    for point in entry_points(paths):
        if blocked.blocks(point):
            reason, fix = f"{DISABLE_VARIABLE} lists it", f"remove it from {DISABLE_VARIABLE}"
            plugins.append(_record(point, status="disabled", reason=reason, fix=fix))
            continue
        reason = crashed.get(f"{point.distribution}:{point.name}", "")
        if reason:
            fix = _advice(point)
            plugins.append(_record(point, status="quarantined", reason=reason, fix=fix))
            continue
        plugin = _load(manager, point, taken)
        plugins.append(plugin)
        if plugin.status == "ok":
            for spec in plugin.specs:
                taken[plugin.distribution, spec.kind, spec.name] = plugin.name
    bad = [plugin for plugin in plugins if plugin.status == "quarantined"]
    if strict and bad:
        listed = "; ".join(f"{plugin.name} ({plugin.reason})" for plugin in bad)
        raise PluginError(f"quarantined: {listed}\nrun 'oraclezoo plugins doctor' for fixes")
    return Host(manager, (builtin, *plugins), blocked.unused())


class Disabled:
    """Names in ``ORACLEZOO_DISABLE_PLUGINS``, and which of them matched a plugin."""

    def __init__(self, listed: str) -> None:
        self.used: set[str] = set()
        self.names: dict[str, str] = {}
        for name in filter(None, map(str.strip, listed.split(","))):
            distribution, colon, entry = name.partition(":")
            self.names[normalize(distribution) + colon + entry] = name

    @classmethod
    def from_environment(cls) -> Self:
        """Return the names in the environment variable."""
        return cls(os.environ.get(DISABLE_VARIABLE, ""))

    def blocks(self, point: EntryPoint) -> bool:
        """Return whether a plugin is disabled."""
        ways = {"all", point.distribution, f"{point.distribution}:{point.name}"}
        hit = ways & self.names.keys()
        self.used |= hit
        return bool(hit)

    def unused(self) -> tuple[str, ...]:
        """Return the names that matched no plugin."""
        return tuple(
            name for key, name in self.names.items() if key not in self.used and key != "all"
        )


def _record(point: EntryPoint, **fields: Any) -> Plugin:
    return Plugin(point.distribution, point.version, point.name, point.value, **fields)


def _load(manager: pluggy.PluginManager, point: EntryPoint, taken: Taken) -> Plugin:
    """Load one plugin; record any error."""
    name = f"{point.distribution}:{point.name}"
    specs: dict[Key, Spec] = {}
    light = {module for module in _HEAVY if module not in sys.modules}
    changed: list[str] = []
    registered, start = False, time.perf_counter()
    try:
        with ExitStack() as guards:
            guards.enter_context(redirect_stdout(sys.stderr))  # stdout is reserved for results
            if point is not BUILTIN:
                from oraclezoo.plugins.process_state import Interrupts, preserved

                interrupts = guards.enter_context(Interrupts())
                guards.enter_context(preserved(changed))
            plugin = _import(point)
            check_api(plugin)
            check_hooks(manager, plugin)
            register(manager, plugin, name)
            registered = True
            for spec in offered(manager, plugin):
                check_spec(spec, point.distribution, specs, taken)
                specs[spec.kind, spec.name] = spec
    except BaseException as error:  # a plugin may raise anything
        if isinstance(error, KeyboardInterrupt) and (point is BUILTIN or interrupts.pressed):
            raise
        if registered:
            manager.unregister(name=name)
        refusal = error if isinstance(error, RefusedError) else _blame(error, point)
        return _record(
            point,
            status="quarantined",
            reason=refusal.reason,
            fix=refusal.fix,
            traceback=_traceback(error),
            specs=tuple(specs.values()),
        )
    if changed:
        warn(f"plugin {name} changes {', '.join(changed)} when loaded; this was undone")
    notes = (
        *_notes(light, bool(specs), time.perf_counter() - start),
        *_changes(changed),
        *unknown_facts(specs.values()),
    )
    return _record(point, specs=tuple(specs.values()), notes=notes)


def _changes(changed: list[str]) -> Iterator[tuple[str, str]]:
    if changed:
        yield (
            f"it changes {', '.join(changed)} when loaded; oraclezoo undoes this",
            "its author should leave settings of the whole process alone at import and in hooks",
        )


def _import(point: EntryPoint) -> Any:
    if point.distribution == BUILTIN.distribution and point is not BUILTIN:
        raise RefusedError(
            "the distribution name 'oraclezoo' is reserved for the built-ins",
            "rename the distribution",
        )
    if not point.well_formed:
        raise RefusedError(
            f"its entry point '{point.value}' is not a module name",
            "its author must write 'package.module' or 'package.module:object'",
        )
    try:
        return point.load()
    except ModuleNotFoundError as error:
        module = error.name or ""
        if point.value == module or point.value.startswith((f"{module}.", f"{module}:")):
            raise RefusedError(
                f"its entry point names module '{module}', which does not exist",
                f"reinstall it: pip install --force-reinstall {point.distribution}",
            ) from error
        raise RefusedError(
            f"it requires module '{module}', which is not installed",
            f"install its requirements: pip install --upgrade {point.distribution}",
        ) from error


def _notes(light: set[str], offers: bool, took_s: float) -> Iterator[tuple[str, str]]:
    loaded = sorted(name for name in light if name in sys.modules)
    if took_s > SLOW_LOAD_S:
        yield (
            f"it took {took_s:.1f} s to load, and every command that resolves names waits for it",
            "its author should only create specs at import and in hooks; until then, disable it "
            f"with {DISABLE_VARIABLE}",
        )
    if loaded:
        yield (
            f"it imports {', '.join(loaded)} when loaded, which slows down every command",
            "name targets as strings in the entry point's module and import inside functions",
        )
    if not offers:
        hooks = ", ".join(HOOKS)
        yield "it provides no components", f"return specs from one of the hooks: {hooks}"


def _blame(error: BaseException, point: EntryPoint) -> RefusedError:
    text = " ".join(str(error).split())
    reason = f"it raises {type(error).__name__}" + (f": {text[:200]}" if text else "")
    return RefusedError(reason, f"{_advice(point)}; send its author the traceback")


def _advice(point: EntryPoint) -> str:
    return (
        f"update it (pip install -U {point.distribution}), or disable it with "
        f"{DISABLE_VARIABLE}={point.distribution}"
    )


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
