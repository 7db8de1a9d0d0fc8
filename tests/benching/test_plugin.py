"""A plugin author's promise: installed beside oraclezoo, a component is ranked by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_plugins_backbone_is_benched_with_its_provenance(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """Found, trained in a job of its own, and in the result with distribution and version."""
    command = [sys.executable, "-m", "oraclezoo", "bench", "authors-cnn", "--track", "idx"]
    command += ["--data-dir", str(tiny_idx), "--seeds", "1", "--device", "cpu", "--json"]
    for pair in ("backbone.name=tinynet", "backbone.hidden=8", "budget.epochs=2", "name=mine"):
        command += ["-s", pair]
    command += ["-s", "budget.batch_size=16", "-s", "optimizer.lr=0.05"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["data"]
    assert result["components"]["backbone"] == {
        "name": "zoo-tiny:tinynet",
        "distribution": "zoo-tiny",
        "version": "2.5",
    }
    assert result["recipe"]["content"]["backbone"]["options"] == {"hidden": 8}
    assert result["command"].startswith("oraclezoo bench authors-cnn --track idx")
    blocked = {**environment, "ORACLEZOO_DISABLE_PLUGINS": "zoo-tiny"}
    refused = subprocess.run(command, cwd=tmp_path, env=blocked, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "plugins that did not load: zoo-tiny:tiny" in refused.stderr
