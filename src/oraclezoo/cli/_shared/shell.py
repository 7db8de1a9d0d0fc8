"""Shell completion of ``-s KEY=VALUE``, and of bash, which splits words at ``=``."""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
)

from oraclezoo.recipe.near import COMMON_OPTIONS
from oraclezoo.recipe.sections import COMPONENTS, SECTIONS, keys
from oraclezoo.specs import Kind

_ADD = "COMPREPLY+=($value)"


class Bash(BashComplete):
    """Completion for bash, in which ``-s optimizer.name=adam`` is four words."""

    source_template = BashComplete.source_template.replace(
        _ADD, f"{_ADD}\n            [[ $value == *= ]] && compopt -o nospace"
    )

    _before = ""
    """The beginning of the incomplete word that bash keeps."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the complete arguments and the incomplete one, joined again at ``=``."""
        arguments, word = super().get_completion_args()
        joined: list[str] = []
        for part in (*arguments, word):
            if joined and (part == "=" or joined[-1].endswith("=")):
                joined[-1] += part
            else:
                joined.append(part)
        *arguments, incomplete = joined
        self._before = incomplete.removesuffix("" if word == "=" else word)
        return arguments, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line for an item, without the part that bash keeps."""
        before, _, after = self._before.partition("=")
        for kept in (self._before, after if before.startswith("-") else ""):
            if kept and item.value.startswith(kept):
                return f"{item.type},{item.value.removeprefix(kept)}"
        return super().format_completion(item)


def register() -> None:
    """Make click use :class:`Bash`."""
    add_completion_class(Bash)


def complete_assignment(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the key of ``KEY=VALUE``, or the value if it is a name, a choice or a flag."""
    key, equals, _ = incomplete.partition("=")
    words = [f"{key}={value}" for value in _values(key)] if equals else _keys()
    return [word for word in words if word.startswith(incomplete)]


def _keys() -> list[str]:
    components = [(kind, ("name", *COMMON_OPTIONS.get(kind, ()))) for kind in COMPONENTS]
    sections = [(name, tuple(keys(record))) for name, record in SECTIONS.items()]
    return [f"{section}.{key}=" for section, names in (*components, *sections) for key in names]


def _values(key: str) -> list[str]:
    section, _, name = key.partition(".")
    kinds: dict[str, Kind] = {
        **{f"{kind}.name": kind for kind in COMPONENTS},
        "data.track": "dataset",
    }
    if key in kinds:
        from oraclezoo.plugins.registry import build_registry

        return build_registry().names(kinds[key])
    option = keys(SECTIONS[section]).get(name) if section in SECTIONS else None
    if option is None:
        return []
    return list(option.choices) or (["true", "false"] if option.type == "bool" else [])
