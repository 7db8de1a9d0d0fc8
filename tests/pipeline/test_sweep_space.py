"""Spaces: what is written is read, checked against the recipe, and gone through."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oraclezoo as oz
from oraclezoo.errors import UsageError
from oraclezoo.pipeline.sweep_space import (
    Choices,
    Range,
    grid_point,
    grid_size,
    random_point,
    read_space,
)
from oraclezoo.plugins.registry import build_registry

RECIPE = oz.Recipe.load("authors-cnn")
REGISTRY = build_registry()


def read(**entries: object) -> Any:
    """A space with ``__`` for the dots."""
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
    """Lists, ranges, ranges in the logarithm, names with a colon in them."""
    assert read_space({key: text}, RECIPE, REGISTRY) == (wanted,)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, "something to vary"),
        ({"optimizer.lrr": "0.1:1"}, "did you mean 'lr'"),
        ({"optimiser.lr": "0.1:1"}, "optimizer"),
        ({"data.track": "glyphs,idx"}, "cannot be compared"),
        ({"data.refit": "true,false"}, "refit would train on"),
        ({"optimizer.lr": "log:0:1"}, "above 0"),
        ({"optimizer.lr": "1:0.1"}, "goes up"),
        ({"optimizer.lr": "0.1:1:1"}, "take from 2"),
        ({"optimizer.lr": "0.1:x"}, "no number"),
        ({"optimizer.lr": "0.1:1e9"}, "must lie in"),
        ({"budget.epochs": "1.5:3"}, "whole numbers"),
        ({"budget.epochs": "0:3"}, "must lie in"),
        ({"budget.batch_size": "64,64"}, "each once"),
        ({"train.precision": "fp32:bf16"}, "list its values"),
        ({"optimizer.name": "sgd,sdg"}, "'sgd'"),
        ({"optimizer.name": "adam,sgd", "optimizer.nesterov": "true,false"}, "adam"),
    ],
)
def test_what_the_recipe_cannot_have_is_told_at_once(entries: dict[str, object], says: str) -> None:
    """Before anything is trained, with the key or the point."""
    with pytest.raises(UsageError, match=says):
        read_space(entries, RECIPE, REGISTRY)


def test_a_grid_goes_through_every_point_once() -> None:
    """The last key varies first; a range needs a number of values unless it is of whole numbers."""
    axes = read(optimizer__lr="log:0.01:1:3", budget__epochs="1:2", augment__flip="true,false")
    assert grid_size(axes) == 12
    points = [grid_point(axes, number) for number in range(12)]
    assert points[0] == {"optimizer.lr": 0.01, "budget.epochs": 1, "augment.flip": True}
    assert points[1]["augment.flip"] is False
    assert sorted({point["optimizer.lr"] for point in points}) == [0.01, 0.1, 1.0]
    assert len({repr(point) for point in points}) == 12
    with pytest.raises(UsageError, match=r"log:0\.01:1:5"):
        grid_point(read(optimizer__lr="log:0.01:1"), 0)


def test_random_draws_of_a_grid_take_no_point_twice() -> None:
    """As long as there are others; and the same ones for the same seed."""
    axes = read(budget__epochs="1:4", budget__batch_size="8,16")
    draws = [random_point(axes, 0, number) for number in range(8)]
    assert len({repr(point) for point in draws}) == 8
    assert draws == [random_point(axes, 0, number) for number in range(8)]
    assert draws != [random_point(axes, 1, number) for number in range(8)]


@given(low=st.floats(1e-4, 1), factor=st.floats(1.5, 1e4), log=st.booleans(), share=st.floats(0, 1))
def test_a_value_lies_in_its_range(low: float, factor: float, log: bool, share: float) -> None:
    """At any share; the ends are reached; in the logarithm the middle is the geometric mean."""
    high = low * factor
    axis = Range("optimizer.lr", low, high, log, None, False)
    assert low * (1 - 1e-5) <= axis.at(share) <= high * (1 + 1e-5)
    assert axis.at(0.0) == pytest.approx(low, rel=1e-5)
    assert axis.at(1.0) == pytest.approx(high, rel=1e-5)
    middle = math.sqrt(low * high) if log else (low + high) / 2
    assert axis.at(0.5) == pytest.approx(middle, rel=1e-4)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1))
def test_a_whole_number_stays_one(low: int, more: int, share: float) -> None:
    """Every one of them is in reach."""
    axis = Range("budget.epochs", low, low + more, False, None, True)
    assert isinstance(axis.at(share), int)
    assert {axis.at((k + 0.5) / (more + 1)) for k in range(more + 1)} == set(
        range(low, low + more + 1)
    )
