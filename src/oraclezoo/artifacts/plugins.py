"""Record and compare the code and version of the plugins used by a recipe or model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from oraclezoo.card import Card, PluginSource
from oraclezoo.codec import encode
from oraclezoo.errors import PluginError, UnknownNameError
from oraclezoo.plugins.calls import warn
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.specs import Kind


def plugin_code(recipe: Recipe, registry: Registry) -> dict[str, PluginSource]:
    """Return the version and code of the plugins that a recipe trains with.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.

    Returns:
        The sources, keyed by distribution; oraclezoo itself is not included.

    Raises:
        PluginError: A plugin's files cannot be read, or changed while the plugin was in use.
    """
    names: list[tuple[Kind, str]] = [(kind, getattr(recipe, kind).name) for kind in COMPONENTS]
    names.append(("dataset", recipe.data.track))
    if recipe.pretrain.epochs:
        names.append(("dataset", recipe.pretrain.track))
    entries = [registry.get(kind, name) for kind, name in names]
    distributions = sorted({entry.distribution for entry in entries if not entry.builtin})
    return {name: registry.code(name) for name in distributions}


def plugin_digest(card: Card, recipe: Recipe | None, registry: Registry) -> bytes:
    """Return bytes that identify the plugins of a model and a recipe; empty if there are none.

    Args:
        card: The card of the model.
        recipe: Recipe for fine-tuning, or None.
        registry: Registry of components.

    Returns:
        Canonical JSON, to be hashed with other inputs.
    """
    sources = {} if recipe is None else plugin_code(recipe, registry)
    backbone = registry.get("backbone", card.backbone.name)
    if not backbone.builtin:
        sources[backbone.distribution] = registry.code(backbone.distribution)
    codes = {name: source.sha256 for name, source in sources.items()}
    return json.dumps(codes, sort_keys=True).encode() if codes else b""


def changes(before: Mapping[str, PluginSource], now: Mapping[str, PluginSource]) -> list[str]:
    """Describe the differences between the plugins of two training runs."""
    texts = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old is None and new is not None:
            texts.append(f"plugin {name} {new.text} is used, of which no code was recorded")
        elif old is not None and new is None:
            texts.append(f"plugin {name} {old.text} is no longer used")
        elif old is not None and new is not None and old != new:
            code = f"code {old.sha256[:8]} -> {new.sha256[:8]}"
            same = old.version == new.version
            version = f"version {old.version} -> {new.version}"
            texts.append(
                f"plugin {name} {new.version} changed ({code})"
                if same
                else f"plugin {name} changed ({version}, {code})"
            )
    return texts


def check_backbone(card: Card, registry: Registry, where: str) -> None:
    """Warn if the version or code of a backbone's plugin differs from the model card.

    Args:
        card: The card of the model.
        registry: Registry of components.
        where: Path of the model, for the warning.

    Raises:
        UnknownNameError: The backbone is not installed; the message says which package to install.
    """
    try:
        entry = registry.get("backbone", card.backbone.name)
    except UnknownNameError as error:
        raise with_install(error, card) from error
    origin = card.provenance
    if entry.builtin or origin is None:
        return
    name = entry.distribution
    trained, source = origin.plugins.get(name), origin.components.get("backbone")
    try:
        now = registry.code(name)
    except PluginError as error:
        warn(f"{where}: {error}")
        return
    if trained is not None and trained != now:
        before = trained.text
    elif trained is None and source is not None and source.version != now.version:
        before = source.version  # cards written by version 0.1 do not record the code
    else:
        return
    warn(
        f"{where}: its backbone was trained with {name} {before}, but {name} {now.text} is "
        "installed; predictions may differ"
    )


def with_install(error: UnknownNameError, card: Card) -> UnknownNameError:
    """Return the error for a missing plugin, with the version to install if the card states it.

    Args:
        error: The error that reports a qualified name.
        card: The card of the model.
    """
    distribution = error.name.partition(":")[0]
    advice = f"pip install {distribution}"
    for source in () if card.provenance is None else card.provenance.components.values():
        # the card is untrusted, and users paste the advice into a shell
        valid = re.fullmatch(r"[0-9][A-Za-z0-9.+!_-]{0,60}", source.version)
        if source.distribution == distribution and valid and advice in str(error):
            hint = str(error).partition("; ")[2].replace(advice, f"{advice}=={source.version}", 1)
            return UnknownNameError(error.kind, error.name, (), hint)
    return error


def encoded(sources: Mapping[str, PluginSource]) -> dict[str, dict[str, str]]:
    """Return sources as JSON-serializable data."""
    return {name: encode(source) for name, source in sources.items()}
