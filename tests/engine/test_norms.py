"""Recomputed batch norm statistics, for optimizers evaluated at other weights."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine.norms import regather
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import InterruptedRunError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

CPU = torch.device("cpu")


class Switching(torch.optim.SGD):
    """SGD that is evaluated at three times its training weights."""

    at_evaluation = False

    def eval(self) -> None:
        """Switch to the evaluation weights."""
        self._scale(3.0, to=True)

    def train(self) -> None:
        """Switch back."""
        self._scale(1 / 3.0, to=False)

    @torch.no_grad()
    def _scale(self, factor: float, *, to: bool) -> None:
        if self.at_evaluation != to:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(factor)
        self.at_evaluation = to

    def state_dict(self) -> dict[str, Any]:
        """Include the mode, as schedule-free optimizers do."""
        self.param_groups[0]["at_evaluation"] = self.at_evaluation
        return super().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the mode."""
        super().load_state_dict(state)
        self.at_evaluation = self.param_groups[0]["at_evaluation"]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Return four classes of 16x16 noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (80, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(80) % 4
    return TrainingData(images[:64], labels[:64], images[64:], labels[64:], 0.3, 0.3, True)


def make(registry: Registry, data: TrainingData, folder: Path) -> Trainer:
    """Return a trainer of a small network with batch norm and a switching optimizer."""
    folder.mkdir(exist_ok=True)
    changes = {"budget.epochs": 3, "budget.batch_size": 16, "backbone.name": "resnet8"}
    recipe = resolve(Recipe.load("quick", changes), registry)
    shape = {"in_chans": 1, "num_classes": 4, "image_size": 16}
    parts = build_parts(recipe, registry, data, shape, 0)
    switching = Switching([p for p in parts.model.parameters() if p.requires_grad], lr=0.01)
    constant = torch.optim.lr_scheduler.LambdaLR(switching, lambda step: 1.0)
    parts = dataclasses.replace(parts, optimizer=switching, scheduler=constant, train_eval=True)
    return Trainer(recipe, parts, data, seed=0, device=CPU, folder=folder)


def variance(norm: nn.Module) -> torch.Tensor:
    """Return a layer's running variance."""
    assert isinstance(norm.running_var, torch.Tensor)
    return norm.running_var.clone()


def test_averages_are_plain_means_over_the_batches() -> None:
    """The momentum does not matter and is kept; dropout is off."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3, momentum=0.01))
    images = [torch.randn(8, 3) * 5 + 2 for _ in range(4)]
    regather(net, images)
    norm = net[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, torch.stack([x.mean(0) for x in images]).mean(0))
    assert torch.allclose(variance(norm), torch.stack([x.var(0) for x in images]).mean(0))
    assert norm.momentum == 0.01
    assert not any(module.training for module in net.modules())


def test_a_net_without_such_layers_sees_no_image() -> None:
    """No batch is read."""

    def never() -> Any:
        raise AssertionError("asked for an image")
        yield

    regather(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), never())


def test_validation_has_the_averages_of_the_weights_it_is_at(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """The running variance matches the evaluation weights, not the training weights."""
    trainer = make(registry, data, tmp_path / "a")
    trainer.fit()
    norms = [m for m in trainer.parts.model.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = variance(norms[-1])
    trainer.regather_norms()
    again = variance(norms[-1])
    trainer.parts.optimizer.train()  # type: ignore[attr-defined]  # it switches
    trainer.regather_norms()
    assert torch.allclose(kept, again)
    assert not torch.allclose(kept, variance(norms[-1]), rtol=0.2)


def test_a_stopped_training_goes_on_bit_for_bit(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Recomputing the statistics does not affect training."""
    whole = make(registry, data, tmp_path / "whole")
    whole.fit()
    first = make(registry, data, tmp_path / "parts")
    calls = iter(range(100))
    with pytest.raises(InterruptedRunError):
        first.fit(should_stop=lambda: next(calls) == 5)
    second = make(registry, data, tmp_path / "parts")
    assert second.resume()
    second.fit()
    expected = whole.parts.model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in second.parts.model.state_dict().items())


def test_averages_are_those_of_torch_without_a_momentum() -> None:
    """They are bit-identical to momentum=None, even for a layer called twice."""
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3, momentum=0.3)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.BatchNorm2d(3))
    batches = [torch.randn(4, 3, 5, 5) * (1 + number) for number in range(5)]
    expected = copy.deepcopy(model)
    for norm in (expected[0], expected[3]):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for batch in batches:
            expected.train()(batch)
    regather(model, batches)
    state = expected.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert layer.momentum == 0.3
    assert not layer._forward_pre_hooks
