"""``oraclezoo plugins new`` writes a working package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers.laid_out import lay_out
from oraclezoo.cli import cli
from oraclezoo.scaffold import KINDS, component, try_it

ROOT = Path(__file__).resolve().parents[2]


def new(folder: Path, name: str, kind: str) -> Path:
    """Create a package on the command line; return its folder."""
    arguments = ["plugins", "new", name, "--kind", kind, "--out", str(folder)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    made = Path(result.stdout.strip())
    assert made == folder / name
    return made


def run(environment: dict[str, str], here: Path, *arguments: str) -> str:
    """What a Python process prints that must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


CHECKS = """
import sys
import pytest
from oraclezoo.cli import main
status = pytest.main(["-q", "-m", "not slow", "-p", "no:cacheprovider"])
print("STATUS", int(status), flush=True)
main(["plugins", "check", sys.argv[1], "--json"])
"""
"""Both in one process, which imports torch once."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_tests_and_the_kit(kind: str, tmp_path: Path) -> None:
    """It passes unchanged after installation."""
    project = new(tmp_path, f"oraclezoo-fresh-{kind}", kind)
    (tmp_path / "site").mkdir()
    environment = lay_out(project, tmp_path / "site")
    tests, _, report = run(environment, project, "-c", CHECKS, project.name).partition("STATUS 0")
    assert "failed" not in tests
    assert " passed" in tests
    verdicts = json.loads(report)["data"]["verdicts"]
    assert {v["name"] for v in verdicts} == {f"{project.name}:{component(project.name)}"}
    assert "pass" in {v["verdict"] for v in verdicts} <= {"pass", "skip"}


def benched(kind: str) -> Any:
    """Mark all but one kind as `full`: test_outside.py and test_plugin.py bench other plugins."""
    return kind if kind == "dataset" else pytest.param(kind, marks=pytest.mark.full)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [benched(kind) for kind in KINDS])
def test_a_new_package_is_benched(kind: str, tiny_idx: Path, tmp_path: Path) -> None:
    """The result contains its distribution and version."""
    project = new(tmp_path, f"oraclezoo-fresh-{kind}", kind)
    (tmp_path / "site").mkdir()
    environment = lay_out(project, tmp_path / "site")
    words = try_it(kind, project.name).split()[1:]  # type: ignore[arg-type]  # one of KINDS
    small = ["--seeds", "1", "--device", "cpu", "--json", "--accuracy-only"]
    small += ["-s", "budget.epochs=1", "-s", "budget.batch_size=16"]
    if kind != "dataset":
        small += ["--track", "idx", "--data-dir", str(tiny_idx)]
    (result,) = json.loads(run(environment, tmp_path, "-m", "oraclezoo", *words, *small))["data"]
    assert result["components"][kind] == {
        "name": f"{project.name}:{component(project.name)}",
        "distribution": project.name,
        "version": "0.1.0",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_written_in_style(kind: str, tmp_path: Path) -> None:
    """It satisfies this repository's lint and format rules."""
    project = new(tmp_path, "my-first-thing", kind)
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(project)]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *config], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("My_Net", "is not a valid package name"),
        ("a--b", "is not a valid package name"),
        ("../up", "is not a valid package name"),
        ("oraclezoo", "is not a valid package name"),
        ("oraclezoo-2", "is not a valid package name"),
        ("class", "is a Python keyword or standard module"),
        ("json", "is a Python keyword or standard module"),
        ("torch", "a module 'torch' is already installed"),
        ("linear", "is a built-in scheduler"),
        ("oraclezoo-linear", "is a built-in scheduler"),
    ],
)
def test_names_that_would_not_work_are_refused(name: str, why: str, tmp_path: Path) -> None:
    """Exit status 2 and one line, before anything is written."""
    arguments = ["plugins", "new", name, "--kind", "scheduler", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Existing files are not overwritten; the parent folder must exist."""
    kept = tmp_path / "my-net" / "README.md"
    kept.parent.mkdir()
    kept.write_text("mine")
    arguments = ["plugins", "new", "my-net", "--kind", "backbone", "--out"]
    result = CliRunner().invoke(cli, [*arguments, str(tmp_path)])
    assert (result.exit_code, kept.read_text()) == (2, "mine")
    assert "already exists" in result.stderr
    nowhere = CliRunner().invoke(cli, [*arguments, str(tmp_path / "nowhere")])
    assert nowhere.exit_code == 2
    assert "create it" in nowhere.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_may_be_called_like_its_kind(kind: str, tmp_path: Path) -> None:
    """The class name does not collide with imports."""
    folder = new(tmp_path, f"oraclezoo-{kind}", kind)
    text = (folder / "src" / f"oraclezoo_{kind}" / f"{kind}.py").read_text(encoding="utf-8")
    assert f"class My{kind.capitalize()}" in text
