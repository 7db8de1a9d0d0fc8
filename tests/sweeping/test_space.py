"""Search spaces: texts are parsed and checked against the recipe; every value fits its range."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oraclezoo as oz
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.sweeping.space import Choices, Range, check_grid, grid_size, read_space

RECIPE = oz.Recipe.load("authors-cnn")
REGISTRY = build_registry()


def read(**entries: object) -> Any:
    """Parse a space given as keywords, with ``__`` in place of dots."""
    return read_space({k.replace("__", "."): v for k, v in entries.items()}, RECIPE, REGISTRY)


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("optimizer.lr", "log:0.01:1", Range("optimizer.lr", 0.01, 1, True, None, False)),
        ("optimizer.lr", "0.1:1:4", Range("optimizer.lr", 0.1, 1, False, 4, False)),
        ("budget.epochs", "5:9", Range("budget.epochs", 5, 9, False, None, True)),
        ("budget.batch_size", "64,128", Choices("budget.batch_size", (64, 128))),
        ("budget.batch_size", [64, 128], Choices("budget.batch_size", (64, 128))),
        ("optimizer.name", "sgd,adamw", Choices("optimizer.name", ("sgd", "adamw"))),
        ("optimizer.name", "oraclezoo:sgd", Choices("optimizer.name", ("oraclezoo:sgd",))),
        ("augment.flip", "true,false", Choices("augment.flip", (True, False))),
    ],
)
def test_values_as_they_are_written(key: str, text: object, wanted: object) -> None:
    """Lists, linear and logarithmic ranges, and names that contain a colon."""
    assert read_space({key: text}, RECIPE, REGISTRY) == (wanted,)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, "no key to vary"),
        ({"optimizer.lrr": "0.1:1"}, "did you mean 'lr'"),
        ({"optimzer.lr": "0.1:1"}, "optimizer"),
        ({"data.track": "glyphs,idx"}, "cannot be compared"),
        ({"data.refit": "true,false"}, "a refit trains on"),
        ({"optimizer.lr": "log:0:1"}, "above 0"),
        ({"optimizer.lr": "1:0.1"}, "low must be below high"),
        ({"optimizer.lr": "0.1:1:1"}, "must be from 2"),
        ({"optimizer.lr": "0.1:x"}, "not a number"),
        ({"optimizer.lr": "0.1:1e9"}, "must be in"),
        ({"budget.epochs": "1.5:3"}, "must be an integer"),
        ({"budget.epochs": "0:3"}, "must be in"),
        ({"budget.batch_size": "64,64"}, "without repeats"),
        ({"train.precision": "fp32:bf16"}, "list its values"),
        ({"optimizer.name": "sgd,sdg"}, "'sgd'"),
        ({"optimizer.name": "adam,sgd", "optimizer.nesterov": "true,false"}, "adam"),
    ],
)
def test_an_impossible_setting_is_an_error_at_once(entries: dict[str, object], says: str) -> None:
    """The error is raised before training and names the key or the point."""
    with pytest.raises(UsageError, match=says):
        read_space(entries, RECIPE, REGISTRY)


def test_the_size_of_a_grid() -> None:
    """It is the product of the counts, and undefined for a float range without a count."""
    axes = read(optimizer__lr="log:0.01:1:3", budget__epochs="1:2", augment__flip="true,false")
    assert grid_size(axes) == 12
    assert axes[0].grid() == (0.01, 0.1, 1.0)
    check_grid(axes)
    endless = read(optimizer__lr="log:0.01:1", augment__flip="true,false")
    assert grid_size(endless) is None
    with pytest.raises(UsageError, match=r"log:0\.01:1:5"):
        check_grid(endless)


@given(low=st.floats(1e-4, 1), factor=st.floats(1.5, 1e4), log=st.booleans(), share=st.floats(0, 1))
def test_a_value_lies_in_its_range(low: float, factor: float, log: bool, share: float) -> None:
    """This holds for any proposal; the middle of a log range is the geometric mean."""
    high = low * factor
    axis = Range("optimizer.lr", low, high, log, 3, False)
    assert low <= axis.decode(low + share * (high - low)) <= high
    first, middle, last = axis.grid() or ()
    assert (first, last) == (pytest.approx(low, rel=1e-5), pytest.approx(high, rel=1e-5))
    assert middle == pytest.approx(math.sqrt(low * high) if log else (low + high) / 2, rel=1e-4)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1))
def test_a_whole_number_stays_one(low: int, more: int, share: float) -> None:
    """Optuna's parameter becomes an int in the range."""
    axis = Range("budget.epochs", low, low + more, False, None, True)
    value = axis.decode(low + share * more)
    assert isinstance(value, int)
    assert value in (axis.grid() or ())


@pytest.mark.parametrize("values", [(1, 2.5), ("sgd", "adamw"), (True, False), ((1, 2), (3,))])
def test_choices_survive_optuna(values: tuple[object, ...]) -> None:
    """Lists too, which Optuna stores as text."""
    axis = Choices("x", values)
    assert [axis.decode(axis.encode(value)) for value in values] == list(values)
