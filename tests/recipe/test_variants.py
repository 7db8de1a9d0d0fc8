"""Compression variants as text: one canonical form, and clear errors."""

from __future__ import annotations

import pytest

from oraclezoo.errors import UsageError
from oraclezoo.recipe.variants import Variant


@pytest.mark.parametrize(
    ("text", "left", "precision", "normal"),
    [
        ("int8", None, "int8", "int8"),
        ("fp16", None, "fp16", "fp16"),
        ("prune50", 50, "fp32", "prune50"),
        ("prune50+int8", 50, "int8", "prune50+int8"),
        (" Prune05 + FP16", 5, "fp16", "prune5+fp16"),
    ],
)
def test_steps_are_read_into_one_normal_form(
    text: str, left: int | None, precision: str, normal: str
) -> None:
    """Spaces, capitals and leading zeros do not matter."""
    actual = Variant.parse(text)
    assert (actual.left, actual.precision, str(actual)) == (left, precision, normal)
    assert Variant.parse(str(actual)) == actual


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int8+prune50", "at most one pruneNN first"),
        ("prune50+prune20", "at most one pruneNN first"),
        ("int8+fp16", "at most one of int8 and fp16"),
        ("prune0", "unknown step 'prune0'"),
        ("prune100", "1 to 99"),
        ("prune", "unknown step 'prune'"),
        ("prune50+", "unknown step ''"),
        ("int4", "unknown step 'int4'"),
        ("", "unknown step ''"),
        ("prune50-int8", "unknown step 'prune50-int8'"),
    ],
)
def test_anything_else_is_refused_with_what_there_is(text: str, says: str) -> None:
    """The error quotes the text and lists the steps or their order."""
    with pytest.raises(UsageError, match=says) as caught:
        Variant.parse(text)
    assert repr(text) in str(caught.value)
