"""Space: what a sweep varies, key by key, and the points of it that need no other trials to choose.

A key's values are written ``64,128`` (these), ``0.1:1`` (from, to), ``log:0.01:1`` (even in the
logarithm), each range also with how many values are taken of it, ``log:0.01:1:5``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oraclezoo.errors import UsageError, nearest
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe, parse_value
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import COMPONENTS, SECTIONS, keys
from oraclezoo.specs import Option

Point = dict[str, Any]
"""A value for each key."""

FIXED = {
    "data.track": "trials on different data cannot be compared",
    "data.refit": "trials are chosen by images that a refit would train on",
    **{f"compress.{key}": "trials are not compressed" for key in keys(SECTIONS["compress"])},
}
"""Keys that cannot be varied, and why."""

LARGEST_GRID = 10_000
CHECKED = 500
"""Points, at most, whose recipes are made before anything is trained."""

_RANGE = re.compile(r"(?P<log>log:)?(?P<low>[^:]+):(?P<high>[^:]+)(:(?P<count>\d+))?")


@dataclass(frozen=True)
class Choices:
    """A key with a few values."""

    key: str
    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value so far along, from 0 to 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def grid(self) -> tuple[Any, ...] | None:
        """All values."""
        return self.values

    def text(self) -> str:
        """As it is written."""
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A key with values from ``low`` to ``high``; ``count`` of them if given, ``whole`` or not."""

    key: str
    low: float
    high: float
    log: bool
    count: int | None
    whole: bool

    def at(self, share: float) -> float:
        """The value so far along, from 0 to 1; of ``count`` values the nearest."""
        if self.count is not None:
            values = self.grid() or ()
            return values[min(int(share * len(values)), len(values) - 1)]
        if self.whole and not self.log:
            return int(self.low) + min(
                int(share * (self.high - self.low + 1)), int(self.high - self.low)
            )
        return self._between(share)

    def grid(self) -> tuple[float, ...] | None:
        """Values evenly apart, ends included; None if there is no saying how many."""
        if self.count is None:
            if self.whole and not self.log and self.high - self.low < LARGEST_GRID:
                return tuple(range(int(self.low), int(self.high) + 1))
            return None
        shares = np.linspace(0, 1, self.count)
        return tuple(dict.fromkeys(self._between(float(share)) for share in shares))

    def text(self) -> str:
        """As it is written."""
        count = "" if self.count is None else f":{self.count}"
        return f"{'log:' if self.log else ''}{self.low:g}:{self.high:g}{count}"

    def _between(self, share: float) -> float:
        if self.log:
            value = math.exp(
                math.log(self.low) + share * (math.log(self.high) - math.log(self.low))
            )
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.6g}")


Axis = Choices | Range


def read_space(
    entries: Mapping[str, object], recipe: Recipe, registry: Registry
) -> tuple[Axis, ...]:
    """The axes of a space for a recipe, from lists or from texts as above.

    Raises UsageError for a key or a value that the recipe cannot have.
    """
    if not entries:
        raise UsageError("a sweep needs something to vary, e.g. -p optimizer.lr=log:0.01:1")
    axes = tuple(_axis(key, given, entries, recipe, registry) for key, given in entries.items())
    points = itertools.chain(_corners(axes), _one_by_one(axes))
    for point in itertools.islice(points, CHECKED):
        try:
            resolve(recipe.override(point), registry)
        except UsageError as error:
            raise UsageError(f"{point_text(point)} cannot be: {error}") from error
    return axes


def grid_size(axes: Sequence[Axis]) -> int | None:
    """Points of the grid; None if some range does not say how many values it has."""
    grids = [axis.grid() for axis in axes]
    return None if None in grids else math.prod(len(values or ()) for values in grids)


def grid_point(axes: Sequence[Axis], number: int) -> Point:
    """Point ``number`` of the grid; the last key varies first. Raises UsageError."""
    point: Point = {}
    for axis in reversed(axes):
        values = axis.grid()
        if values is None:
            raise UsageError(
                f"a grid needs to know how many values {axis.key} takes: write {axis.text()}:5"
            )
        number, at = divmod(number, len(values))
        point[axis.key] = values[at]
    return {axis.key: point[axis.key] for axis in axes}


def random_point(axes: Sequence[Axis], seed: int, number: int) -> Point:
    """Draw ``number``, the same at any time; of a grid, every point once before any twice."""
    size = grid_size(axes)
    if size is not None and size <= LARGEST_GRID:
        turn, place = divmod(number, size)
        order = np.random.default_rng([seed, turn]).permutation(size)
        return grid_point(axes, int(order[place]))
    generator = np.random.default_rng([seed, number])
    return {axis.key: axis.at(float(generator.random())) for axis in axes}


def point_text(point: Mapping[str, Any]) -> str:
    """``key=value`` for each key."""
    return " ".join(f"{key}={_short(value)}" for key, value in point.items())


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _axis(
    key: str, given: object, entries: Mapping[str, object], recipe: Recipe, registry: Registry
) -> Axis:
    if key in FIXED:
        raise UsageError(f"{key} cannot be varied: {FIXED[key]}")
    if isinstance(given, (list, tuple)):
        return _choices(key, list(given))
    text = str(given).strip()
    found = _RANGE.fullmatch(text) if isinstance(given, str) else None
    if key.endswith(".name") or found is None:  # a name may have a colon in it
        return _choices(key, _values(text) if isinstance(given, str) else [given])
    option = _option(key, entries, recipe, registry)
    if option.type not in ("int", "float"):
        raise UsageError(f"{key} is of type {option.type}: list its values, as {key}=A,B")
    low, high = (_number(key, found[end]) for end in ("low", "high"))
    whole, log, count = option.type == "int", bool(found["log"]), found["count"]
    if whole and not (low.is_integer() and high.is_integer()):
        raise UsageError(f"{key} takes whole numbers: {text} has others")
    if not low < high or (log and low <= 0):
        raise UsageError(f"{key}={text}: a range goes up, and one in the logarithm is above 0")
    if count is not None and not 2 <= int(count) <= LARGEST_GRID:
        raise UsageError(f"{key}={text}: take from 2 to {LARGEST_GRID} values of a range")
    return Range(key, low, high, log, None if count is None else int(count), whole)


def _choices(key: str, values: list[Any]) -> Choices:
    values = [tuple(value) if isinstance(value, list) else value for value in values]
    if not values or len(set(map(repr, values))) < len(values):
        raise UsageError(f"{key}: list one or more values, each once")
    return Choices(key, tuple(values))


def _values(text: str) -> list[Any]:
    """A list of TOML values without its brackets, or of plain words."""
    whole = parse_value(f"[{text}]")
    if isinstance(whole, list):
        return whole
    return [parse_value(word.strip()) for word in text.split(",") if word.strip()]


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{key}: '{text}' is no number; write e.g. log:0.01:1 or 64,128")
    return value


def _option(key: str, entries: Mapping[str, object], recipe: Recipe, registry: Registry) -> Option:
    """What the recipe, or a component that the space names, knows of a key."""
    section, _, entry = key.partition(".")
    if section in SECTIONS:
        known = keys(SECTIONS[section])
    elif section in COMPONENTS:
        given = entries.get(f"{section}.name", getattr(recipe, section).name)
        names = given if isinstance(given, (list, tuple)) else _values(str(given))
        specs = [registry.get(section, str(name)).spec for name in names]
        known = {option.name: option for spec in specs for option in spec.options}
    else:
        raise UsageError(f"no section in '{key}'{nearest(section, (*SECTIONS, *COMPONENTS))}")
    if entry not in known:
        raise UsageError(f"there is no key '{key}' to vary{nearest(entry, known)}")
    return known[entry]


def _ends(axis: Axis) -> tuple[Any, ...]:
    return axis.values if isinstance(axis, Choices) else (axis.at(0.0), axis.at(1.0))


def _corners(axes: Sequence[Axis]) -> Iterator[Point]:
    for values in itertools.product(*map(_ends, axes)):
        yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def _one_by_one(axes: Sequence[Axis]) -> Iterator[Point]:
    """Every choice of every axis beside the first ends of the others."""
    first = {axis.key: _ends(axis)[0] for axis in axes}
    for axis in axes:
        for value in _ends(axis):
            yield {**first, axis.key: value}
