"""Validate plugins. A failed check raises RefusedError with a reason and a fix."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pluggy

from oraclezoo.errors import UsageError, nearest
from oraclezoo.specs import (
    FETCHED_MODEL,
    KINDS,
    PLUGIN_API_VERSION,
    SHIPPED_MODEL,
    Kind,
    Spec,
)

HOOKS: dict[str, Kind] = {f"oraclezoo_{kind}s": kind for kind in KINDS}
"""Kind of the specs that each hook returns."""

CONTRACT: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "backbone": ((), ("in_chans", "num_classes", "image_size")),
    "optimizer": (("named_parameters",), ()),
    "scheduler": (("optimizer",), ("total_steps", "steps_per_epoch")),
    "dataset": ((), ("data_dir", "progress")),
    "tracker": ((), ("run_name", "folder", "config")),
    "model": ((), ("progress",)),
    "executor": ((), ("folder",)),
}
"""Arguments of the factories of each kind, except options: positional, then keyword."""

FACTS: dict[Kind, dict[str, type]] = {
    "backbone": {"data_init": bool, "prunable": bool, "not_prunable_because": str},
    "optimizer": {
        "needs_closure": bool,
        "train_eval": bool,
        "separable": bool,
        "takes": str,
        "others": str,
    },
    "scheduler": {"metric": bool, "lr_peak": float},
    "dataset": {
        "synthetic": bool,
        "streams": bool,
        "train": int,
        "validation": int,
        "test": int,
        "needs": str,
    },
    "tracker": {"needs": str},
    "model": {"shipped": bool, "url": str, "sha256": str, "size_bytes": int},
    "executor": {"needs": str},
}
"""Metadata keys of each kind and their types; None is always allowed."""

Key = tuple[Kind, str]
"""(kind, name), unique within a distribution."""

Taken = Mapping[tuple[str, Kind, str], str]
"""The plugin that provides each (distribution, kind, name)."""

_PREFIX = "oraclezoo_"
_API = "oraclezoo_plugin_api"
_COMPARISON = re.compile(r"\s*(==|!=|<=|>=|<|>|)\s*(\d+)\s*")
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class RefusedError(Exception):
    """A plugin violates the contract; the error has a reason and a fix."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


class Manager(pluggy.PluginManager):
    """Plugin manager that ignores dunder names, which are most of a module's names."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        """Return the hook options of attribute ``name``, or None if it is not a hook."""
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)


def check_api(plugin: Any) -> None:
    """Raise RefusedError if the plugin does not support this version of the plugin API."""
    declared = getattr(plugin, _API, None)
    if declared is None:
        return
    parts = [_COMPARISON.fullmatch(part) for part in str(declared).split(",")]
    if not isinstance(declared, (str, int)) or not all(parts):
        raise RefusedError(
            f"{_API} is {declared!r}",
            f'write integer comparisons, e.g. {_API} = ">={PLUGIN_API_VERSION}"',
        )
    if not all(_OPERATORS[p[1]](PLUGIN_API_VERSION, int(p[2])) for p in parts if p):
        raise RefusedError(
            f"it supports plugin API {declared}; this oraclezoo has {PLUGIN_API_VERSION}",
            "install matching versions of the plugin and oraclezoo",
        )


def check_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Raise RefusedError for names that look like hooks but are not, which pluggy ignores."""
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        hook = (options and options.get("specname")) or name
        if options is None and (not name.startswith(_PREFIX) or name == _API):
            continue
        if options is None and isinstance(getattr(plugin, name), ModuleType):
            continue  # an imported package
        if hook not in HOOKS:
            known = HOOKS if callable(getattr(plugin, name)) else (_API,)
            raise RefusedError(f"unknown hook '{hook}'{nearest(hook, known)}", "rename it")
        if options is None:
            raise RefusedError(
                f"{name} is not marked as a hook", "decorate it with @oraclezoo.hookspecs.hookimpl"
            )
        if options.get("wrapper") or options.get("hookwrapper"):
            raise RefusedError(
                f"{name} is a hook wrapper", "return specs from a plain hook instead"
            )


def register(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    """Register a plugin. Raises RefusedError for duplicates and wrong signatures."""
    first = manager.get_name(plugin)
    if first is not None:
        raise RefusedError(f"{first} is the same module", "remove one of the two entry points")
    if manager.has_plugin(name):
        raise RefusedError("its entry point is declared twice", "remove one of the two")
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        if manager.is_registered(plugin):  # partially registered by pluggy before 1.7
            manager.unregister(plugin)
        lines = str(error).splitlines()
        raise RefusedError(
            f"a hook has the wrong signature: {lines[-1]}", "hooks take no arguments"
        ) from error


def offered(manager: pluggy.PluginManager, plugin: Any) -> Iterator[Spec]:
    """Yield the specs that a plugin's hooks return. Raises RefusedError for specs of wrong kind."""
    for hook, kind in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            returned = implementation.function()
            fix = f"return an iterable of oraclezoo.specs.Spec of kind '{kind}'"
            if isinstance(returned, (str, bytes)) or not hasattr(returned, "__iter__"):
                raise RefusedError(f"{hook} returned {type(returned).__name__}, not specs", fix)
            for spec in returned:
                if not isinstance(spec, Spec):
                    raise RefusedError(f"{hook} returned a {type(spec).__name__}, not a spec", fix)
                if spec.kind != kind:
                    raise RefusedError(
                        f"{hook} returned {spec.kind} '{spec.name}'",
                        f"return it from oraclezoo_{spec.kind}s",
                    )
                yield spec


def check_spec(spec: Spec, distribution: str, before: Collection[Key], taken: Taken) -> None:
    """Raise RefusedError for a duplicate name or an invalid spec."""
    subject = f"{spec.kind} '{spec.name}'"
    if (spec.kind, spec.name) in before:
        raise RefusedError(f"it provides {subject} twice", "rename one of them")
    other_plugin = taken.get((distribution, spec.kind, spec.name))
    if other_plugin:
        raise RefusedError(
            f"{other_plugin} of the same distribution also provides {subject}", "rename one of them"
        )
    texts: list[Any] = [spec.summary, spec.source, *(option.help for option in spec.options)]
    for text in texts:
        if not isinstance(text, str) or "\n" in text:
            raise RefusedError(
                f"{subject}: {text!r} is not a single line of text",
                "write the summary, source and option help as single lines",
            )
    if spec.kind == "model":
        _check_pin(spec)
    if spec.kind == "backbone" and spec.name.startswith("timm/") and distribution != "oraclezoo":
        raise RefusedError(
            f"{subject}: names that begin with 'timm/' are those of timm's own models", "rename it"
        )
    # a recipe stores a component's name alongside its options
    reserved = ("name", *sum(CONTRACT[spec.kind], ()), *spec.fixed)
    for option in spec.options:
        if option.name in reserved or not str(option.name).isidentifier():
            raise RefusedError(
                f"{subject}: an option cannot be called '{option.name}'",
                "choose a Python identifier that is not a factory argument",
            )
        try:
            option.check(option.default, spec.kind)
        except UsageError as error:
            raise RefusedError(f"{subject}: invalid default: {error}", "correct it") from error
    for name, value in spec.facts.items():
        if not _plain(value):
            raise RefusedError(
                f"{subject}: facts[{name!r}] is a {type(value).__name__}",
                "values of facts must be strings, numbers, booleans or None",
            )
        due = FACTS[spec.kind].get(name, object)
        fits = isinstance(value, (int, float) if due is float else due)
        if value is not None and (not fits or (isinstance(value, bool) and due in (int, float))):
            raise RefusedError(
                f"{subject}: facts[{name!r}] is {value!r}", f"it must be of type {due.__name__}"
            )


def unknown_facts(specs: Iterable[Spec]) -> Iterator[tuple[str, str]]:
    """Yield a warning and a fix for each metadata key that this version of oraclezoo lacks."""
    for spec in specs:
        for name in spec.facts:
            if name not in FACTS[spec.kind]:
                yield (
                    f"{spec.kind} '{spec.name}' sets facts[{name!r}], which has no effect"
                    f"{nearest(str(name), FACTS[spec.kind])}",
                    "rename it, or remove it",
                )


def _check_pin(spec: Spec) -> None:
    """Raise RefusedError for a model without a digest; unverified models are never loaded."""
    if spec.target == SHIPPED_MODEL or (
        spec.target == FETCHED_MODEL
        and re.fullmatch("[0-9a-f]{64}", str(spec.fixed.get("sha256")))
        and re.match("(https?|file)://", str(spec.fixed.get("url")))
        and type(spec.fixed.get("size_bytes")) is int
        and spec.fixed["size_bytes"] > 0
    ):
        return
    raise RefusedError(
        f"model '{spec.name}' is not pinned",
        "create its spec with oraclezoo.specs.fetched_model: an http(s) or file URL, the SHA-256 "
        "(64 lowercase hex digits) and the size of its archive in bytes",
    )


def _plain(value: object) -> bool:
    return (
        value is None
        or isinstance(value, (str, bool, int))
        or (isinstance(value, float) and math.isfinite(value))
    )
