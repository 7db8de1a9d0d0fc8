"""The optimizers as oraclezoo's engine uses them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import build_registry

NAMES = ("sgd-schedulefree", "adamw-schedulefree", "radam-schedulefree")
REGISTRY = build_registry()


def build(net: nn.Module, name: str, **options: object) -> torch.optim.Optimizer:
    result = REGISTRY.create("optimizer", name, list(net.named_parameters()), **options)
    assert isinstance(result, torch.optim.Optimizer)
    return result


def step(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Take steps of least squares on fixed data."""
    inputs = torch.linspace(-1, 1, 64).view(16, 4)
    optimizer.train()  # type: ignore[attr-defined]  # guaranteed by the fact train_eval
    for _ in range(steps):
        optimizer.zero_grad()
        (net(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def test_sgd_evaluates_at_the_average_of_its_path() -> None:
    """x = mean of z_1 ... z_t, with z the iterates of plain SGD on gradients taken at y.

    Equations of arXiv:2405.15682, section 2, with equal weights: y = (1 - beta) z + beta x.
    """
    torch.manual_seed(0)
    net = nn.Linear(4, 1, bias=False)
    optimizer = build(net, "sgd-schedulefree", lr=0.1, momentum=0.8)
    z = net.weight.detach().clone()
    x, path = z.clone(), []
    for _ in range(6):
        y = 0.2 * z + 0.8 * x
        probe = nn.Linear(4, 1, bias=False)
        probe.load_state_dict({"weight": y})
        inputs = torch.linspace(-1, 1, 64).view(16, 4)
        (probe(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        assert probe.weight.grad is not None
        z = z - 0.1 * probe.weight.grad
        path.append(z)
        x = torch.stack(path).mean(0)
    step(net, optimizer, 6)
    optimizer.eval()  # type: ignore[attr-defined]  # guaranteed by the fact train_eval
    assert torch.allclose(net.weight, x, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_before_train_is_refused_by_the_package(name: str) -> None:
    """A step in evaluation mode raises instead of updating the wrong weights."""
    net = nn.Linear(4, 1)
    optimizer = build(net, name)
    net(torch.ones(2, 4)).sum().backward()
    with pytest.raises(Exception, match="not in train mode"):
        optimizer.step()


@pytest.mark.parametrize("name", NAMES[1:])
def test_weight_decay_spares_biases(name: str) -> None:
    """Only one of the two groups has weight decay."""
    groups = build(nn.Linear(4, 1), name, weight_decay=0.1).param_groups
    assert [(g["weight_decay"], g["params"][0].ndim) for g in groups] == [(0.1, 2), (0.0, 1)]


@pytest.mark.parametrize("name", NAMES[1:])
def test_betas_are_two(name: str) -> None:
    """A single beta raises an error."""
    with pytest.raises(UsageError, match="betas must be two numbers, not 1"):
        build(nn.Linear(4, 1), name, betas=[0.9])


@pytest.mark.parametrize("name", NAMES)
def test_a_net_without_trainable_parameters_is_refused(name: str) -> None:
    """The error is a single line."""
    with pytest.raises(UsageError, match="no trainable parameter"):
        build(nn.Linear(4, 1).requires_grad_(False), name)
