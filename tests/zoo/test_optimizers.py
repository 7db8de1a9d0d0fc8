"""All built-in optimizers keep their contract."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from oraclezoo.errors import UsageError
from oraclezoo.specs import Spec
from oraclezoo.zoo.optimizer_specs import OPTIMIZERS

PER_SPEC = pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
IMAGES = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = (IMAGES.mean((1, 2, 3)) > 0).long()


def net() -> nn.Sequential:
    """A convolution, a norm, a hidden and a last layer, and a frozen one."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.Flatten(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 2),
    )
    layers[0].requires_grad_(False)
    return layers


def build(spec: Spec, model: nn.Module, **options: object) -> torch.optim.Optimizer:
    optimizer = spec.load()(model.named_parameters(), **spec.fixed, **spec.fill(options))
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    loss = torch.tensor(0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(IMAGES), LABELS)
        loss.backward()
        optimizer.step()
    return loss.item()


@PER_SPEC
def test_a_convex_loss_goes_down(spec: Spec) -> None:
    """Logistic regression, by every optimizer at its default, loses at least half its loss."""
    model = nn.Linear(8, 2)
    nn.init.zeros_(model.weight)
    inputs = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    labels = (inputs[:, 0] > 0).long()
    optimizer = build(spec, model, **({"lr": 0.05} if spec.name.startswith("adam") else {}))
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@PER_SPEC
def test_trainable_parameters_move_and_frozen_ones_stay(spec: Spec) -> None:
    """Each trainable parameter is in exactly one group; a frozen one in none."""
    model = net()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build(spec, model)
    train(model, optimizer, 2)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) != p.requires_grad, name
    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@PER_SPEC
def test_a_saved_state_continues_bit_for_bit(spec: Spec) -> None:
    """Loading the state, its numbers through JSON, continues as if never interrupted."""
    options: dict[str, object] = {"weight_decay": 0.01}
    model = net()
    optimizer = build(spec, model, **options)
    train(model, optimizer, 3)
    weights = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"] = json.loads(json.dumps(state["param_groups"]))
    for entry in state["state"].values():
        assert all(isinstance(v, torch.Tensor | int | float) for v in entry.values())
    train(model, optimizer, 3)

    again = net()
    again.load_state_dict(weights)
    resumed = build(spec, again, **options)
    resumed.load_state_dict(state)
    train(again, resumed, 3)
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


@PER_SPEC
def test_the_same_training_twice_is_the_same(spec: Spec) -> None:
    """Nothing random, and nothing that depends on addresses or on the order of a hash."""
    ends = []
    for _ in range(2):
        model = net()
        train(model, build(spec, model), 5)
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*ends)


@PER_SPEC
def test_a_net_without_trainable_parameters_is_refused(spec: Spec) -> None:
    """One clear line instead of torch's ValueError."""
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(UsageError, match="no trainable parameter"):
        build(spec, model)


def spec_of(name: str) -> Spec:
    return next(spec for spec in OPTIMIZERS if spec.name == name)


def test_adamw_spares_biases_and_norms() -> None:
    """With gradients of zero, matrices shrink by lr * weight_decay and the rest stays."""
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build(spec_of("adamw"), model, lr=0.1, weight_decay=0.5)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.allclose(model.get_parameter("0.weight"), before["0.weight"] * 0.95)
    for name in ("0.bias", "1.weight", "1.bias"):
        assert torch.equal(model.get_parameter(name), before[name])


def test_nesterov_without_momentum_is_refused_with_the_way_out() -> None:
    """The two options contradict each other; neither is dropped in silence."""
    with pytest.raises(UsageError, match="set nesterov = false"):
        build(spec_of("sgd"), net(), momentum=0.0)
    assert build(spec_of("sgd"), net(), momentum=0.0, nesterov=False)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_betas_are_two(name: str) -> None:
    """One beta, or three, is an error that says so."""
    with pytest.raises(UsageError, match="betas are two numbers, not 1"):
        build(spec_of(name), net(), betas=(0.9,))
