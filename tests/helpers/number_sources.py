"""The sources that docs/numbers.toml names for numbers in the documentation."""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import click

from oraclezoo.cli import cli
from oraclezoo.plugins.host import build_host
from oraclezoo.plugins.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "docs" / "numbers.toml"
UNIT_OF = {"MB": 1e6, "MiB": 2**20, "GiB": 2**30, "million": 1e6}


@dataclass(frozen=True)
class Entry:
    """A line of the ledger; ``says`` is what stands on the page, with ``{}`` for each value."""

    says: str
    page: str = ""
    source: tuple[str, ...] = ()
    unit: str = ""
    why: str = ""

    def phrase(self) -> str:
        """What the page must say, by the sources as they are now."""
        values = [value_of(each) for each in self.source]
        return self.says.format(*(v / UNIT_OF[self.unit] if self.unit else v for v in values))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The same, across the ends of lines."""
        words = map(re.escape, self.phrase().split())
        return re.compile(r"(?<![\d.,])" + r"\s+(?:[%#] )?".join(words) + r"(?!\d|[.,]\d)")


def ledger() -> list[Entry]:
    """The entries of docs/numbers.toml."""
    found = tomllib.loads(LEDGER.read_text(encoding="utf-8"))["number"]
    return [Entry(**{**each, "source": _several(each.get("source", ()))}) for each in found]


@cache
def value_of(source: str) -> Any:
    """The value that a source names; see the head of docs/numbers.toml for the forms."""
    where, _, key = source.partition(":")
    if where == "fact":
        kind, name, fact = key.split(" ")
        return builtins().get(kind, name).spec.facts[fact]
    if where == "parameters":
        net = builtins().create("backbone", key, in_chans=1, num_classes=10, image_size=28)
        return sum(weight.numel() for weight in net.parameters()) / 1e6
    if where == "option":
        return _default(*key.split(" "))
    file = ROOT / where
    if file.suffix == ".json":
        value = json.loads(file.read_text(encoding="utf-8"))
    elif file.suffix == ".toml":
        value = tomllib.loads(file.read_text(encoding="utf-8"))
    elif file.suffix == ".py":
        value = _constants(file.read_text(encoding="utf-8"))
    else:
        value = importlib.import_module(where)
    for part in key.split("/"):
        if isinstance(value, Mapping):
            value = value[part]
        else:
            value = value[int(part)] if part.isdigit() else getattr(value, part)
    return value


def _constants(code: str) -> dict[str, Any]:
    """The literals that a Python file, which need not be importable, gives names to."""
    found = {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {ast.unparse(target): node.value.value for target in node.targets}
    return found


def _default(*path: str) -> Any:
    """The default of a command's option."""
    command: click.Command = cli
    for name in path[:-1]:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    (option,) = (each for each in command.params if path[-1] in each.opts)
    return option.default


@cache
def builtins() -> Registry:
    """The registry without the plugins that this machine happens to have."""
    return Registry(build_host(disable="all").plugins)


def _several(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
