"""Search space of a sweep: recipe keys, each with a list of choices or a range.

The values of a key are written ``64,128`` (choices), ``0.1:1`` (a range) or ``log:0.01:1`` (a range
on a logarithmic scale). A count at the end of a range, as in ``log:0.01:1:5``, selects that many
evenly spaced values.
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
from oraclezoo.sweeping.records import Point

FIXED = {
    "data.track": "trials on different data cannot be compared",
    "data.refit": "a refit trains on the images that trials are compared on",
    **{f"compress.{key}": "trials are not compressed" for key in keys(SECTIONS["compress"])},
}
"""Keys that a sweep cannot vary, with the reason."""

LARGEST_GRID = 10_000
CHECKED = 500
"""Maximum number of points whose recipes are checked before training starts."""

_RANGE = re.compile(r"(?P<log>log:)?(?P<low>[^:]+):(?P<high>[^:]+)(:(?P<count>\d+))?")


@dataclass(frozen=True)
class Choices:
    """A key with a list of possible values."""

    key: str
    values: tuple[Any, ...]

    def grid(self) -> tuple[Any, ...]:
        """Return all values."""
        return self.values

    def ends(self) -> tuple[Any, ...]:
        """Return the values with which to check a recipe."""
        return self.values

    def encode(self, value: Any) -> Any:
        """Return ``value`` as a categorical choice for Optuna: a number, boolean or string."""
        return value if isinstance(value, (bool, int, float, str)) else str(value)

    def decode(self, param: Any) -> Any:
        """Return the value that Optuna's ``param`` represents. Raises ValueError."""
        return self.values[[self.encode(value) for value in self.values].index(param)]

    def text(self) -> str:
        """Return the values in command-line syntax."""
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A key with values from ``low`` to ``high``: any value, or ``count`` evenly spaced values."""

    key: str
    low: float
    high: float
    log: bool
    count: int | None
    whole: bool

    def grid(self) -> tuple[float, ...] | None:
        """Return all values including both ends, or None if they cannot be listed."""
        if self.count is None:
            if self.whole and not self.log and self.high - self.low < LARGEST_GRID:
                return tuple(range(int(self.low), int(self.high) + 1))
            return None
        space = np.geomspace if self.log else np.linspace
        values = space(self.low, self.high, self.count)
        return tuple(dict.fromkeys(self.decode(float(value)) for value in values))

    def ends(self) -> tuple[float, ...]:
        """Return the values with which to check a recipe."""
        return self.decode(self.low), self.decode(self.high)

    def encode(self, value: float) -> float:
        """Return ``value`` as a parameter for Optuna."""
        return value

    def decode(self, param: float) -> float:
        """Round Optuna's parameter to an integer, or to six significant digits."""
        value = round(param) if self.whole else float(f"{param:.6g}")
        return min(max(value, self.low), self.high)  # the rounded value may be out of range

    def text(self) -> str:
        """Return the range in command-line syntax."""
        count = "" if self.count is None else f":{self.count}"
        return f"{'log:' if self.log else ''}{self.low:g}:{self.high:g}{count}"


Axis = Choices | Range


def read_space(
    entries: Mapping[str, object], recipe: Recipe, registry: Registry
) -> tuple[Axis, ...]:
    """Return the axes of a search space for a recipe, from lists or from strings as above.

    Raises UsageError for a key or a value that is not valid in the recipe.
    """
    if not entries:
        raise UsageError("no key to vary; pass at least one, e.g. -p optimizer.lr=log:0.01:1")
    axes = tuple(_axis(key, values, entries, recipe, registry) for key, values in entries.items())
    points = itertools.chain(_corners(axes), _one_by_one(axes))
    for point in itertools.islice(points, CHECKED):
        try:
            resolve(recipe.override(point), registry)
        except UsageError as error:
            raise UsageError(f"invalid setting {point_text(point)}: {error}") from error
    return axes


def grid_size(axes: Sequence[Axis]) -> int | None:
    """Return the number of points in the grid, or None if a range has no count."""
    grids = [axis.grid() for axis in axes]
    return None if None in grids else math.prod(len(values or ()) for values in grids)


def check_grid(axes: Sequence[Axis]) -> None:
    """Raise UsageError if a range has no count, as a grid requires."""
    for axis in axes:
        if axis.grid() is None:
            raise UsageError(
                f"a grid needs a count for the range of {axis.key}, e.g. {axis.text()}:5"
            )


def point_text(point: Mapping[str, Any]) -> str:
    """Return ``key=value`` for each key, as one string."""
    return " ".join(f"{key}={_short(value)}" for key, value in point.items())


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _axis(
    key: str, values: object, entries: Mapping[str, object], recipe: Recipe, registry: Registry
) -> Axis:
    if key in FIXED:
        raise UsageError(f"{key} cannot be varied: {FIXED[key]}")
    if isinstance(values, (list, tuple)):
        return _choices(key, list(values))
    text = str(values).strip()
    match = _RANGE.fullmatch(text) if isinstance(values, str) else None
    if key.endswith(".name") or match is None:  # component names may contain colons
        return _choices(key, _values(text) if isinstance(values, str) else [values])
    option = _option(key, entries, recipe, registry)
    if option.type not in ("int", "float"):
        raise UsageError(f"{key} has type {option.type}: list its values, e.g. {key}=A,B")
    low, high = (_number(key, match[end]) for end in ("low", "high"))
    integer, log, count = option.type == "int", bool(match["log"]), match["count"]
    if integer and not (low.is_integer() and high.is_integer()):
        raise UsageError(f"{key} must be an integer, not {text}")
    if not low < high or (log and low <= 0):
        raise UsageError(f"{key}={text}: low must be below high, and above 0 for log")
    if count is not None and not 2 <= int(count) <= LARGEST_GRID:
        raise UsageError(f"{key}={text}: the count must be from 2 to {LARGEST_GRID}")
    return Range(key, low, high, log, None if count is None else int(count), integer)


def _choices(key: str, values: list[Any]) -> Choices:
    axis = Choices(key, tuple(tuple(v) if isinstance(v, list) else v for v in values))
    if not values or len({axis.encode(value) for value in axis.values}) < len(values):
        raise UsageError(f"{key}: list at least one value, without repeats")
    return axis


def _values(text: str) -> list[Any]:
    """Parse a list of TOML values without its brackets, or a list of unquoted words."""
    parsed = parse_value(f"[{text}]")
    if isinstance(parsed, list):
        return parsed
    return [parse_value(word.strip()) for word in text.split(",") if word.strip()]


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{key}: '{text}' is not a number; use e.g. log:0.01:1 or 64,128")
    return value


def _option(key: str, entries: Mapping[str, object], recipe: Recipe, registry: Registry) -> Option:
    """Return the option that a key sets, in the recipe or in a component of the space."""
    section, _, entry = key.partition(".")
    if section in SECTIONS:
        known = keys(SECTIONS[section])
    elif section in COMPONENTS:
        value = entries.get(f"{section}.name", getattr(recipe, section).name)
        names = value if isinstance(value, (list, tuple)) else _values(str(value))
        specs = [registry.get(section, str(name)).spec for name in names]
        known = {option.name: option for spec in specs for option in spec.options}
    else:
        raise UsageError(f"unknown section in '{key}'{nearest(section, (*SECTIONS, *COMPONENTS))}")
    if entry not in known:
        raise UsageError(f"unknown key '{key}'{nearest(entry, known)}")
    return known[entry]


def _corners(axes: Sequence[Axis]) -> Iterator[Point]:
    for values in itertools.product(*(axis.ends() for axis in axes)):
        yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def _one_by_one(axes: Sequence[Axis]) -> Iterator[Point]:
    """Yield a point for each value to check; the other keys have their first values."""
    first = {axis.key: axis.ends()[0] for axis in axes}
    for axis in axes:
        for value in axis.ends():
            yield {**first, axis.key: value}
