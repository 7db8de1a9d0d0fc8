"""All packages installed together, with a broken and a clashing one (plugins/_test)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oraclezoo.cli import cli
from oraclezoo.plugins.registry import Entry, build_registry

HERE = Path(__file__).resolve().parents[1]
GOOD = sorted(path.parent.name for path in HERE.glob("oraclezoo-*/pyproject.toml"))
BROKEN, CLASH = "oraclezoo-test-broken", "oraclezoo-test-clash"
OFFERED = [entry for entry in build_registry() if not entry.builtin]
TRAINED = [entry for entry in OFFERED if entry.spec.kind != "executor"]  # see test_clusters.py


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def train(data: Path, out: Path, *arguments: str) -> Result:
    """Train one epoch on generated images."""
    settings = ("-s", "budget.epochs=1", "-s", "budget.batch_size=16")
    where = ("--track", "idx", "--data-dir", str(data), "--device", "cpu", "--out", str(out))
    return run("train", "authors-cnn", *settings, *where, *arguments)


def listed() -> dict[str, Any]:
    result = run("plugins", "--json")
    assert result.exit_code == 0, result.output
    return {record["distribution"]: record for record in json.loads(result.stdout)["data"]}


def test_each_package_is_listed_with_its_version() -> None:
    """All packages except the broken one work, with the versions of their pyprojects."""
    actual = listed()
    for name in GOOD:
        text = (HERE / name / "pyproject.toml").read_text(encoding="utf-8")
        assert actual[name]["version"] == tomllib.loads(text)["project"]["version"]
        assert actual[name]["status"] == "ok"
        assert actual[name]["offers"]
    assert actual[CLASH]["status"] == "ok"
    assert actual[BROKEN]["status"] == "quarantined"


def test_the_broken_one_is_explained_and_refused() -> None:
    """The doctor reports the broken package and its fix; --strict and the kit fail."""
    result = run("plugins", "doctor", "--json")
    assert result.exit_code == 1
    first, *others = json.loads(result.stdout)["data"]["problems"]
    assert BROKEN in first["what"]
    assert "this package is broken on purpose" in first["why"]
    assert "ORACLEZOO_DISABLE_PLUGINS=oraclezoo-test-broken" in first["fix"]
    assert [problem["level"] for problem in others].count("error") == 0
    assert run("--strict", "list").exit_code == 1
    assert run("plugins", "check", BROKEN).exit_code == 3


def test_the_shared_name_asks_for_the_distribution(oraclezoo_data: Path, tmp_path: Path) -> None:
    """An ambiguous bare name raises an error with both; qualified names train."""
    refused = train(oraclezoo_data, tmp_path, "-s", "scheduler.name=rex")
    assert refused.exit_code == 2
    assert f"use 'oraclezoo-rex:rex' or '{CLASH}:rex'" in refused.stderr
    rates = []
    for name in ("oraclezoo-rex:rex", f"{CLASH}:rex"):
        out = tmp_path / name.partition(":")[0]
        done = train(oraclezoo_data, out, "-s", f"scheduler.name={name}", "-s", "optimizer.lr=0.1")
        assert done.exit_code == 0, done.output
        (folder,) = out.iterdir()
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rates.append(json.loads(lines[-1])["lr"])
    assert rates == [pytest.approx(0.0), pytest.approx(0.05)]


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: f"{entry.spec.kind}-{entry.qualified}")
def test_each_component_is_used(
    entry: Entry, oraclezoo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each component trains by its qualified name, and the run records its origin."""
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    kind, out = entry.spec.kind, tmp_path / "runs"
    if kind == "tracker":
        done = train(oraclezoo_data, out, "--tracker", entry.qualified)
    else:
        lr = ("-s", "optimizer.lr=0.001") if kind == "optimizer" else ()
        done = train(oraclezoo_data, out, "-s", f"{kind}.name={entry.qualified}", *lr)
    assert done.exit_code == 0, done.output
    (record,) = [json.loads(path.read_text()) for path in out.glob("*/run.json")]
    assert record["status"] == "done"
    if kind == "tracker":
        assert "warning" not in done.stderr.lower()
    else:
        assert record["components"][kind]["distribution"] == entry.distribution
        assert record["components"][kind]["version"] == entry.version


def test_listing_them_imports_nothing_heavy() -> None:
    """Entry-point modules are light: the doctor reports no import problem."""
    result = run("plugins", "doctor", "--json")
    problems = json.loads(result.stdout)["data"]["problems"]
    assert [p for p in problems if "import" in p["why"] and BROKEN not in p["what"]] == []


def test_a_new_package_installs_and_keeps_the_contract(tmp_path: Path) -> None:
    """pip installs a package from ``plugins new``, oraclezoo finds it, and its tests pass."""
    name, site = "my-fresh-scheduler", tmp_path / "site"
    result = run("plugins", "new", name, "--kind", "scheduler", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    project = tmp_path / name
    pip = ("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site))
    subprocess.run([sys.executable, "-m", *pip, str(project)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for command in (
        ("pytest", "-q", "-p", "no:cacheprovider", str(project)),
        ("oraclezoo", "plugins", "check", name),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
