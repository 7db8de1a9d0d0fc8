"""``oraclezoo list``: components and their origin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli
from oraclezoo.plugins.registry import build_registry
from oraclezoo.specs import KINDS


def show(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["list", *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def document(*arguments: str) -> list[dict[str, Any]]:
    actual = json.loads(show(*arguments, "--json"))
    assert actual.keys() == {"schema", "data"}
    assert actual["schema"] == "oraclezoo/list/1"
    data: list[dict[str, Any]] = actual["data"]
    return data


def names(*arguments: str) -> list[str]:
    """Return the NAME column."""
    return [line.split()[1] for line in show(*arguments).splitlines()[1:]]


def test_everything_is_listed_with_its_origin() -> None:
    """Each component has a line, in the registry's order."""
    lines = show().splitlines()
    assert lines[0].split() == ["KIND", "NAME", "ORIGIN", "SUMMARY"]
    listed = [line.split()[1] for line in lines[1:]]
    registry = build_registry()  # with what happens to be installed here
    assert [n for n in listed if n != "timm/<architecture>"] == [
        registry.shortest(entry) for entry in registry
    ]
    assert listed.count("timm/<architecture>") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_may_be_singular_or_plural(kind: str) -> None:
    """Only that kind is listed."""
    lines = show(kind).splitlines()[1:]
    assert lines or kind == "model"  # none need be shipped
    assert {line.split()[0] for line in lines} <= {kind}
    assert show(f"{kind}s") == show(kind)


def test_a_pattern_is_a_glob_or_a_part_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind may precede the pattern."""
    monkeypatch.setenv("ORACLEZOO_DISABLE_PLUGINS", "all")
    assert names("optimizers", "adam*") == names("adam*") == ["adam", "adamax", "adamp", "adamw"]
    assert names("backbones", "seres") == ["seresnet18"]


def test_a_whole_name_shows_the_options() -> None:
    """Type, default, bounds and help of each option are shown, with facts and source."""
    text = show("optimizers", "sgd")
    assert text == show("sgd") == show("optimizer", "oraclezoo:sgd")
    entry = build_registry().get("optimizer", "sgd")
    for option in entry.spec.options:
        (line,) = [line for line in text.splitlines() if line.startswith(f"{option.name} ")]
        assert option.type in line
        assert line.endswith(option.help)
    assert entry.spec.source in text
    assert f"from oraclezoo {entry.version}, entry point builtin" in text


def test_a_timm_architecture_is_shown_like_any_other() -> None:
    """It can be shown although it is not listed."""
    assert document("backbones", "timm/resnet50")[0]["qualified"] == "oraclezoo:timm/resnet50"


def test_json_is_one_document_with_everything() -> None:
    """It has the table's entries with options and provenance."""
    data = document()
    assert [(e["kind"], e["name"]) for e in data] == [
        (entry.spec.kind, entry.spec.name) for entry in build_registry()
    ]
    for entry in data:
        assert entry["qualified"] == f"{entry['distribution']}:{entry['name']}"
        assert {"version", "entry_point", "summary", "source", "target", "facts"} <= entry.keys()
        for option in entry["options"]:
            assert {"name", "type", "default", "help", "low", "high", "choices"} == option.keys()


def test_plugins_are_listed_by_the_shortest_name_that_means_them(site: Any) -> None:
    """A unique name is bare; one that clashes is qualified."""
    site.offer("zoo-a", "unique-net", "shared-net", "resnet18")
    site.offer("zoo-b", "shared-net")
    assert names("backbones", "*-net") == ["zoo-a:shared-net", "zoo-b:shared-net", "unique-net"]
    assert names("backbones", "shared-net") == ["zoo-a:shared-net", "zoo-b:shared-net"]
    assert names("backbones", "*:resnet18") == ["resnet18", "zoo-a:resnet18"]
    assert document("backbones", "resnet18")[0]["distribution"] == "oraclezoo"
    assert document("backbones", "zoo-a:resnet18")[0]["distribution"] == "zoo-a"
