"""Spec: the light, frozen record by which a component is known before it is built.

A spec carries its target as ``"package.module:attribute"``; nothing heavy is imported until
:meth:`Spec.load` is called. Options are typed here, so that a wrong name or value is refused before
anything heavy is imported.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from oraclezoo.errors import PluginError, UnknownOptionError, UsageError, nearest

PLUGIN_API_VERSION = 1
"""Version of the contract between oraclezoo and its plugins (hooks, specs, factories)."""

Kind = Literal["backbone", "optimizer", "scheduler", "dataset", "tracker", "model"]
KINDS: tuple[Kind, ...] = ("backbone", "optimizer", "scheduler", "dataset", "tracker", "model")

SHIPPED_MODEL = "oraclezoo.serving.store:shipped"
FETCHED_MODEL = "oraclezoo.serving.store:fetched"
"""The two targets of specs of kind "model"."""

OptionType = Literal["float", "int", "bool", "str", "floats"]
Value = float | int | bool | str | tuple[float, ...] | None

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)?")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component: name, type, default, meaning, and bounds (inclusive).

    A default of None makes the option optional: left out, the component decides. ``later`` marks
    an option added after recipes with its component had been published: it is no part of a recipe
    while it has its default, which must mean "as before the option", so that hashes stay.
    """

    name: str
    type: OptionType
    default: Value
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    later: bool = False

    def check(self, value: object, where: str) -> Value:
        """``value`` as this option's type, or a UsageError that names ``where`` it belongs."""
        if value is None and self.default is None:
            return None
        if self.type == "floats":
            if not isinstance(value, (list, tuple)):
                raise self._wrong(value, where)
            return tuple(self._number(item, where) for item in value)
        if self.type == "bool" and isinstance(value, bool):
            return value
        if self.type == "str" and isinstance(value, str):
            if self.choices and value not in self.choices:
                listed = ", ".join(self.choices)
                raise UsageError(f"{where}.{self.name} is '{value}'; it must be one of {listed}")
            return value
        if self.type == "int" and isinstance(value, int) and not isinstance(value, bool):
            return int(self._number(value, where))
        if self.type == "float":
            return self._number(value, where)
        raise self._wrong(value, where)

    def _number(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(value, where)
        if not math.isfinite(value):
            raise UsageError(f"{where}.{self.name} is {value}; it must be finite")
        if (self.low is not None and value < self.low) or (
            self.high is not None and value > self.high
        ):
            low = "-inf" if self.low is None else f"{self.low:g}"
            high = "inf" if self.high is None else f"{self.high:g}"
            raise UsageError(f"{where}.{self.name} is {value}; it must lie in [{low}, {high}]")
        return float(value)

    def _wrong(self, value: object, where: str) -> UsageError:
        return UsageError(f"{where}.{self.name} is {value!r}; it must be of type {self.type}")


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a component without importing it.

    ``name``    unique within its kind and distribution
    ``target``  ``"package.module:attribute"``, a factory that keeps the contract of its kind
                (:mod:`oraclezoo.contracts`)
    ``fixed``   keyword arguments always given to the factory; not options, not shown as such
    ``facts``   declared properties that the engine and the conformance kit rely on
    ``source``  the paper or code base where the component comes from
    """

    kind: Kind
    name: str
    target: str
    summary: str
    options: tuple[Option, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"spec {self.name!r}"
        if self.kind not in KINDS:
            raise PluginError(f"{where}: kind '{self.kind}' is not one of {', '.join(KINDS)}")
        if not _NAME.fullmatch(str(self.name)):
            raise PluginError(f"{where}: in a name use letters, digits, '.', '_', '-' and one '/'")
        if not _TARGET.fullmatch(str(self.target)):
            raise PluginError(f"{where}: target '{self.target}' is not 'package.module:attribute'")
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise PluginError(f"{where}: an option is declared twice")
        if self.kind in ("dataset", "model") and names:
            raise PluginError(f"{where}: {self.kind}s take no options")
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        object.__setattr__(self, "fixed", MappingProxyType(dict(self.fixed)))

    def fill(self, given: Mapping[str, object]) -> dict[str, Value]:
        """All options of this component: ``given`` checked, the rest by default.

        Raises UnknownOptionError (lists the nearest) or UsageError (wrong type, out of bounds).
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                near = nearest(name, known) or f"; {self.kind} '{self.name}' takes no options"
                raise UnknownOptionError(f"{self.kind} '{self.name}' has no option '{name}'{near}")
        return {
            name: option.check(given[name], self.kind) if name in given else option.default
            for name, option in known.items()
        }

    def decide(self, given: Mapping[str, object]) -> dict[str, Value]:
        """What a recipe says of the options: as :meth:`fill`, without later ones at their default.

        Raises as :meth:`fill`.
        """
        filled = self.fill(given)
        silent = {o.name for o in self.options if o.later and filled[o.name] == o.default}
        return {name: value for name, value in filled.items() if name not in silent}

    def load(self) -> Callable[..., Any]:
        """Import the target. Raises PluginError if it is not there or cannot be called."""
        module_name, _, attribute = self.target.partition(":")
        who = f"{self.kind} '{self.name}': its target {self.target}"
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except Exception as error:  # a plugin's import may raise anything
            raise PluginError(
                f"{who} cannot be imported ({type(error).__name__}: {error})"
            ) from error
        if not callable(found):
            raise PluginError(f"{who} is not callable")
        return found  # type: ignore[no-any-return]  # getattr of a module is Any


def fetched_model(
    name: str, *, url: str, sha256: str, size_bytes: int, summary: str, source: str = ""
) -> Spec:
    """The spec of a model that is fetched when it is asked for, and used once its digest fits.

    ``url`` is the http(s) or file address of a tar archive (plain, or compressed by gzip, bzip2 or
    xz) of the model's folder; ``sha256``, 64 small hex digits, and ``size_bytes`` are the
    archive's.
    ``source`` says who made it of what, and under which licence.
    """
    pin = {"url": url, "sha256": sha256, "size_bytes": size_bytes}
    return Spec(
        kind="model",
        name=name,
        target=FETCHED_MODEL,
        summary=summary,
        facts={**pin, "shipped": False},
        source=source,
        fixed={"name": name, **pin},
    )
