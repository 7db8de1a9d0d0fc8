"""A plugin author's promise: installed beside oraclezoo, a component is ranked by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.table import tables

LIGHT = """
from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1"


@hookimpl
def oraclezoo_backbones():
    return [
        Spec(
            "backbone",
            "tinynet",
            "zoo_tiny.net:TinyNet",
            "one hidden layer",
            options=(Option("hidden", "int", 16, "units", low=1),),
        )
    ]
"""
HEAVY = """
from torch import nn


class TinyNet(nn.Sequential):
    def __init__(self, *, in_chans, num_classes, image_size, hidden):
        size = in_chans * image_size**2
        super().__init__(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
        )
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A process environment in which the distribution ``zoo-tiny`` is installed."""
    package, info = tmp_path / "site" / "zoo_tiny", tmp_path / "site" / "zoo_tiny-2.5.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(LIGHT)
    (package / "net.py").write_text(HEAVY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-tiny\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[oraclezoo]\ntiny = zoo_tiny.plugin\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "site")}


def bench(data: Path) -> list[str]:
    """Return the command that benchmarks the plugin's backbone."""
    command = [sys.executable, "-m", "oraclezoo", "bench", "authors-cnn", "--track", "idx"]
    command += ["--data-dir", str(data), "--seeds", "1", "--device", "cpu", "--json"]
    for pair in ("backbone.name=tinynet", "backbone.hidden=8", "budget.epochs=2", "name=mine"):
        command += ["-s", pair]
    return [*command, "-s", "budget.batch_size=16", "-s", "optimizer.lr=0.05"]


def test_a_plugins_backbone_is_benched_with_its_provenance(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """Found, trained in a job of its own, and in the result with distribution and version."""
    command = bench(tiny_idx)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["data"]
    assert result["components"]["backbone"] == {
        "name": "zoo-tiny:tinynet",
        "distribution": "zoo-tiny",
        "version": "2.5",
    }
    record = result["plugins"]["zoo-tiny"]
    assert (record["version"], record["source"], len(record["sha256"])) == ("2.5", "local", 64)
    assert result["recipe"]["content"]["backbone"]["options"] == {"hidden": 8}
    assert result["command"].startswith("oraclezoo bench authors-cnn --track idx")
    blocked = {**environment, "ORACLEZOO_DISABLE_PLUGINS": "zoo-tiny"}
    refused = subprocess.run(command, cwd=tmp_path, env=blocked, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "plugins that did not load: zoo-tiny:tiny" in refused.stderr


@pytest.mark.slow
def test_an_edit_of_a_plugin_is_trained_again_as_another_row(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """The version is the same; the output says why a run is reused or trained again."""

    def run() -> tuple[dict[str, Any], str]:
        command = [*bench(tiny_idx), "--accuracy-only"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        (result,) = json.loads(done.stdout)["data"]
        return result, done.stderr

    first, _ = run()
    same, messages = run()
    assert "(reused: same recipe, data and code)" in messages
    assert same["id"] == first["id"]
    net = tmp_path / "site" / "zoo_tiny" / "net.py"
    net.write_text(net.read_text().replace("nn.ReLU()", "nn.Tanh()"))
    edited, messages = run()
    before, after = (one["plugins"]["zoo-tiny"]["sha256"] for one in (first, edited))
    assert before != after
    expected = (
        f"trained again because plugin zoo-tiny 2.5 changed (code {before[:8]} -> {after[:8]})"
    )
    assert expected in messages
    assert "reused" not in messages
    assert edited["recipe"]["hash"] == first["recipe"]["hash"]
    assert edited["id"] == f"{first['id']}-2"
    (table,) = tables(load_results([tmp_path / "results"]))
    assert sorted(row.plugins for row in table.rows) == sorted(
        f"zoo-tiny 2.5 ({sha256[:8]})" for sha256 in (before, after)
    )
    assert [row.replicates for row in table.rows] == [0, 0]
