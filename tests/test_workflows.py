"""What runs on pull requests and commits is well-formed, and calls only what is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from oraclezoo.cli import cli

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FORMS = sorted(path for path in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if path.stem != "config")


def read(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    """The steps of every job of every workflow."""
    jobs = [job for path in WORKFLOWS for job in read(path)["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def test_tests_run_on_each_supported_python_and_system() -> None:
    """The versions are those that pyproject names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        found[1]
        for line in project["classifiers"]
        if (found := re.search(r"Python :: (3\.\d+)$", line))
    }
    matrix = read(GITHUB / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert set(matrix["python"]) == named
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_sessions_that_are_called_exist() -> None:
    """Lint, types, tests, plugins and docs all run somewhere."""
    called = {
        name
        for step in steps()
        for line in re.findall(r"nox -s ([a-z ]+)", step.get("run", ""))
        for name in line.split()
    }
    source = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert called <= set(re.findall(r"^def (\w+)\(session", source, re.MULTILINE))
    assert called >= {"lint", "types", "tests", "plugins", "docs"}


def test_commands_that_are_called_exist() -> None:
    """With the options they are called with."""
    lines = [step["run"] for step in steps() if step.get("run", "").startswith("oraclezoo ")]
    assert lines
    for line in lines:
        name, *words = shlex.split(line)[1:]
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        words = [w if w.startswith("-") else str(ROOT / "benchmarks" / "results") for w in words]
        command.make_context(name, words)


def test_a_workflow_may_do_little() -> None:
    """It reads, unless a job says what more; actions are of a stated version."""
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}, path
    for step in steps():
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "actions/checkout@v1"))


def test_hooks_need_no_other_repository() -> None:
    """They are local, and say what they install."""
    for repository in read(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] in ("python", "fail")
            assert hook["language"] == "fail" or hook["additional_dependencies"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_are_well_formed(path: Path) -> None:
    """Name, description and fields with unique ids and labels, as GitHub wants them."""
    form = read(path)
    assert form["name"]
    assert form["description"]
    fields = form["body"]
    assert all(each["type"] in ("textarea", "input", "checkboxes") for each in fields)
    assert all(each["attributes"]["label"] for each in fields)
    assert len({each["id"] for each in fields}) == len(fields)


def test_dependabot_watches_what_is_there() -> None:
    """Actions, this package and those under plugins/."""
    document = read(GITHUB / "dependabot.yml")
    assert document["version"] == 2
    watched = {each["package-ecosystem"]: each for each in document["updates"]}
    assert set(watched) == {"github-actions", "pip"}
    assert "/plugins/*" in watched["pip"]["directories"]
    assert list(ROOT.glob("plugins/*/pyproject.toml"))
