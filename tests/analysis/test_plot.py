"""The figures of a run: from its folder, on the split that is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import oraclezoo as oz
from helpers.cards import small_card
from oraclezoo.analysis.plot import embeddings, plot
from oraclezoo.artifacts.model import Model
from oraclezoo.cli import cli
from oraclezoo.errors import InterruptedRunError, ResultError, UsageError

TINY: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}
NAMES = ["curves", "confusion", "per-class", "mistakes", "embedding"]


@pytest.fixture(scope="module")
def run(tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> oz.Run:
    """A finished run."""
    recipe = oz.Recipe.load("authors-cnn", TINY)
    out = tmp_path_factory.mktemp("runs")
    return oz.train(recipe, data_dir=tiny_idx, out=out, device="cpu")


def test_the_command_draws_on_validation_and_reads_no_test_image(
    run: oz.Run, tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five figures in the run's folder, each as SVG and PNG; no ledger."""
    monkeypatch.chdir(tmp_path)
    arguments = ["plot", str(run.folder), "--data-dir", str(tiny_idx), "--device", "cpu", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    files = [Path(name) for name in json.loads(result.stdout)["data"]["files"]]
    assert all(path.is_file() and path.parent == run.folder / "plots" for path in files)
    stems = [path.name for path in files if path.suffix == ".svg"]
    assert stems == ["curves.svg", *(f"validation-{name}.svg" for name in NAMES[1:])]
    assert not (tmp_path / "results").exists()


def test_the_test_split_is_noted_in_the_ledger(run: oz.Run, tiny_idx: Path, tmp_path: Path) -> None:
    """As by evaluate."""
    results = tmp_path / "results"
    files = oz.plot(
        run, split="test", data_dir=tiny_idx, device="cpu", out=tmp_path / "p", results=results
    )
    assert {path.name for path in files} >= {"test-confusion.svg", "curves.png"}
    (line,) = (results / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["recipe_hash"] == run.record.provenance.recipe.hash


@pytest.mark.parametrize("text", ["", "[1]\n", '{"epoch": 1, "lr'])
def test_metrics_without_the_epochs_of_a_finished_run_are_refused(
    text: str, run: oz.Run, tiny_idx: Path, tmp_path: Path
) -> None:
    """The curves would be empty."""
    folder = tmp_path / run.folder.name
    shutil.copytree(run.folder, folder)
    (folder / "metrics.jsonl").write_text(text)
    with pytest.raises(ResultError, match=r"metrics\.jsonl: epochs are missing"):
        plot(folder, data_dir=tiny_idx, device="cpu")


def test_an_unfinished_run_has_figures_but_no_test(tiny_idx: Path, tmp_path: Path) -> None:
    """Validation can be looked at; the test cannot, before it is done."""
    steps = iter(range(100))
    with pytest.raises(InterruptedRunError):
        oz.train(
            oz.Recipe.load("authors-cnn", TINY),
            data_dir=tiny_idx,
            out=tmp_path,
            device="cpu",
            should_stop=lambda: next(steps) == 12,
        )
    (folder,) = tmp_path.iterdir()
    with pytest.raises(UsageError, match="interrupted"):
        plot(folder, split="test", data_dir=tiny_idx, device="cpu", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()
    assert plot(folder, data_dir=tiny_idx, device="cpu")


class Headless(nn.Module):
    """Logits without a layer that gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images.flatten(1)[:, :3]


class Sequence(nn.Module):
    """A sequence of places, classified each and averaged; a distraction is called before."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.other = nn.Linear(4, 3), nn.Linear(16, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        places = images.flatten(2).reshape(len(images), 4, 4)
        self.other(images.flatten(1))
        logits: torch.Tensor = self.head(places)
        return logits.mean(1)


@pytest.mark.parametrize(
    ("module", "width"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)), 5),
        (nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 3, 2), nn.Flatten()), 6),
        (Sequence(), 4),
        (Headless(), 3),
    ],
    ids=["linear", "convolution", "sequence", "none"],
)
def test_an_embedding_is_what_the_last_layer_gets(module: nn.Module, width: int) -> None:
    """For any head, in any number of batches, a row an image in the order of the images."""
    card = small_card(4, mean=0.5, std=0.25)
    images = np.random.default_rng(0).integers(0, 255, (503, 4, 4), dtype=np.uint8)
    vectors, what = embeddings(Model(module, card), images)
    assert vectors.shape == (503, width)
    assert what
    last, _ = embeddings(Model(module, card), images[-3:])
    np.testing.assert_allclose(vectors[-3:], last, atol=1e-5)
    if isinstance(module, nn.Sequential) and isinstance(module[-1], nn.Linear):
        standard = torch.from_numpy((images / 255 - 0.5) / 0.25).float().unsqueeze(1)
        np.testing.assert_allclose(vectors, module[:-1](standard).detach().numpy(), atol=1e-5)
