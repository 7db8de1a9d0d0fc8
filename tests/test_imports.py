"""Imports point one way: DESIGN's "Directions" as a table, held against every module's source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import oraclezoo

SOURCE = Path(oraclezoo.__file__).parent

RECORDS = {
    "_version",
    "contracts",
    "errors",
    "recipe",
    "result",
    "result_check",
    "sections",
    "specs",
    "variants",
}
STAGES = {"data", "train", "compress", "export", "measure"}
HOST = {"discovery", "hookspecs", "host", "plugin_checks", "registry", "resolve", "suite"}

ARROWS: dict[str, set[str]] = {
    "_version": set(),
    "errors": set(),
    "contracts": set(),
    "discovery": set(),
    "specs": {"errors"},
    "variants": {"errors"},
    "sections": {"specs", "variants"},
    "recipe": {"errors", "sections"},
    "suite": {"errors", "recipe"},
    "result_check": {"errors"},
    "result": {"errors", "result_check"},
    "hookspecs": {"specs"},
    "plugin_checks": {"errors", "specs"},
    "host": {"_version", "discovery", "errors", "hookspecs", "plugin_checks", "specs"},
    "registry": {"discovery", "errors", "host", "plugin_checks", "specs"},
    "resolve": {"recipe", "registry", "sections", "specs"},
    "targets": {"errors"},
    "scaffold": {"errors"},
    "testing": RECORDS | HOST | {"compress", "data", "export", "train"},
    "zoo": {"contracts", "errors", "hookspecs", "specs"},
    "trackers": {"contracts", "errors", "result", "specs"},
    "plots": RECORDS,
    **dict.fromkeys(STAGES, RECORDS),
    "leaderboard": {"_version", "errors", "result", "result_check"},
    "serving": RECORDS | {"data", "export", "registry"},
    "sphinxext": {"_version", "errors", "leaderboard"},
    "pipeline": RECORDS | HOST | STAGES | {"leaderboard", "plots", "serving"},
    "sweeping": RECORDS | HOST | STAGES | {"pipeline", "plots"},
    "api": RECORDS | HOST | {"leaderboard", "pipeline", "serving"},
    "cli": RECORDS
    | HOST
    | STAGES
    | {"scaffold", "targets", "testing", "leaderboard", "pipeline", "serving", "sweeping"},
    "__init__": RECORDS | {"api", "pipeline", "sweeping"},
    "__main__": {"cli"},
}
"""Which rooms each room may import, anywhere in its modules, for types too."""

EXCEPTIONS = {
    ("oraclezoo.zoo.builtin", "oraclezoo.data.listing"),  # the built-in tracks, as light specs
    ("oraclezoo.zoo.builtin", "oraclezoo.trackers.listing"),  # and trackers
    ("oraclezoo.zoo.builtin", "oraclezoo.serving.listing"),  # and the index of models
    ("oraclezoo.registry", "oraclezoo.zoo.backbone_specs"),  # timm/<any>, as a light spec
}

LIGHT_ROOMS = (RECORDS | HOST | {"api", "cli", "scaffold", "targets", "__init__", "__main__"}) - {
    "contracts"
}
LIGHT_MODULES = {
    "oraclezoo.contracts",
    "oraclezoo.data",
    "oraclezoo.data.characters",
    "oraclezoo.data.listing",
    "oraclezoo.serving",
    "oraclezoo.serving.listing",
    "oraclezoo.trackers",
    "oraclezoo.trackers.listing",
    "oraclezoo.zoo",
    "oraclezoo.zoo.backbone_specs",
    "oraclezoo.zoo.backbone_specs.any_timm",
    "oraclezoo.zoo.backbone_specs.classics",
    "oraclezoo.zoo.backbone_specs.convnets",
    "oraclezoo.zoo.backbone_specs.mobile",
    "oraclezoo.zoo.backbone_specs.oraclenet",
    "oraclezoo.zoo.backbone_specs.resnets",
    "oraclezoo.zoo.backbone_specs.shared",
    "oraclezoo.zoo.backbone_specs.tokens",
    "oraclezoo.zoo.builtin",
    "oraclezoo.zoo.optimizer_specs",
    "oraclezoo.zoo.optimizer_specs.from_timm",
    "oraclezoo.zoo.optimizer_specs.from_torch",
    "oraclezoo.zoo.optimizer_specs.own",
    "oraclezoo.zoo.optimizer_specs.shared",
    "oraclezoo.zoo.scheduler_specs",
    "oraclezoo.zoo.scheduler_specs.cycles",
    "oraclezoo.zoo.scheduler_specs.decays",
    "oraclezoo.zoo.scheduler_specs.shared",
}
LIGHT_LIBRARIES = {"click", "pluggy", "rich"}


@dataclass(frozen=True)
class Import:
    """One import: by which module, of what, and whether it happens when that module loads."""

    module: str
    target: str
    line: int
    at_load: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def module_name(path: Path) -> str:
    parts = ("oraclezoo", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(module: str) -> Iterator[Import]:
    """Every import in a module's source; a submodule counts as itself, not as its package."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = at_load and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inside = False
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, child.lineno, at_load)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}:{child.lineno} imports relatively"
                for alias in child.names:
                    whole = f"{child.module}.{alias.name}"
                    target = whole if whole in MODULES else str(child.module)
                    yield Import(module, target, child.lineno, at_load)
            else:
                yield from walk(child, inside)

    yield from walk(ast.parse(MODULES[module].read_text(encoding="utf-8")), True)


IMPORTS = [found for module in MODULES for found in imports(module)]


def is_light(module: str) -> bool:
    return module in LIGHT_MODULES or room(module) in LIGHT_ROOMS


def test_every_module_stands_in_a_known_room() -> None:
    """A new room gets its line in the table before it gets a module."""
    assert {room(module) for module in MODULES} <= ARROWS.keys()


def test_the_table_has_no_circle() -> None:
    """One direction of imports, whatever the modules do."""
    TopologicalSorter(ARROWS).prepare()


def test_rooms_import_along_the_arrows_only() -> None:
    """At module level, inside functions, and for types."""
    wrong = [
        str(found)
        for found in IMPORTS
        if found.target.split(".")[0] == "oraclezoo"
        and room(found.target) not in ARROWS[room(found.module)] | {room(found.module)}
        and (found.module, found.target) not in EXCEPTIONS
    ]
    assert wrong == []


def test_light_modules_load_light_libraries_and_light_modules_only() -> None:
    """Heavy ones are imported inside functions, or for types."""
    wrong = []
    for found in IMPORTS:
        if not (found.at_load and is_light(found.module)):
            continue
        top = found.target.split(".")[0]
        if top == "oraclezoo":
            fine = is_light(found.target)
        else:
            fine = top in sys.stdlib_module_names or top in LIGHT_LIBRARIES
        if not fine:
            wrong.append(str(found))
    assert wrong == []


def test_the_command_line_imports_the_pipeline_in_bodies_only() -> None:
    """Help and listings must not pay for it."""
    heavy = STAGES | {"leaderboard", "pipeline", "serving", "sweeping", "testing"}
    wrong = [
        str(found)
        for found in IMPORTS
        if room(found.module) == "cli"
        and found.at_load
        and found.target.startswith("oraclezoo.")
        and room(found.target) in heavy
        and not is_light(found.target)
    ]
    assert wrong == []


def test_the_leaderboard_never_imports_torch() -> None:
    """Nor timm: it ranks files, on any machine."""
    wrong = [
        str(found)
        for found in IMPORTS
        if room(found.module) == "leaderboard" and found.target.split(".")[0] in ("torch", "timm")
    ]
    assert wrong == []


def test_serving_never_comes_by_torch() -> None:
    """Nor timm, nor onnx: not in any module that it reaches, when it loads or later."""
    reached = {module for module in MODULES if room(module) == "serving"}
    while more := {f.target for f in IMPORTS if f.module in reached} & MODULES.keys() - reached:
        reached |= more
    assert "oraclezoo.data.preprocess" in reached
    reached.remove("oraclezoo.contracts")  # names torch in annotations
    wrong = [
        str(found)
        for found in IMPORTS
        if found.module in reached and found.target.split(".")[0] in ("torch", "timm", "onnx")
    ]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(LIGHT_MODULES))
def test_modules_named_in_the_table_exist(name: str) -> None:
    """A rename does not leave a hole in the fence."""
    assert name in MODULES


def test_the_walk_tells_load_time_from_later() -> None:
    """The registry imports the host when it loads, and the timm specs in a function."""
    found = {(i.target, i.at_load) for i in imports("oraclezoo.registry")}
    assert ("oraclezoo.host", True) in found
    assert ("oraclezoo.zoo.backbone_specs", False) in found
