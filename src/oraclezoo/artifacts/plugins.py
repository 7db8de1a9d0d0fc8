"""The code of the plugins behind a recipe or a model: recorded, compared, and asked for if gone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from oraclezoo.errors import OracleZooError, UnknownNameError
from oraclezoo.plugins.calls import warn
from oraclezoo.plugins.code import Code
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.specs import Kind

PluginCode = dict[str, dict[str, str]]
"""Version, SHA-256 and source of each distribution other than oraclezoo, by name."""


def plugin_code(recipe: Recipe, registry: Registry) -> PluginCode:
    """Return version and code of the plugins that a recipe trains with.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.

    Returns:
        A JSON document by distribution; oraclezoo itself is not among them.

    Raises:
        PluginError: The files of a plugin cannot be read, or have changed while it was in use.
    """
    names: list[tuple[Kind, str]] = [(kind, getattr(recipe, kind).name) for kind in COMPONENTS]
    names.append(("dataset", recipe.data.track))
    if recipe.pretrain.epochs:
        names.append(("dataset", recipe.pretrain.track))
    entries = [registry.get(kind, name) for kind, name in names]
    distributions = sorted({entry.distribution for entry in entries if not entry.builtin})
    return {name: registry.code(name).to_json() for name in distributions}


def plugin_digest(card: Mapping[str, Any], recipe: Recipe | None, registry: Registry) -> bytes:
    """Return bytes that identify the plugins behind a model and a recipe, empty without any.

    Args:
        card: Content of the model's ``model.json``.
        recipe: Recipe of the fine-tuning, or None.
        registry: Registry of components.

    Returns:
        Canonical JSON, to be hashed with other inputs.
    """
    found = {} if recipe is None else plugin_code(recipe, registry)
    backbone = registry.get("backbone", card["backbone"]["name"])
    if not backbone.builtin:
        found[backbone.distribution] = registry.code(backbone.distribution).to_json()
    return json.dumps(found, sort_keys=True).encode() if found else b""


def changes(before: object, now: object) -> list[str]:
    """Return the difference between two documents of :func:`plugin_code` in words."""
    old, new = (each if isinstance(each, Mapping) else {} for each in (before, now))
    found = []
    for name in sorted(old.keys() | new.keys()):
        was, is_now = Code.from_json(name, old.get(name)), Code.from_json(name, new.get(name))
        if was is None and is_now is not None:
            found.append(f"plugin {is_now} is used, of which no code was recorded")
        elif was is not None and is_now is None:
            found.append(f"plugin {was} is no longer used")
        elif was is not None and is_now is not None and _differ(was, is_now):
            found.append(
                f"plugin {name} changed: version {was.version} -> {is_now.version}, "
                f"code {was.sha256[:8]} -> {is_now.sha256[:8]}"
                if was.version != is_now.version
                else f"plugin {name} {is_now.version} changed (code {was.sha256[:8]} -> "
                f"{is_now.sha256[:8]})"
            )
    return found


def _differ(one: Code, other: Code) -> bool:
    return (one.version, one.sha256) != (other.version, other.sha256)


def check_backbone(card: Mapping[str, Any], registry: Registry, where: str) -> None:
    """Warn if a model's backbone is from a plugin whose version or code is not the card's.

    Args:
        card: Content of ``model.json``, with a valid backbone.
        registry: Registry of components.
        where: Path of the model, for the message.

    Raises:
        UnknownNameError: The backbone is not installed; says what to install.
    """
    origin = _part(card, "provenance")
    try:
        entry = registry.get("backbone", card["backbone"]["name"])
    except UnknownNameError as error:
        raise with_install(error, origin) from error
    distribution = entry.distribution
    if entry.builtin:
        return
    was = Code.from_json(distribution, _part(origin, "plugins").get(distribution))
    try:
        now = registry.code(distribution)
    except OracleZooError as error:
        warn(f"{where}: {error}")
        return
    version = _part(origin, "components", "backbone").get("version")
    if was is not None and _differ(was, now):
        warn(
            f"{where}: its backbone was trained with {was}, but {now} is installed; "
            "predictions may differ"
        )
    elif was is None and version != now.version:
        warn(
            f"{where}: its backbone was trained with {distribution} {version}, but {now} is "
            "installed; predictions may differ"
        )


def with_install(error: UnknownNameError, provenance: object) -> UnknownNameError:
    """Return an error about a plugin that is gone with the version to install, if it is recorded.

    Args:
        error: The error about a qualified name.
        provenance: Provenance of a card or record, with ``components``.
    """
    distribution, colon, _ = error.name.partition(":")
    for entry in _part(provenance, "components").values():
        if colon and isinstance(entry, Mapping) and entry.get("distribution") == distribution:
            version = str(entry.get("version"))
            advice = f"pip install {distribution}"
            if advice in str(error) and re.fullmatch(r"[0-9][A-Za-z0-9.+!_-]{0,60}", version):
                hint = str(error).partition("; ")[2].replace(advice, f"{advice}=={version}", 1)
                return UnknownNameError(error.kind, error.name, (), hint)
    return error


def _part(document: object, *keys: str) -> Mapping[str, Any]:
    """Return a nested mapping of an untrusted document, or an empty one."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}
