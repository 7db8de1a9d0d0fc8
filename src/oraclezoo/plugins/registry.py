"""Registry of all components of an installation by kind and name, with their origin.

A bare name always refers to the built-in component if there is one, otherwise to the component of
the only plugin that provides it. ``distribution:name`` is always unique. Heavy packages are not
imported before :meth:`Registry.create`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from oraclezoo.errors import AmbiguousNameError, UnknownNameError, UsageError, nearest
from oraclezoo.notebook import Displayed
from oraclezoo.plugins.calls import foreign
from oraclezoo.plugins.checks import CONTRACT
from oraclezoo.plugins.discovery import normalize
from oraclezoo.plugins.host import BUILTIN, Plugin, build_host
from oraclezoo.specs import KINDS, Kind, Spec, Value

if TYPE_CHECKING:
    from oraclezoo.card import PluginSource
    from oraclezoo.contracts import Dataset, LRScheduler, Module, Optimizer

_DOCTOR = "see 'oraclezoo plugins doctor'"


@dataclass(frozen=True, slots=True, repr=False)
class Entry(Displayed):
    """A spec and its origin."""

    spec: Spec
    distribution: str
    version: str
    entry_point: str

    def _summary(self) -> dict[str, object]:
        spec = self.spec
        return {
            "kind": spec.kind,
            "name": self.qualified,
            "version": self.version,
            "summary": spec.summary,
            "options": [option.name for option in spec.options],
        }

    @property
    def qualified(self) -> str:
        """``distribution:name``."""
        return f"{self.distribution}:{self.spec.name}"

    @property
    def builtin(self) -> bool:
        """Whether the component is part of oraclezoo."""
        return self.distribution == BUILTIN.distribution

    def __str__(self) -> str:
        return f"{self.spec.kind} '{self.qualified}' ({self.distribution} {self.version})"


class Registry(Displayed):
    """Immutable registry of the components in plugin records.

    Iteration yields entries by kind, built-in ones first. ``(kind, name) in registry`` is true if
    :meth:`get` succeeds. ``timm/<architecture>`` is available for every timm architecture, but
    iteration skips these names.
    """

    __slots__ = ("_bare", "_qualified", "plugins", "unknown_disabled")

    def __init__(self, plugins: Iterable[Plugin], unknown_disabled: tuple[str, ...] = ()) -> None:
        self.plugins = tuple(plugins)
        self.unknown_disabled = unknown_disabled
        entries = [
            Entry(spec, plugin.distribution, plugin.version, plugin.entry_point)
            for plugin in self.plugins
            if plugin.status == "ok"
            for spec in plugin.specs
        ]
        entries.sort(
            key=lambda e: (KINDS.index(e.spec.kind), not e.builtin, e.spec.name, e.distribution)
        )
        self._qualified = {(entry.spec.kind, entry.qualified): entry for entry in entries}
        self._bare: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            self._bare.setdefault((entry.spec.kind, entry.spec.name), []).append(entry)

    def _summary(self) -> dict[str, object]:
        counts = {f"{kind}s": len(self.entries(kind)) for kind in KINDS}
        quarantined = [plugin.name for plugin in self.plugins if plugin.status != "ok"]
        return {
            **{kind: count for kind, count in counts.items() if count},
            "plugins": len(self.plugins),
            **({"not_loaded": quarantined} if quarantined else {}),
        }

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._qualified.values())

    def __len__(self) -> int:
        return len(self._qualified)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, tuple) or [type(part) for part in key] != [str, str]:
            return False
        try:
            self.get(*key)
        except UsageError:
            return False
        return True

    def get(self, kind: Kind, name: str) -> Entry:
        """Return the entry for a bare or qualified name.

        Raises UnknownNameError, which suggests similar names, or AmbiguousNameError, which lists
        the qualified names.
        """
        _check_kind(kind)
        distribution, colon, rest = name.partition(":")
        if colon:
            distribution = normalize(distribution)
            entry = self._qualified.get((kind, f"{distribution}:{rest}"))
            offers = [entry] if entry else []
        else:
            offers, rest = self._bare.get((kind, name), []), name
        builtin_asked = not colon or distribution == BUILTIN.distribution
        if not (offers and offers[0].builtin) and builtin_asked and _is_timm(kind, rest):
            return _timm(rest)
        if not offers:
            raise self._unknown(kind, name)
        if len(offers) > 1 and not offers[0].builtin:
            listed = " or ".join(f"'{entry.qualified}'" for entry in offers)
            raise AmbiguousNameError(f"several plugins provide {kind} '{name}': use {listed}")
        return offers[0]

    def qualified(self, kind: Kind, name: str) -> str:
        """Return the qualified name ``distribution:name``. Raises the errors of :meth:`get`."""
        return self.get(kind, name).qualified

    def resolve(
        self, kind: Kind, name: str, options: Mapping[str, object]
    ) -> tuple[str, dict[str, Value]]:
        """Return the qualified name and the options in the form that a recipe stores.

        See ``oraclezoo.specs.Spec.decide``. Raises the same errors as :meth:`get` and
        :meth:`oraclezoo.specs.Spec.fill`.
        """
        entry = self.get(kind, name)
        return entry.qualified, entry.spec.decide(options)

    @overload
    def create(
        self, kind: Literal["backbone"], name: str, /, *args: Any, **kwargs: Any
    ) -> Module: ...
    @overload
    def create(
        self, kind: Literal["optimizer"], name: str, /, *args: Any, **kwargs: Any
    ) -> Optimizer: ...
    @overload
    def create(
        self, kind: Literal["scheduler"], name: str, /, *args: Any, **kwargs: Any
    ) -> LRScheduler: ...
    @overload
    def create(
        self, kind: Literal["dataset"], name: str, /, *args: Any, **kwargs: Any
    ) -> Dataset: ...
    @overload
    def create(self, kind: Kind, name: str, /, *args: Any, **kwargs: Any) -> Any: ...
    def create(self, kind: Kind, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Build a component from the arguments of its contract and its options.

        ``create("backbone", name, in_chans=1, num_classes=10, image_size=28, **options)``,
        ``create("optimizer", name, named_parameters, **options)``, ``create("scheduler", name,
        optimizer, total_steps=..., steps_per_epoch=..., **options)``, ``create("tracker", name,
        run_name=..., folder=..., config=..., **options)``, ``create("executor", name, folder=...,
        **options)``, ``create("dataset", name, data_dir=None)``; ``stream_above`` is passed only to
        factories with the metadata ``streams``.

        Raises:
            UnknownOptionError: An option is unknown; raised before any heavy import.
            UsageError: An argument is wrong or missing; raised before any heavy import.
            PluginError: The target cannot be imported, or raises an exception.
        """
        entry = self.get(kind, name)
        spec = entry.spec
        positional, keyword = CONTRACT[kind]
        if len(args) > len(positional):
            raise UsageError(f"{kind} '{name}' takes {len(positional)} positional arguments")
        arguments = dict(zip(positional, args, strict=False))
        if kind == "dataset":
            arguments["data_dir"] = None
            above = kwargs.pop("stream_above", None)
            if spec.facts.get("streams"):
                arguments["stream_above"] = above
        arguments |= {key: kwargs.pop(key) for key in (*positional, *keyword) if key in kwargs}
        missing = [
            key for key in (*positional, *keyword) if key not in arguments | {"progress": None}
        ]
        if missing:
            raise UsageError(f"{kind} '{name}' needs {', '.join(missing)}")
        options = spec.fill(kwargs)
        leading = [arguments.pop(key) for key in positional]
        guarded = not entry.builtin and kind not in ("model", "executor")
        with foreign(str(entry), "imported", guarded=guarded):
            factory = spec.load()
        guarded = guarded and kind != "tracker"  # a logger may set up the process when it starts
        with foreign(str(entry), "built", guarded=guarded, randomness=False):
            return factory(*leading, **arguments, **spec.fixed, **options)

    def entries(self, kind: Kind | None = None, pattern: str | None = None) -> list[Entry]:
        """Return entries of ``kind``, or of all, whose bare or qualified name matches ``pattern``.

        A pattern that contains ``*``, ``?`` or ``[`` is a glob for the full name, any other pattern
        a substring. Matching is case-insensitive.
        """
        if kind is not None:
            _check_kind(kind)
        selected = [entry for entry in self if kind in (None, entry.spec.kind)]
        if pattern is None:
            return selected
        matches = _matcher(pattern)
        return [e for e in selected if matches(e.spec.name) or matches(e.qualified)]

    def names(self, kind: Kind) -> list[str]:
        """Return the shortest unambiguous name of each entry of ``kind``, sorted."""
        return sorted(map(self.shortest, self.entries(kind)))

    def shortest(self, entry: Entry) -> str:
        """Return the bare name if it resolves to ``entry``, otherwise the qualified name."""
        kind, name = entry.spec.kind, entry.spec.name
        bare = (kind, name) in self and self.get(kind, name) == entry
        return name if bare else entry.qualified

    @property
    def distributions(self) -> dict[str, str]:
        """Version of each distribution with a working plugin, except oraclezoo itself."""
        return {
            plugin.distribution: plugin.version
            for plugin in self.plugins
            if plugin.status == "ok" and plugin.distribution != BUILTIN.distribution
        }

    def code(self, distribution: str) -> PluginSource:
        """Return the version and code of a plugin's distribution. Raises PluginError."""
        from oraclezoo.plugins.code import code_of  # only needed for plugins

        return code_of(distribution, self._modules(distribution))

    def paths(self, distribution: str) -> frozenset[str]:
        """Return the absolute paths of the files of a plugin's distribution."""
        from oraclezoo.plugins.code import paths_of  # only needed for errors

        return paths_of(distribution, self._modules(distribution))

    def _modules(self, distribution: str) -> set[str]:
        """Return the modules named by a distribution's entry points and specs."""
        plugins = [plugin for plugin in self.plugins if plugin.distribution == distribution]
        targets = {spec.target.partition(":")[0] for plugin in plugins for spec in plugin.specs}
        return targets | {plugin.value.partition(":")[0].strip() for plugin in plugins}

    def clashes(self) -> list[tuple[Entry, ...]]:
        """Return groups of entries with the same kind and bare name; built-in ones come first."""
        return [tuple(offers) for offers in self._bare.values() if len(offers) > 1]

    def lookalikes(self) -> list[tuple[Entry, ...]]:
        """Return groups of entries of one kind whose names differ only in case."""
        groups: dict[tuple[str, str], dict[str, Entry]] = {}
        for entry in self:
            names = groups.setdefault((entry.spec.kind, entry.spec.name.lower()), {})
            names.setdefault(entry.spec.name, entry)
        return [tuple(names.values()) for names in groups.values() if len(names) > 1]

    def _unknown(self, kind: Kind, name: str) -> UnknownNameError:
        """Return the error for an unknown name, which lists similar names and failed plugins."""
        distribution, colon, bare = name.rpartition(":")
        distribution = normalize(distribution)
        failed = [plugin for plugin in self.plugins if plugin.status != "ok"]
        hint = ""
        for plugin in failed:
            offered = any((s.kind, s.name) == (kind, bare) for s in plugin.specs)
            if plugin.distribution == distribution or (offered and not colon):
                hint = f"plugin {plugin.name} is {plugin.status} ({plugin.reason}): {_DOCTOR}"
        if failed and not hint and not colon:
            hint = f"plugins that did not load: {', '.join(p.name for p in failed)}; {_DOCTOR}"
        known = [e.qualified for e in self.entries(kind)] if colon else self.names(kind)
        if colon and not hint and all(p.distribution != distribution for p in self.plugins):
            advice = f"distribution '{distribution}' is not installed: pip install {distribution}"
            return UnknownNameError(kind, name, (), advice + nearest(name, known))
        return UnknownNameError(kind, name, known, hint)


def build_registry(
    *, strict: bool = False, crashed: Mapping[str, str] = MappingProxyType({})
) -> Registry:
    """Build the registry.

    Args:
        strict: Whether to raise PluginError if a plugin is quarantined.
        crashed: Plugins to quarantine without loading, with the reason for each.
    """
    host = build_host(strict=strict, crashed=crashed)
    return Registry(host.plugins, host.unknown_disabled)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UsageError(f"unknown kind '{kind}'{nearest(kind, KINDS)}")


def _is_timm(kind: Kind, name: str) -> bool:
    return kind == "backbone" and name.startswith("timm/")


def _timm(name: str) -> Entry:
    from oraclezoo.zoo.backbones.specs import timm_spec  # only needed for timm names

    return Entry(timm_spec(name), BUILTIN.distribution, BUILTIN.version, BUILTIN.name)


def _matcher(pattern: str) -> Any:
    """Return a function that matches names; fnmatch, slow to import, is imported only for globs."""
    if not re.search(r"[*?\[]", pattern):
        return lambda name: pattern.lower() in name.lower()
    from fnmatch import fnmatch

    return lambda name: fnmatch(name.lower(), pattern.lower())
