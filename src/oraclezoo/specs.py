"""Specs: lightweight, frozen records that describe components.

A spec names its target as ``"package.module:attribute"``; heavy packages are not imported before
:meth:`Spec.load`. Options are typed, so that a wrong name or value is rejected before any heavy
import.
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

Kind = Literal["backbone", "optimizer", "scheduler", "dataset", "tracker", "model", "executor"]
KINDS: tuple[Kind, ...] = (
    *("backbone", "optimizer", "scheduler", "dataset", "tracker", "model"),
    "executor",
)

SHIPPED_MODEL = "oraclezoo.serving.store:shipped"
FETCHED_MODEL = "oraclezoo.serving.store:fetched"
"""The two possible targets of specs of kind "model"."""

OptionType = Literal["float", "int", "bool", "str", "floats"]
OPTION_TYPES: tuple[OptionType, ...] = ("float", "int", "bool", "str", "floats")
Value = float | int | bool | str | tuple[float, ...] | None

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)?")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component: name, type, default, help text and inclusive bounds.

    If the default is None, the option may be omitted, and the component chooses the value.
    ``later`` marks an option that was added after recipes with its component were published. So
    that recipe hashes do not change, such an option is omitted from recipes if it has its default
    value, which must reproduce the behavior without the option.

    Raises PluginError if a field is invalid.

    >>> Option("lr", "float", 0.1, "learning rate", low=0.0).check(0.5, "optimizer")
    0.5
    """

    name: str
    type: OptionType
    default: Value
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    later: bool = False

    def __post_init__(self) -> None:
        where = f"option {self.name!r}"
        if not isinstance(self.name, str):
            raise PluginError(f"{where}: its name must be a string")
        if self.type not in OPTION_TYPES:
            raise PluginError(
                f"{where}: type {self.type!r} is not one of {', '.join(OPTION_TYPES)}"
            )
        choices: object = self.choices
        if not isinstance(choices, (tuple, list)) or not all(isinstance(c, str) for c in choices):
            raise PluginError(f"{where}: choices are {choices!r}; write a tuple of strings")
        object.__setattr__(self, "choices", tuple(choices))
        if choices and self.type != "str":
            raise PluginError(f"{where}: only options of type str have choices")
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if bounds and self.type in ("bool", "str"):
            raise PluginError(f"{where}: an option of type {self.type} has no bounds")
        if any(type(bound) not in (int, float) or math.isnan(bound) for bound in bounds):
            raise PluginError(f"{where}: low and high must be numbers")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            raise PluginError(f"{where}: low = {self.low:g} is above high = {self.high:g}")

    def check(self, value: object, where: str) -> Value:
        """Return ``value`` converted to this option's type.

        ``where`` precedes the option's name in messages. Raises UsageError for a wrong type or a
        value out of bounds.
        """
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
            raise UsageError(f"{where}.{self.name} is {value}; it must be in [{low}, {high}]")
        return float(value)

    def _wrong(self, value: object, where: str) -> UsageError:
        message = f"{where}.{self.name} is {value!r}; it must be of type {self.type}"
        spelling = _spelling(value, self.type)
        return UsageError(f"{message}: write {spelling}" if spelling else message)


def _spelling(value: object, type: OptionType) -> str:
    """Return the value that was probably intended, in TOML notation, or "" if that is unclear."""
    text = str(value).strip()
    if type == "str" and isinstance(value, (bool, int, float)):
        return f'"{text.lower() if isinstance(value, bool) else text}"'
    if type == "bool":
        words = {"true": "true yes on 1", "false": "false no off 0"}
        return next(
            (word for word, spellings in words.items() if text.lower() in spellings.split()), ""
        )
    if type == "floats":
        numbers = [_spelling(part, "float") for part in text.strip("[]()").split(",")]
        return f"[{', '.join(numbers)}]" if all(numbers) else ""
    try:
        number = float(text)
    except ValueError:
        return ""
    if isinstance(value, bool) or not math.isfinite(number):
        return ""
    if type == "int":
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else ""
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


@dataclass(frozen=True, slots=True)
class Spec:
    """Description of a component, available without importing it.

    ``name``    unique within its kind and distribution
    ``target``  ``"package.module:attribute"``, a factory that satisfies the contract of its kind
                (:mod:`oraclezoo.contracts`)
    ``fixed``   keyword arguments that are always passed to the factory; they are not options
    ``facts``   metadata that the engine and the conformance checks rely on
    ``source``  paper or code base of the component

    Raises PluginError if a field is invalid.
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
        name: object = self.name  # a plugin may pass anything
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(
                f"{where}: a name is a string of letters, digits, '.', '_', '+', '-' and at most "
                "one '/'"
            )
        target: object = self.target
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise PluginError(f"{where}: target {self.target!r} is not 'package.module:attribute'")
        if not all(isinstance(option, Option) for option in self.options):
            raise PluginError(f"{where}: options must be oraclezoo.specs.Option")
        object.__setattr__(self, "options", tuple(self.options))
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise PluginError(f"{where}: an option is declared twice")
        if self.kind in ("dataset", "model") and names:
            raise PluginError(f"{where}: {self.kind}s take no options")
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        object.__setattr__(self, "fixed", MappingProxyType(dict(self.fixed)))

    def fill(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Return all options: ``values`` after validation, and defaults for all others.

        Raises UnknownOptionError, which suggests similar names, or UsageError for a value of the
        wrong type or out of bounds.
        """
        known = {option.name: option for option in self.options}
        for name in values:
            if name not in known:
                near = nearest(name, known) or f"; {self.kind} '{self.name}' takes no options"
                raise UnknownOptionError(f"{self.kind} '{self.name}' has no option '{name}'{near}")
        return {
            name: option.check(values[name], self.kind) if name in values else option.default
            for name, option in known.items()
        }

    def decide(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Return the options that a recipe stores: :meth:`fill` without ``later`` defaults.

        Raises the same errors as :meth:`fill`.
        """
        filled = self.fill(values)
        omitted = {o.name for o in self.options if o.later and filled[o.name] == o.default}
        return {name: value for name, value in filled.items() if name not in omitted}

    def load(self) -> Callable[..., Any]:
        """Import and return the target. Raises PluginError if it is missing or not callable."""
        module_name, _, attribute = self.target.partition(":")
        subject = f"{self.kind} '{self.name}': its target {self.target}"
        try:
            target: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                target = getattr(target, part)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's import may raise anything, even SystemExit
            raise PluginError(
                f"{subject} cannot be imported ({type(error).__name__}: {error})"
            ) from error
        if not callable(target):
            raise PluginError(f"{subject} is not callable")
        return target  # type: ignore[no-any-return]  # getattr of a module is Any


def fetched_model(
    name: str, *, url: str, sha256: str, size_bytes: int, summary: str, source: str = ""
) -> Spec:
    """Return the spec of a model that is downloaded on first use and verified by its digest.

    Args:
        name: Name of the model.
        url: http(s) or file URL of a tar archive (plain, gzip, bzip2 or xz) of the model folder.
        sha256: SHA-256 of the archive as 64 lowercase hexadecimal digits.
        size_bytes: Size of the archive in bytes.
        summary: One-line description for listings.
        source: Author, training data and license.
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
