"""The code of plugins in runs and cards: recorded, compared on load, asked for if it is gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from oraclezoo.artifacts.plugins import changes, with_install
from oraclezoo.card import PluginSource, Source
from oraclezoo.errors import UnknownNameError, UsageError
from oraclezoo.plugins import code
from oraclezoo.plugins.registry import build_registry

SOURCE = """
def made(*, in_chans, num_classes, image_size):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes))


@hookimpl
def oraclezoo_backbones():
    return [Spec('backbone', 'linear', __name__ + ':made', 'a linear classifier')]
"""


class Trained:
    """A run of a plugin's backbone, and the plugin's file."""

    def __init__(self, site: Any, data: Path, out: Path, patch: pytest.MonkeyPatch) -> None:
        self.site, self.data, self.out, self.patch = site, data, out, patch
        self.file = site.folder / f"{site.add('zoo-linear', SOURCE)}.py"
        self.renew()
        self.run = self.train()
        self.model = self.run.model(registry=build_registry()).save(out / "model")

    def train(self, **options: Any) -> oz.Run:
        """Train for an epoch."""
        changes: dict[str, object] = {
            "name": "linear",
            "backbone.name": "zoo-linear:linear",
            "budget.epochs": 1,
            "budget.batch_size": 16,
            "data.track": "idx",
        }
        recipe = oz.Recipe.load("quick", changes)
        return oz.train(recipe, data_dir=self.data, out=self.out, device="cpu", **options)

    def renew(self) -> None:
        """Forget the code that this process has seen, as a new process does."""
        self.patch.setattr(code, "_seen", {})

    def edit(self) -> None:
        """Change the plugin's code, but not its version."""
        self.file.write_text(self.file.read_text() + "# edited\n")
        self.renew()


@pytest.fixture
def trained(site: Any, tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Return a trained linear classifier."""
    return Trained(site, tiny_idx, tmp_path / "runs", monkeypatch)


def test_a_model_loads_in_silence_with_the_code_it_was_trained_with(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    """Run and card hold the code."""
    recorded = trained.run.record.provenance.plugins["zoo-linear"]
    assert (recorded.version, len(recorded.sha256)) == ("1.0", 64)
    origin = oz.load(trained.model).card.provenance
    assert origin is not None
    assert origin.plugins == {"zoo-linear": recorded}
    assert not caplog.records


def test_a_model_warns_if_the_code_of_its_backbone_changed(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are named, whether a model folder or a run is loaded."""
    before = trained.run.record.provenance.plugins["zoo-linear"].sha256[:8]
    trained.edit()
    after = build_registry().code("zoo-linear").sha256[:8]
    for load in (lambda: oz.load(trained.model), trained.run.model):
        caplog.clear()
        load()
        (record,) = caplog.records
        assert f"its backbone was trained with zoo-linear 1.0 (code {before})" in record.message
        assert f"but zoo-linear 1.0 (code {after}) is installed" in record.message


def test_a_card_without_code_is_compared_by_version(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    """Cards of version 0.1 name the version only."""
    file = trained.model / "model.json"
    document = json.loads(file.read_text())
    del document["provenance"]["plugins"]
    file.write_text(json.dumps(document))
    oz.load(trained.model)
    assert not caplog.records
    info = trained.site.folder / "zoo_linear-1.0.dist-info"
    info.rename(info.with_name("zoo_linear-2.0.dist-info"))
    metadata = info.with_name("zoo_linear-2.0.dist-info") / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))
    trained.renew()
    oz.load(trained.model)
    assert "was trained with zoo-linear 1.0, but zoo-linear 2.0 (code" in caplog.text


def test_a_model_whose_plugin_is_gone_says_what_to_install(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that it was trained with, before similar names."""
    info = trained.site.folder / "zoo_linear-1.0.dist-info"
    (info / "METADATA").unlink()
    says = r"unknown backbone 'zoo-linear:linear'; distribution 'zoo-linear' is not installed: "
    with pytest.raises(UnknownNameError, match=says + r"pip install zoo-linear==1\.0"):
        oz.load(trained.model)
    with pytest.raises(UnknownNameError, match=says + "pip install zoo-linear"):
        trained.train()


def test_a_run_is_not_resumed_with_other_code(trained: Trained) -> None:
    """Its checkpoint is of the old code."""
    assert trained.train(resume=True).folder == trained.run.folder
    trained.edit()
    with pytest.raises(UsageError, match=r"different code: plugin zoo-linear 1\.0 changed \(code "):
        trained.train(resume=True)
    assert trained.train(overwrite=True).record.status == "done"


def test_an_edit_in_a_running_process_is_refused(trained: Trained) -> None:
    """The process still runs the old code, and would record the new one."""
    trained.file.write_text(trained.file.read_text() + "# edited\n")
    with pytest.raises(oz.OracleZooError, match="start again"):
        trained.train(overwrite=True)


A1, B1, B2 = (PluginSource(v, c * 64, "index") for v, c in (("1", "a"), ("1", "b"), ("2", "b")))


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ({}, {}, []),
        ({"x": A1}, {"x": A1}, []),
        ({"x": A1}, {"x": replace(A1, source="local")}, []),
        ({"x": A1}, {"x": B1}, ["plugin x 1 changed (code aaaaaaaa -> bbbbbbbb)"]),
        (
            {"x": A1},
            {"x": B2},
            ["plugin x changed (version 1 -> 2, code aaaaaaaa -> bbbbbbbb)"],
        ),
        ({}, {"x": A1}, ["plugin x 1 (code aaaaaaaa) is used, of which no code was recorded"]),
        ({"x": A1}, {}, ["plugin x 1 (code aaaaaaaa) is no longer used"]),
    ],
)
def test_changes_in_words(
    before: dict[str, PluginSource], now: dict[str, PluginSource], says: list[str]
) -> None:
    """The source of an install is no part of the code."""
    assert changes(before, now) == says


@pytest.mark.parametrize("version", ["1.0; rm -rf", "--index-url=x", "", "$(id)"])
def test_a_version_from_a_card_is_not_quoted_unless_it_is_one(
    trained: Trained, version: str
) -> None:
    """A card is a stranger's file."""
    with pytest.raises(UnknownNameError) as caught:
        build_registry().get("backbone", "zoo-x:net")
    card = oz.load(trained.model).card
    assert card.provenance is not None
    source = {"backbone": Source("zoo-x:net", "zoo-x", version)}
    other = replace(card, provenance=replace(card.provenance, components=source))
    error = with_install(caught.value, other)
    assert "pip install zoo-x" in str(error)
    assert "==" not in str(error)
