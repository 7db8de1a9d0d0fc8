"""Registry: all components of an installation, by kind and name, each with where it comes from.

A bare name is the built-in component, always; else a plugin's, when only one offers it.
``distribution:name`` names exactly one in any case. Nothing heavy is imported before
:meth:`Registry.create`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oraclezoo.errors import (
    AmbiguousNameError,
    OracleZooError,
    PluginError,
    UnknownNameError,
    UsageError,
    nearest,
)
from oraclezoo.plugins.checks import CONTRACT
from oraclezoo.plugins.discovery import normalise
from oraclezoo.plugins.host import BUILTIN, Plugin, build_host
from oraclezoo.specs import KINDS, Kind, Spec, Value

_DOCTOR = "see 'oraclezoo plugins doctor'"


@dataclass(frozen=True, slots=True)
class Entry:
    """A spec and its provenance."""

    spec: Spec
    distribution: str
    version: str
    entry_point: str

    @property
    def qualified(self) -> str:
        """``distribution:name``."""
        return f"{self.distribution}:{self.spec.name}"

    @property
    def builtin(self) -> bool:
        """Whether it comes with oraclezoo."""
        return self.distribution == BUILTIN.distribution


class Registry:
    """Made from the records of plugins and not changed afterwards.

    Iterates over its entries by kind, the built-in ones first. ``(kind, name) in registry`` says
    whether :meth:`get` finds it. ``timm/<architecture>`` is found for every architecture, and not
    iterated over.
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
        """The entry that a bare or qualified name stands for.

        Raises UnknownNameError (lists the nearest names) or AmbiguousNameError (lists the
        qualified names).
        """
        _check_kind(kind)
        distribution, colon, rest = name.partition(":")
        if colon:
            distribution = normalise(distribution)
            found = self._qualified.get((kind, f"{distribution}:{rest}"))
            offers = [found] if found else []
        else:
            offers, rest = self._bare.get((kind, name), []), name
        builtin_asked = not colon or distribution == BUILTIN.distribution
        if not (offers and offers[0].builtin) and builtin_asked and _is_timm(kind, rest):
            return _timm(rest)
        if not offers:
            raise self._unknown(kind, name)
        if len(offers) > 1 and not offers[0].builtin:
            listed = " or ".join(f"'{entry.qualified}'" for entry in offers)
            raise AmbiguousNameError(f"more than one plugin offers {kind} '{name}': say {listed}")
        return offers[0]

    def qualified(self, kind: Kind, name: str) -> str:
        """``distribution:name`` of what ``name`` stands for. Raises as :meth:`get`."""
        return self.get(kind, name).qualified

    def resolve(
        self, kind: Kind, name: str, options: Mapping[str, object]
    ) -> tuple[str, dict[str, Value]]:
        """The qualified name, and the options: ``options`` checked, the rest by default.

        Left out are later options at their default. Raises as :meth:`get` and
        :meth:`oraclezoo.specs.Spec.fill`.
        """
        entry = self.get(kind, name)
        return entry.qualified, entry.spec.decide(options)

    def create(self, kind: Kind, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Build a component: ``args`` and ``kwargs`` are its contract's arguments and its options.

        ``create("backbone", name, in_chans=1, num_classes=10, image_size=28, **options)``,
        ``create("optimizer", name, named_parameters, **options)``,
        ``create("scheduler", name, optimizer, total_steps=..., steps_per_epoch=..., **options)``,
        ``create("tracker", name, run_name=..., folder=..., config=..., **options)``,
        ``create("dataset", name, data_dir=None)``, where ``stream_above`` goes to factories that
        declare the fact ``streams`` and is of no meaning to others.

        Raises UnknownOptionError or UsageError for a wrong, missing or surplus argument, before
        anything heavy is imported; PluginError if its target cannot be imported or raises.
        """
        entry = self.get(kind, name)
        spec = entry.spec
        positional, keyword = CONTRACT[kind]
        if len(args) > len(positional):
            raise UsageError(f"{kind} '{name}' takes {len(positional)} positional arguments")
        given = dict(zip(positional, args, strict=False))
        if kind == "dataset":
            given["data_dir"] = None
            above = kwargs.pop("stream_above", None)
            if spec.facts.get("streams"):
                given["stream_above"] = above
        given |= {key: kwargs.pop(key) for key in (*positional, *keyword) if key in kwargs}
        missing = [key for key in (*positional, *keyword) if key not in given | {"progress": None}]
        if missing:
            raise UsageError(f"{kind} '{name}' needs {', '.join(missing)}")
        options = spec.fill(kwargs)
        leading = [given.pop(key) for key in positional]
        factory = spec.load()
        try:
            return factory(*leading, **given, **spec.fixed, **options)
        except (OracleZooError, MemoryError):
            raise
        except Exception as error:  # a factory may raise anything
            if "OutOfMemory" in type(error).__name__:
                raise
            text = " ".join(str(error).split())[:200]
            raise PluginError(
                f"{kind} '{entry.qualified}' ({entry.distribution} {entry.version}) cannot be "
                f"built: {type(error).__name__}: {text}"
            ) from error

    def entries(self, kind: Kind | None = None, pattern: str | None = None) -> list[Entry]:
        """Entries of ``kind`` (or of all) whose bare or qualified name matches ``pattern``.

        A pattern with ``*``, ``?`` or ``[`` is a glob over the whole name, any other a part of it;
        upper and lower case are the same.
        """
        if kind is not None:
            _check_kind(kind)
        chosen = [entry for entry in self if kind in (None, entry.spec.kind)]
        if pattern is None:
            return chosen
        matches = _matcher(pattern)
        return [e for e in chosen if matches(e.spec.name) or matches(e.qualified)]

    def names(self, kind: Kind) -> list[str]:
        """The shortest name by which each entry of ``kind`` is reached, sorted."""
        return sorted(map(self.shortest, self.entries(kind)))

    def shortest(self, entry: Entry) -> str:
        """The bare name of ``entry`` where that means it, else the qualified one."""
        kind, name = entry.spec.kind, entry.spec.name
        bare = (kind, name) in self and self.get(kind, name) == entry
        return name if bare else entry.qualified

    def clashes(self) -> list[tuple[Entry, ...]]:
        """Entries that share kind and bare name; a built-in one comes first."""
        return [tuple(offers) for offers in self._bare.values() if len(offers) > 1]

    def _unknown(self, kind: Kind, name: str) -> UnknownNameError:
        """What is nearest, and whether a plugin that did not load is the reason."""
        distribution, colon, bare = name.rpartition(":")
        distribution = normalise(distribution)
        out = [plugin for plugin in self.plugins if plugin.status != "ok"]
        hint = ""
        for plugin in out:
            offered = any((s.kind, s.name) == (kind, bare) for s in plugin.specs)
            if plugin.distribution == distribution or (offered and not colon):
                hint = f"plugin {plugin.name} is {plugin.status} ({plugin.reason}): {_DOCTOR}"
        if colon and not hint and all(p.distribution != distribution for p in self.plugins):
            hint = f"no plugin of distribution '{distribution}' is installed"
        if out and not hint and not colon:
            hint = f"plugins that did not load: {', '.join(p.name for p in out)}; {_DOCTOR}"
        known = [e.qualified for e in self.entries(kind)] if colon else self.names(kind)
        return UnknownNameError(kind, name, known, hint)


def build_registry(*, strict: bool = False) -> Registry:
    """The registry of this installation. Raises PluginError with ``strict`` on any quarantine."""
    host = build_host(strict=strict)
    return Registry(host.plugins, host.unknown_disabled)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UsageError(f"unknown kind '{kind}'{nearest(kind, KINDS)}")


def _is_timm(kind: Kind, name: str) -> bool:
    return kind == "backbone" and name.startswith("timm/")


def _timm(name: str) -> Entry:
    from oraclezoo.zoo.backbones.specs import timm_spec  # light, but of no use to other names

    return Entry(timm_spec(name), BUILTIN.distribution, BUILTIN.version, BUILTIN.name)


def _matcher(pattern: str) -> Any:
    """Whether a name matches; without fnmatch, whose import costs more than this."""
    if not re.search(r"[*?\[]", pattern):
        return lambda name: pattern.lower() in name.lower()
    from fnmatch import fnmatch

    return lambda name: fnmatch(name.lower(), pattern.lower())
