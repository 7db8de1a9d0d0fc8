"""Test-time augmentation in all uses of a model."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import oraclezoo as oz
from oraclezoo.analysis.evaluate import evaluate
from oraclezoo.artifacts.load import load
from oraclezoo.data.folder import ABOUT
from oraclezoo.engine.evaluate import probabilities, with_views
from oraclezoo.errors import ResultError
from oraclezoo.measure import size

NET = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
MEAN, STD = 0.2, 0.3


def moved(images: Tensor, down: int, right: int) -> Tensor:
    """Return shifted uint8 images, filled with black, computed pixel by pixel."""
    result = torch.zeros_like(images)
    _, height, width = images.shape
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                result[:, y, x] = images[:, y - down, x - right]
    return result


@given(
    pixels=st.integers(1, 8), count=st.sampled_from([1, 5, 32, 33, 40]), seed=st.integers(0, 2**31)
)
def test_it_is_the_mean_over_five_views(pixels: int, count: int, seed: int) -> None:
    """Probabilities are averaged over the image and its four shifts."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 8, 8), generator=generator, dtype=torch.uint8)
    scale = {"mean": MEAN, "std": STD}
    actual = probabilities(with_views(NET, pixels, **scale), images, **scale)
    ways = ((0, 0), (pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))
    views = [probabilities(NET, moved(images, *way), **scale) for way in ways]
    assert torch.allclose(actual, torch.stack(views).mean(0), atol=1e-6)
    mirrored = [probabilities(NET, moved(images, *way).flip(-1), **scale) for way in ways]
    both = probabilities(with_views(NET, pixels, flip=True, **scale), images, **scale)
    assert torch.allclose(both, torch.stack(views + mirrored).mean(0), atol=1e-6)
    two = probabilities(with_views(NET, 0, flip=True, **scale), images, **scale)
    assert torch.allclose(two, (views[0] + mirrored[0]) / 2, atol=1e-6)


def test_no_shift_is_the_net_itself() -> None:
    """Without views, the network is not wrapped."""
    assert with_views(NET, 0, mean=MEAN, std=STD) is NET


def test_it_can_be_exported_for_any_number_of_images() -> None:
    """The exported graph does not depend on the batch size of the example."""
    wrapped = with_views(NET, 2, mean=MEAN, std=STD).eval()
    batch = torch.export.Dim("batch", min=1, max=1000)
    program = torch.export.export(wrapped, (torch.randn(4, 1, 8, 8),), dynamic_shapes=({0: batch},))
    images = torch.randn(50, 1, 8, 8)
    assert torch.allclose(program.module()(images), wrapped(images), atol=1e-5)


def test_a_certain_net_stays_finite() -> None:
    """Probabilities that round to 0 or 1 give no NaN."""
    sure = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        sure[1].weight.mul_(1e4)
    wrapped = with_views(sure, 1, mean=MEAN, std=STD)
    logits = wrapped(torch.randn(4, 1, 8, 8))
    assert torch.allclose(F.softmax(logits, 1).sum(1), torch.ones(4))


def test_the_mode_of_the_net_is_kept() -> None:
    """Evaluation restores training mode."""
    training = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).train()
    images = torch.zeros(2, 8, 8, dtype=torch.uint8)
    probabilities(with_views(training, 1, mean=MEAN, std=STD), images, mean=MEAN, std=STD)
    assert training.training


def test_a_trained_model_carries_it(tiny_idx: Path, tmp_path: Path) -> None:
    """The card records it; prediction, validation, scoring and MAC counts apply it."""
    changes: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}
    runs = {}
    for shifts in (0, 1):
        recipe = oz.Recipe.load("authors-cnn", {**changes, "evaluate.shifts": shifts})
        runs[shifts] = oz.train(recipe, data_dir=tiny_idx, out=tmp_path, device="cpu")
    plain, averaged = runs[0].model(), runs[1].model()
    assert plain.card.preprocessing.shifts == 0
    state, other = plain.module.state_dict(), averaged.module.state_dict()
    assert all(torch.equal(state[key], other[key]) for key in state)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    expected = with_views(plain.module, 1, **_scale(plain))
    wanted = probabilities(expected, torch.from_numpy(images), **_scale(plain))
    actual = averaged.predict(images).probabilities
    assert np.allclose(actual, wanted.numpy(), atol=1e-6)
    assert not np.allclose(actual, plain.predict(images).probabilities, atol=1e-6)
    shape = {"in_chans": 1, "image_size": 16}
    assert size.macs(averaged.classifier, **shape) == 5 * size.macs(plain.classifier, **shape)
    scored = evaluate(runs[1], data_dir=tiny_idx, device="cpu")
    outcome = runs[1].outcome
    assert scored.accuracy == outcome.validation_accuracy
    assert scored.loss == pytest.approx(outcome.validation_loss, rel=1e-2)
    assert outcome.validation_loss != runs[0].outcome.validation_loss
    again = load(averaged.save(tmp_path / "model"))
    assert np.array_equal(again.predict(images).probabilities, actual)
    path = tmp_path / "model" / "model.json"
    card = json.loads(path.read_text())
    card["preprocessing"]["shifts"] = -1
    path.write_text(json.dumps(card))
    with pytest.raises(ResultError, match="card"):
        load(tmp_path / "model")


@pytest.mark.parametrize("allowed", [True, False])
def test_mirrored_views_are_averaged_where_the_data_set_allows_it(
    tiny_idx: Path, tmp_path: Path, allowed: bool
) -> None:
    """Both the recipe and the data set's ``flip_keeps_label`` are required."""
    data = tmp_path / "data"
    shutil.copytree(tiny_idx, data)
    about = tomllib.loads((data / ABOUT).read_text()) if (data / ABOUT).is_file() else {}
    (data / ABOUT).write_text(tomli_w.dumps({**about, "flip_keeps_label": allowed}))
    changes: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}
    recipe = oz.Recipe.load("authors-cnn", {**changes, "evaluate.flip": True})
    run = oz.train(recipe, data_dir=data, out=tmp_path, device="cpu")
    model = run.model()
    assert model.card.preprocessing.flip is allowed
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    actual = model.predict(images).probabilities
    same = np.allclose(actual, model.predict(images[..., ::-1].copy()).probabilities, atol=1e-6)
    assert same is allowed, "an average over both cannot tell an image from its mirror image"
    scored = evaluate(run, data_dir=data, device="cpu")
    assert scored.loss == pytest.approx(run.outcome.validation_loss, rel=1e-2)


def _scale(model: oz.Model) -> dict[str, float]:
    steps = model.card.preprocessing
    return {"mean": steps.mean, "std": steps.std}
