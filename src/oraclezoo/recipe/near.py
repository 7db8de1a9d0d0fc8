"""Suggest recipe keys similar to a mistyped key or option, for error messages."""

from __future__ import annotations

import difflib

from oraclezoo.recipe.sections import COMPONENTS, SECTIONS, keys

COMMON_OPTIONS = {"optimizer": ("lr", "momentum", "weight_decay")}
"""Options that most components of a kind have; other options depend on the component."""


def near_keys(text: str) -> list[str]:
    """Return the dotted recipe keys whose last part equals ``text``, or is most similar to it.

    If the training budget has such a key, only that key is returned.

    >>> near_keys("epoch")
    ['budget.epochs']
    >>> near_keys("lr")
    ['optimizer.lr']
    """
    dotted: dict[str, list[str]] = {name: [f"{name}.name"] for name in COMPONENTS}
    for section, fields in (
        *((name, options) for name, options in COMMON_OPTIONS.items()),
        *((name, tuple(keys(record))) for name, record in SECTIONS.items()),
    ):
        for field in fields:
            dotted.setdefault(field, []).append(f"{section}.{field}")
    last = text.rpartition(".")[2].lower()
    if last not in dotted:
        close = difflib.get_close_matches(last, dotted, n=1, cutoff=0.75)
        if not close:
            return []
        last = close[0]
    budget = f"budget.{last}"  # also [pretrain] and [compress] have epochs
    return [budget] if budget in dotted[last] else dotted[last]
