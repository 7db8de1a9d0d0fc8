"""Bundled and downloadable models, as specs from ``models/index.toml``; cheap to import."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from oraclezoo.documents import read_toml
from oraclezoo.errors import ResultError
from oraclezoo.specs import SHIPPED_MODEL, Spec, fetched_model

MODELS = Path(__file__).parents[1] / "models"
"""Folder of the bundled models, each in a subfolder of its name."""

INDEX = MODELS / "index.toml"


def models(index: Path = INDEX) -> list[Spec]:
    """Return a spec for each entry of an index. Raises ResultError if it cannot be read."""
    try:
        document = read_toml(index)
        return [_spec(name, entry) for name, entry in document.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"{index}: invalid model index ({error!r})") from error


@cache
def shipped() -> dict[str, Spec]:
    """Return the bundled models by name."""
    return {spec.name: spec for spec in models() if spec.target == SHIPPED_MODEL}


def _spec(name: str, entry: dict[str, Any]) -> Spec:
    if "files" not in entry:
        return fetched_model(name, **entry)
    files: dict[str, str] = dict(entry["files"])
    return Spec(
        kind="model",
        name=name,
        target=SHIPPED_MODEL,
        summary=entry["summary"],
        facts={"shipped": True, "size_bytes": entry["size_bytes"]},
        source=entry["source"],
        fixed={"name": name, "files": files},
    )
