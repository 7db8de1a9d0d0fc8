"""Imports follow the order of packages in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import oraclezoo

SOURCE = Path(oraclezoo.__file__).parent

ORDER: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (
        "_version codec errors storage documents signals specs hookspecs contracts card choices "
        "notebook display",
        "recipe result plugins scaffold page",
        "imaging data zoo engine compression onnx_export measure serving watching ranking plots"
        " trackers",
        "artifacts jobs executors testing sphinxext cloud server",
        "training receipts",
        "pruning quantization sweeping analysis",
        "benching search",
        "publish",
        "api cli client",
        "__init__ __main__",
    )
)
"""Packages from the ground up, as in CONTRIBUTING.md; each imports only those before it."""

SIDEWAYS = {
    ("card", "codec"),
    ("card", "documents"),
    ("card", "errors"),
    ("card", "storage"),
    ("specs", "errors"),
    ("storage", "errors"),
    ("hookspecs", "specs"),
    ("recipe", "plugins"),  # a recipe is resolved by the registry
    ("data", "imaging"),  # scans are converted
    ("serving", "imaging"),
    ("serving", "data"),  # models are fetched as data are
    ("serving", "onnx_export"),  # the session that runs a graph
    ("executors", "jobs"),  # an executor runs them
    ("testing", "executors"),  # and the checks run an executor
    ("testing", "jobs"),
    ("testing", "artifacts"),  # the checks train and load as users do
}
"""Imports between folders of one level; all others import only what stands below them."""

EXCEPTIONS = {
    ("oraclezoo.zoo.builtin", "oraclezoo.data.listing"),  # the built-in tracks, as light specs
    ("oraclezoo.zoo.builtin", "oraclezoo.trackers.listing"),  # and trackers
    ("oraclezoo.zoo.builtin", "oraclezoo.executors.listing"),  # and executors
    ("oraclezoo.zoo.builtin", "oraclezoo.serving.listing"),  # and the index of models
    ("oraclezoo.plugins.registry", "oraclezoo.zoo.backbones.specs"),  # timm/<any>, as a light spec
    ("oraclezoo.measure.ort", "oraclezoo.onnx_export.runtime"),  # what is timed is what is served
}

STAGES = {"imaging", "data", "engine", "compression", "onnx_export", "measure"}
HEAVY = STAGES.union(*ORDER[3:8]) | {"ranking", "serving", "watching"}
"""What the command line imports in bodies only."""

LIGHT_FOLDERS = {
    *(
        "_version",
        "choices",
        "codec",
        "errors",
        "storage",
        "documents",
        "signals",
        "notebook",
        "display",
    ),
    *("specs", "hookspecs", "card"),
    *("recipe", "result", "plugins", "jobs", "executors"),
    *("scaffold", "page", "cloud", "api", "cli", "__init__", "__main__"),
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
    "oraclezoo.zoo.backbones",
    "oraclezoo.zoo.builtin",
    "oraclezoo.zoo.optimizers",
    "oraclezoo.zoo.schedulers",
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


def folder(module: str) -> str:
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


IMPORTS = [item for module in MODULES for item in imports(module)]


def is_light(module: str) -> bool:
    parts = module.split(".")
    specs = parts[1:2] == ["zoo"] and "specs" in parts
    return specs or module in LIGHT_MODULES or folder(module) in LIGHT_FOLDERS


LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}


def test_every_module_stands_in_a_known_folder() -> None:
    """A new folder gets its place in the order before it gets a module."""
    assert {folder(module) for module in MODULES} <= LEVEL.keys()


def test_folders_import_only_what_stands_below_them() -> None:
    """At module level, inside functions, and for types."""
    wrong = []
    for item in IMPORTS:
        here, elsewhere = folder(item.module), folder(item.target)
        if item.target.split(".")[0] != "oraclezoo" or here == elsewhere:
            continue
        below = LEVEL[elsewhere] < LEVEL[here] or (here, elsewhere) in SIDEWAYS
        if not below and (item.module, item.target) not in EXCEPTIONS:
            wrong.append(str(item))
    assert wrong == []


def test_steps_sideways_make_no_circle() -> None:
    """Folders of one level have one direction too."""
    assert all(LEVEL[here] == LEVEL[elsewhere] for here, elsewhere in SIDEWAYS)
    above = defaultdict(set)
    for here, elsewhere in SIDEWAYS:
        above[here].add(elsewhere)
    TopologicalSorter(above).prepare()


def test_no_two_files_import_each_other() -> None:
    """Not by way of others, inside functions, or for types either."""
    graph: dict[str, set[str]] = defaultdict(set)
    for item in IMPORTS:
        if item.target in MODULES:
            graph[item.module].add(item.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(map(str, error.args[1])))


def test_no_package_hides_a_public_name() -> None:
    """Importing it would put a module in the name's place."""
    assert {folder(module) for module in MODULES}.isdisjoint(oraclezoo.__all__)


def test_light_modules_load_light_libraries_and_light_modules_only() -> None:
    """Heavy ones are imported inside functions, or for types."""
    wrong = []
    for item in IMPORTS:
        if not (item.at_load and is_light(item.module)):
            continue
        top = item.target.split(".")[0]
        if top == "oraclezoo":
            fine = is_light(item.target)
        else:
            fine = top in sys.stdlib_module_names or top in LIGHT_LIBRARIES
        if not fine:
            wrong.append(str(item))
    assert wrong == []


def test_the_command_line_imports_what_is_heavy_in_bodies_only() -> None:
    """Help and listings must not pay for it."""
    wrong = [
        str(item)
        for item in IMPORTS
        if folder(item.module) == "cli"
        and item.at_load
        and item.target.startswith("oraclezoo.")
        and folder(item.target) in HEAVY
        and not is_light(item.target)
    ]
    assert wrong == []


def test_ranking_never_imports_torch() -> None:
    """Nor timm: it ranks files, on any machine."""
    wrong = [
        str(item)
        for item in IMPORTS
        if folder(item.module) == "ranking" and item.target.split(".")[0] in ("torch", "timm")
    ]
    assert wrong == []


def test_the_client_needs_httpx_only() -> None:
    """It runs where nothing else of oraclezoo's dependencies is installed, apart from the CLI's."""
    wrong = [
        str(found)
        for found in IMPORTS
        if found.module == "oraclezoo.client"
        and found.target.split(".")[0] not in (*sys.stdlib_module_names, "httpx")
        and found.target != "oraclezoo.errors"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["serving", "server"])
def test_serving_never_comes_by_torch(package: str) -> None:
    """Nor timm, nor onnx: not in any module that it reaches, when it loads or later."""
    reached = {module for module in MODULES if folder(module) == package}
    while more := {f.target for f in IMPORTS if f.module in reached} & MODULES.keys() - reached:
        reached |= more
    assert "oraclezoo.imaging.decode" in reached
    reached.remove("oraclezoo.contracts")  # names torch in annotations
    wrong = [
        str(item)
        for item in IMPORTS
        if item.module in reached and item.target.split(".")[0] in ("torch", "timm", "onnx")
    ]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(LIGHT_MODULES))
def test_modules_named_in_the_table_exist(name: str) -> None:
    """A rename does not leave a hole in the fence."""
    assert name in MODULES


def test_the_walk_tells_load_time_from_later() -> None:
    """The registry imports the host when it loads, and the timm specs in a function."""
    actual = {(i.target, i.at_load) for i in imports("oraclezoo.plugins.registry")}
    assert ("oraclezoo.plugins.host", True) in actual
    assert ("oraclezoo.zoo.backbones.specs", False) in actual
