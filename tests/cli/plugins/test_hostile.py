"""Plugins that misbehave: errors name them, and everything else works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli

LIGHT = """
from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Spec


@hookimpl
def oraclezoo_backbones():
    names = ("Loud", "WrongShape", "Raises", "Nothing", "Fails", "Pair", "Exits", "Quits", "Leaves")
    return [Spec("backbone", name.lower(), f"rude.net:{name}", name) for name in names]
"""
HEAVY = """
import os

from torch import nn

print("loud at import")
os.write(1, b"louder at import\\n")


class Loud(nn.Sequential):
    def __init__(self, *, in_chans, num_classes, image_size):
        print("loud when built")
        super().__init__(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes))

    def forward(self, images):
        print("loud when used")
        return super().forward(images)


def WrongShape(*, in_chans, num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes + 1))


def Raises(**shape):
    raise ValueError("no\\nsuch luck")


def Nothing(**shape):
    return None


class Pair(Loud):
    def forward(self, images):
        logits = super().forward(images)
        return logits, logits


class Quits(Loud):
    def forward(self, images):
        if self.training:
            raise SystemExit(0)
        return super().forward(images)


class Leaves(Loud):
    def forward(self, images):
        if self.training:
            os._exit(0)
        return super().forward(images)


def Exits(**shape):
    raise SystemExit(0)


def Fails(*, in_chans, num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(7, num_classes))
"""
FATAL = "class Final(BaseException):\n    pass\n\n\nraise Final('over')\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return a process environment with the distribution ``rude`` installed."""
    site = tmp_path / "site"
    (site / "rude").mkdir(parents=True)
    (site / "rude" / "__init__.py").write_text("")
    (site / "rude" / "plugin.py").write_text(LIGHT)
    (site / "rude" / "fatal.py").write_text(FATAL)
    (site / "rude" / "net.py").write_text(HEAVY)
    info = site / "rude-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rude\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[oraclezoo]\nrude = rude.plugin\nfatal = rude.fatal\n")
    return {**os.environ, "PYTHONPATH": str(site)}


def run(
    environment: dict[str, str], here: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in ``here``."""
    command = [sys.executable, "-m", "oraclezoo", *arguments]
    return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)


def small(data: Path, backbone: str) -> list[str]:
    """Return options for a tiny training run of a backbone."""
    pairs = (f"backbone.name={backbone}", "budget.epochs=1", "budget.batch_size=16")
    options = [part for pair in pairs for part in ("-s", pair)]
    return [*options, "--track", "idx", "--data-dir", str(data), "--device", "cpu"]


def test_what_plugins_print_never_reaches_stdout(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """--json prints one document, whatever plugins print at import, when built, or in a step."""
    done = run(environment, tmp_path, "train", "authors-cnn", "--json", *small(tiny_idx, "loud"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["status"] == "done"
    assert "loud when used" in done.stderr
    assert "louder at import" in done.stderr


@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        ("wrongshape", "returned shape (2, 5) for 2 images, not (2, 4)"),
        ("raises", "cannot be built: ValueError: no such luck"),
        ("nothing", "returned a NoneType, not a torch module"),
        ("fails", "fails on images of 16 x 16"),
        ("pair", "returns a tuple, not a tensor of logits"),
        ("exits", "cannot be built: SystemExit: 0"),
    ],
)
def test_a_backbone_that_breaks_its_contract_is_named(
    backbone: str,
    says: str,
    environment: dict[str, str],
    tiny_idx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line names the plugin before training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(environment["PYTHONPATH"])
    done = CliRunner().invoke(cli, ["train", "authors-cnn", *small(tiny_idx, backbone)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "rude"]:
        del sys.modules[name]
    assert done.exit_code == 1
    line = done.stderr.strip().splitlines()[-1]
    assert f"'rude:{backbone}'" in line
    assert says in line
    assert "unexpected" not in line
    assert not (tmp_path / "runs").exists()


def test_an_import_that_raises_anything_is_quarantined(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """This includes exceptions that are no Exception; the rest of the distribution works."""
    done = run(environment, tmp_path, "plugins", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["entry_point"]: row for row in json.loads(done.stdout)["data"]}
    assert rows["fatal"]["status"] == "quarantined"
    assert "Final" in rows["fatal"]["reason"]
    assert rows["rude"]["status"] == "ok"


def test_a_step_that_exits_is_an_error_of_the_plugin(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path
) -> None:
    """Training does not end in silence, and the run is recorded as failed."""
    done = run(environment, tmp_path, "train", "authors-cnn", *small(tiny_idx, "quits"))
    assert done.returncode == 1
    assert "oraclezoo: plugin rude 1.0 raises SystemExit: 0" in done.stderr
    (record,) = (tmp_path / "runs").glob("*/run.json")
    assert json.loads(record.read_text())["status"] == "failed"


def test_checks_of_a_component_that_exits_fail(environment: dict[str, str], tmp_path: Path) -> None:
    """The table is printed, and the exit status is that of a failed check."""
    done = run(environment, tmp_path, "plugins", "check", "exits", "--quick")
    assert done.returncode == 3
    assert "cannot be built: SystemExit: 0" in done.stderr
    assert "rude:exits" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        ("quits", "plugin rude 1.0 raises SystemExit: 0"),
        ("leaves", "ended early with status 0"),
    ],
)
def test_a_job_that_leaves_no_run_is_one_failed_job(
    environment: dict[str, str], tiny_idx: Path, tmp_path: Path, backbone: str, says: str
) -> None:
    """The recipes after it are trained."""
    document = "name = '{0}'\n[backbone]\nname = '{0}'\n[optimizer]\nname = 'sgd'\n"
    document += "[scheduler]\nname = 'constant'\n[budget]\nepochs = 1\nbatch_size = 16\n"
    for name in (backbone, "loud"):
        (tmp_path / f"{name}.toml").write_text(document.format(name))
    recipes = [f"{name}.toml" for name in (backbone, "loud")]
    options = ["--track", "idx", "--data-dir", str(tiny_idx), "--seeds", "1", "--device", "cpu"]
    done = run(environment, tmp_path, "bench", *recipes, *options, "--accuracy-only", "--json")
    assert done.returncode == 1, done.stderr
    broken, sound = json.loads(done.stdout)["data"]
    assert broken["seeds"] == []
    assert says in broken["failures"][0]["message"]
    assert [row["seed"] for row in sound["seeds"]] == [0]
    assert sound["failures"] == []
