"""Why a finished run is reused, or trained again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oraclezoo.artifacts.plugins import changes

KEPT = "same recipe, data, code and machine"
"""Why a run is reused."""

_WORDS = {
    "recipe": "the recipe",
    "code_sha256": "the code of oraclezoo",
    "components": "the components",
    "data_sha256": "the data",
    "compile": "torch.compile",
    "deterministic": "--deterministic",
    "hardware": "the hardware",
    "libraries": "the libraries",
    "run": "the trained run",
}


def differences(record: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between a run's record and the provenance of a new run.

    Args:
        record: Record of the run.
        identity: Provenance of a new run.

    Returns:
        One text per difference; empty if there is none.
    """
    found = changes(record.get("plugins"), identity.get("plugins"))
    for key, now in identity.items():
        before = record.get(key)
        if key == "plugins" or before == now or (key == "components" and found):
            continue
        what = _WORDS.get(key, key)
        if isinstance(before, str) and isinstance(now, str):
            found.append(f"{what} changed ({before[:8]} -> {now[:8]})")
        elif isinstance(before, Mapping) and isinstance(now, Mapping):
            keys = [k for k in sorted(before.keys() | now.keys()) if before.get(k) != now.get(k)]
            found.append(f"{what} changed ({_listed(keys, before, now)})")
        else:
            found.append(f"{what} changed ({before} -> {now})")
    return found


def _listed(keys: list[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Format up to three changed entries."""
    texts = []
    for key in keys[:3]:
        one, other = (str(each.get(key)) for each in (before, now))
        texts.append(f"{key}: {one} -> {other}" if len(one) + len(other) <= 60 else key)
    return ", ".join(texts) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
