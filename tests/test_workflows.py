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
from oraclezoo.data.known import KNOWN
from oraclezoo.serving.listing import models

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
        match[1]
        for line in project["classifiers"]
        if (match := re.search(r"Python :: (3\.\d+)$", line))
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


def runs(start: str) -> list[list[str]]:
    """The words of steps that start with a word; paths are those of this checkout."""
    lines = [step.get("run", "") for step in steps()]
    words = [shlex.split(line) for line in lines if line.startswith(f"{start} ")]
    return [[word.removeprefix("before/") for word in line] for line in words]


def test_commands_that_are_called_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the options they are called with, subcommands too."""
    monkeypatch.chdir(ROOT)
    assert runs("oraclezoo")
    for _, *words in runs("oraclezoo"):
        command: click.Command | None = cli
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, words
        command.make_context(str(command.name), words)


def test_files_and_names_that_are_called_exist() -> None:
    """Scripts, tests, results and models."""
    sessions = [words for line in runs("nox") for words in [line[3:]] if "--" in line]
    paths = [word for words in sessions for word in words[1:]]
    paths += [line[1] for line in runs("python") if line[1] != "-m"]
    assert "benchmarks/latency_gate.py" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    results = [line[2] for line in runs("oraclezoo") if line[1] == "reproduce"]
    assert results
    assert all((ROOT / "benchmarks" / "results" / f"{name}.json").is_file() for name in results)
    (fetched,) = [line[3:] for line in runs("oraclezoo") if line[1:3] == ["models", "fetch"]]
    assert set(fetched) == {spec.name for spec in models()}


def test_changes_start_the_workflows_that_check_them() -> None:
    """Filters name folders that exist, alike for pushes and pull requests."""
    for path in WORKFLOWS:
        triggers = read(path)[True]  # YAML reads the key "on" as true
        for event in ("push", "pull_request"):
            for pattern in (triggers.get(event) or {}).get("paths", []):
                assert (ROOT / pattern.removesuffix("/**")).exists(), pattern
        if "pull_request" in triggers and "paths" in (triggers["push"] or {}):
            assert triggers["push"]["paths"] == triggers["pull_request"]["paths"]


def test_a_lock_of_the_data_is_verified_when_it_changes() -> None:
    """It has the digests that the package downloads by, and a change of it starts the workflow."""
    text = (GITHUB / "workflows" / "data.yml").read_text(encoding="utf-8")
    (path,) = {line[line.index("--lock") + 1] for line in runs("oraclezoo") if "--lock" in line}
    assert f"      - {path}\n" in text
    lock = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    locked = {name: file["sha256"] for name, file in lock["files"].items()}
    assert locked == KNOWN[lock["track"]].sha256


def test_each_week_the_locks_are_refreshed_by_pull_request() -> None:
    """With the script of ``nox -s lock``, on a branch of its own; main is not written to."""
    workflow = read(GITHUB / "workflows" / "locks.yml")
    assert workflow[True]["schedule"]
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
    lines = "\n".join(step.get("run", "") for step in job["steps"])
    assert "python containers/lock.py" in lines
    assert "gh pr create --base main --head locks" in lines
    assert re.findall(r"git push .+", lines) == ["git push --force origin locks"]


def test_a_release_needs_no_token() -> None:
    """Only the job that publishes may ask for an identity beside the one that attests."""
    jobs = read(GITHUB / "workflows" / "release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["needs"] == "build"
    assert all("run" not in step for step in jobs["publish"]["steps"])
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_a_workflow_may_do_little() -> None:
    """It reads, unless a job says what more; actions are of a stated version."""
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}, path
    for step in steps():
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", step.get("uses", "actions/checkout@v1"))


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
    """Actions, this package and those under plugins/, and images beside our own."""
    document = read(GITHUB / "dependabot.yml")
    assert document["version"] == 2
    watched = {each["package-ecosystem"]: each for each in document["updates"]}
    assert set(watched) == {"docker-compose", "github-actions", "npm", "pip"}
    assert (ROOT / watched["docker-compose"]["directory"].lstrip("/") / "compose.yaml").is_file()
    assert (ROOT / watched["npm"]["directory"].lstrip("/") / "package.json").is_file()
    assert "/plugins/*" in watched["pip"]["directories"]
    assert list(ROOT.glob("plugins/*/pyproject.toml"))
