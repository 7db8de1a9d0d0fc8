"""A package written by the plugin guide is discovered, checked, benchmarked and ranked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.laid_out import lay_out

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "publish" / "plugins.md"
FILE = re.compile(r"^```\{code-block\} \w+\n:caption: \"`([^`]+)`\"\n\n(.*?)^```$", re.M | re.S)
TEST_FILE = re.compile(r"^`tests/(test_\w+\.py)`:\n\n```python\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the guide, in a folder outside the repository."""
    folder = tmp_path_factory.mktemp("outside") / "project"
    text = GUIDE.read_text(encoding="utf-8")
    files = dict(FILE.findall(text))
    files |= {f"tests/{name}": content for name, content in TEST_FILE.findall(text)}
    assert {"pyproject.toml", "tests/test_conformance.py"} <= files.keys()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def environment(project: Path) -> dict[str, str]:
    """Environment variables of a process in which the package is installed."""
    site = project.parent / "site"
    site.mkdir()
    return lay_out(project, site)


def run(environment: dict[str, str], here: Path, *words: str) -> str:
    """What Python prints, which must succeed; ``words`` are a module's or ``-c`` and code."""
    module = [] if words[0] == "-c" else ["-m"]
    done = subprocess.run(
        [sys.executable, *module, *words], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_and_healthy(environment: dict[str, str], tmp_path: Path) -> None:
    """``plugins`` lists distribution and version; the doctor reports no problem."""
    actual = json.loads(run(environment, tmp_path, "oraclezoo", "plugins", "--json"))["data"]
    (record,) = [record for record in actual if record["distribution"] == "oraclezoo-geometric"]
    assert (record["version"], record["status"]) == ("1.0", "ok")
    doctor = run(environment, tmp_path, "oraclezoo", "plugins", "doctor", "--json")
    problems = json.loads(doctor)["data"]["problems"]
    assert [problem for problem in problems if "geometric" in problem["what"]] == []


CHECKS = """
import pytest
from oraclezoo.cli import cli
print("STATUS", int(pytest.main(["-q", "-p", "no:cacheprovider", "tests"])), flush=True)
for name in ("oraclezoo-geometric", "geometric"):
    cli.main(["plugins", "check", name, "--json"], standalone_mode=False)
    print("STATUS 0", flush=True)
"""
"""All in one process, which imports torch once."""


def test_it_keeps_the_contract(environment: dict[str, str], project: Path) -> None:
    """By distribution, by component, and by the guide's test file."""
    tests, *reports = run(environment, project, "-c", CHECKS).split("STATUS 0\n")
    assert len(reports) == 3
    for report in reports[:2]:
        data = json.loads(report)["data"]
        assert data["passed"] is True
        assert {v["name"] for v in data["verdicts"]} == {"oraclezoo-geometric:geometric"}
        assert {v["verdict"] for v in data["verdicts"]} == {"pass"}
    assert re.search(rf"^{len(data['verdicts'])} passed", tests, re.M)


def test_it_is_benched_and_ranked_with_its_origin(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """The leaderboard's row names the distribution and the version behind it."""
    words = ["bench", "authors-cnn", "--track", "idx", "--data-dir", str(tiny_idx)]
    words += ["--seeds", "1", "--device", "cpu", "--accuracy-only"]
    for pair in ("scheduler.name=geometric", "budget.epochs=1", "budget.batch_size=16"):
        words += ["-s", pair]
    run(environment, tmp_path, "oraclezoo", *words)
    table = run(environment, tmp_path, "oraclezoo", "leaderboard", "--format", "markdown")
    origin = r"oraclezoo-geometric 1\.0 \([0-9a-f]{8}\)"
    assert re.search(rf"lenet5, sgd, oraclezoo-geometric:geometric \({origin}\)", table)
    document = json.loads(run(environment, tmp_path, "oraclezoo", "leaderboard", "--json"))
    (row,) = document["data"]["tables"][0]["rows"]
    assert re.fullmatch(origin, row["plugins"])
