"""The threat model names tests and modules that exist, and no module executes data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import oraclezoo
from oraclezoo._version import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(oraclezoo.__file__).parent
PAGE = (ROOT / "docs" / "reference" / "threats.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and line.count("|") == 5 and not line.startswith(("| ---", "| threat"))
]


@cache
def names_of_tests(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return frozenset(name for name in names if name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_each_line_names_its_test(row: list[str]) -> None:
    """And the module that checks, if there is a single one."""
    _, defense, module, cited = row
    assert defense
    if module != "all modules":
        name = module.strip("`")
        assert (SOURCE / name).is_file() or (ROOT / name).is_file(), module
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cited)
    assert tests
    assert len(tests) == cited.count("::")
    for path, name in tests:
        assert name in names_of_tests(path), f"{path}::{name}"


def test_every_kind_of_input_has_lines() -> None:
    """A section without lines would promise nothing."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[2:]
    assert len(sections) >= 9
    assert all("::test_" in section for section in sections)


def executions(tree: ast.AST) -> Iterator[str]:
    """Yield what could execute code in data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            for name in (*names, module):
                if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
                    yield f"import of {name}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            words = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
            if called in ("eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load"):
                yield called
            if called.startswith("yaml.") and "unsafe" in called:
                yield called
            if words.get("shell") == "True" or words.get("allow_pickle") == "True":
                yield f"{called}({words})"
            if called.endswith((".extractall", ".extract")) and words.get("filter") != "'data'":
                yield called


def test_no_module_executes_data() -> None:
    """No pickle, no evaluation, no shell, no unpacking without tar's data filter."""
    found = [
        f"{path.relative_to(SOURCE)}: {what}"
        for path in sorted(SOURCE.rglob("*.py"))
        for what in executions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from marshal import loads", "eval(x)", "torch.load(f)"),
        *("np.load(f, allow_pickle=True)", "run(x, shell=True)", "tar.extractall(x, filter='tar')"),
        "yaml.unsafe_load(f)",
    ],
)
def test_the_search_finds_what_executes(code: str) -> None:
    """Each kind of call and import."""
    assert list(executions(ast.parse(code)))


def test_the_security_policy_supports_the_current_version() -> None:
    """And links to a page that exists, without an address that nobody reads."""
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    minor = ".".join(__version__.split(".")[:2])
    assert f"| {minor} | yes |" in policy
    assert policy.count("| yes |") == 1
    for page in re.findall(r"`(docs/\w+\.md)`", policy):
        assert (ROOT / page).is_file()
    assert "Report a vulnerability" in policy
    assert "@" not in policy
