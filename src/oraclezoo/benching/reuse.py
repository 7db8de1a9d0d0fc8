"""Explain why a finished run cannot be reused and is trained again."""

from __future__ import annotations

from collections.abc import Mapping

from oraclezoo.artifacts.plugins import changes
from oraclezoo.artifacts.record import Provenance

_WORDS = {
    "recipe": "the recipe",
    "oraclezoo": "the version of oraclezoo",
    "code_sha256": "the code of oraclezoo",
    "components": "the components",
    "data_sha256": "the data",
    "compile": "torch.compile",
    "deterministic": "--deterministic",
    "hardware": "the hardware",
    "libraries": "the libraries",
    "source": "the trained run",
}


def differences(before: Provenance, now: Provenance) -> list[str]:
    """Describe how the provenance of a new run differs from that of an existing run.

    Args:
        before: Provenance of the existing run.
        now: Provenance of the new run.

    Returns:
        One line of text per difference; empty if there are none.
    """
    texts = changes(before.plugins, now.plugins)
    for name, words in _WORDS.items():
        old, new = getattr(before, name), getattr(now, name)
        if old == new or (name == "components" and texts):
            continue
        if isinstance(old, str) and isinstance(new, str):
            texts.append(f"{words} changed ({old[:8]} -> {new[:8]})")
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            texts.append(f"{words} changed ({_entries(old, new)})")
        else:
            texts.append(f"{words} changed")
    return texts


def _entries(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Format at most three changed entries."""
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    texts = []
    for key in keys[:3]:
        old, new = str(before.get(key)), str(now.get(key))
        texts.append(f"{key}: {old} -> {new}" if len(old) + len(new) <= 60 else key)
    return ", ".join(texts) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
