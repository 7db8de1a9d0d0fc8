"""Built-in optimizers satisfy their contract."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from oraclezoo.errors import UsageError
from oraclezoo.specs import Spec
from oraclezoo.testing.subject import through_checkpoint
from oraclezoo.zoo.optimizers.specs import OPTIMIZERS

PER_SPEC = pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
IMAGES = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = (IMAGES.mean((1, 2, 3)) > 0).long()


def net() -> nn.Sequential:
    """A convolution, a norm, a hidden and a last layer, and a frozen one."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Conv2d(4, 8, 3, stride=2, bias=False),  # before a norm a bias gets no gradient
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


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int,
    inputs: torch.Tensor = IMAGES,
    labels: torch.Tensor = LABELS,
) -> float:
    """Return the loss before the last of ``steps`` steps, each with a closure."""

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        return loss

    loss = torch.tensor(0.0)
    for _ in range(steps):
        loss = optimizer.step(closure)  # type: ignore[assignment,arg-type]  # typed as float
    return float(loss.detach())


def test_there_are_enough_of_them() -> None:
    """The documented number of optimizers is available."""
    assert len(OPTIMIZERS) >= 20


@PER_SPEC
def test_a_convex_loss_goes_down(spec: Spec) -> None:
    """Logistic regression from zero: every optimizer, at its default, lowers the loss from ln 2."""
    model = nn.Linear(8, 2)
    nn.init.zeros_(model.weight)
    inputs = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    labels = (inputs[:, 0] > 0).long()
    optimizer = build(spec, model)
    assert train(model, optimizer, 200, inputs, labels) < 0.995 * math.log(2)


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
    """Training resumed from a checkpoint equals uninterrupted training."""
    options: dict[str, object] = {"weight_decay": 0.01}
    model = net()
    optimizer = build(spec, model, **options)
    train(model, optimizer, 3)
    weights = copy.deepcopy(model.state_dict())
    state = through_checkpoint(optimizer.state_dict())
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


DECAYED = [s for s in OPTIMIZERS if "decay_norms" in {option.name for option in s.options}]


@pytest.mark.parametrize("spec", DECAYED, ids=lambda spec: spec.name)
@pytest.mark.parametrize("decay_norms", [False, True])
def test_biases_and_norms_are_decayed_only_when_asked(spec: Spec, decay_norms: bool) -> None:
    """A bias is known by its name, whatever its shape; a norm by its one dimension."""
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    model.register_parameter("bias", nn.Parameter(torch.ones(2, 2)))
    options = {"weight_decay": 0.25, "decay_norms": decay_norms}
    parameters = dict(model.named_parameters())
    optimizer = build(spec, model, **options)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert decay[id(parameters["0.weight"])] == 0.25
    for name in ("0.bias", "1.weight", "1.bias", "bias"):
        expected = 0.25 if decay_norms or (name == "bias" and spec.name == "muon") else 0.0
        assert decay[id(parameters[name])] == expected, name


@PER_SPEC
def test_by_default_the_published_ones_decay_as_they_did(spec: Spec) -> None:
    """Only sgd and adam, published before the option, decay everything."""
    (option,) = [option for option in spec.options if option.name == "decay_norms"]
    assert option.later
    assert option.default is (spec.name in ("sgd", "adam"))


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


GENERIC = [spec for spec in OPTIMIZERS if "algorithm" in spec.fixed]


@pytest.mark.parametrize("spec", GENERIC, ids=lambda spec: spec.name)
def test_options_reach_an_optimizer_of_torchs_or_timms(spec: Spec) -> None:
    """Each is an argument of the class, which keeps it by that name, at the listed default too."""
    optimizer = build(spec, net())
    kept = {**optimizer.defaults, **optimizer.param_groups[0]}
    for option in spec.options:
        if option.name not in ("weight_decay", "decay_norms"):
            assert kept[option.name] == option.default, option.name
    for name, value in spec.fixed.items():
        if name != "algorithm":
            assert kept[name] == value


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
def test_separable_is_what_it_says(spec: Spec) -> None:
    """Of two parameters, one moves as it does alone, if and only if the fact says so.

    But for adan, whose count of steps is shared and yet the same for all.
    """
    if spec.name == "adan":
        assert not spec.facts["separable"]
        return

    def end(with_other: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        weights = {"a.weight": nn.Parameter(torch.randn(6, 4, generator=generator))}
        if with_other:
            weights = {"0.weight": nn.Parameter(torch.ones(5, 4)), **weights}
        weights["z.weight"] = nn.Parameter(torch.ones(2, 4))  # the last, which muon leaves to SGD
        optimizer = spec.load()(weights.items(), **spec.fixed, **spec.fill({}))
        for step in range(4):

            def closure(step: int = step) -> torch.Tensor:
                for name, p in weights.items():
                    factor = 30.0 if name == "0.weight" else 1.0
                    p.grad = factor * (p.detach() + 0.3 * step).cos()
                return torch.tensor(0.0)

            closure()
            optimizer.step(closure)
        return weights["a.weight"].detach()

    assert torch.allclose(end(True), end(False), rtol=1e-6) == spec.facts["separable"]


def test_kron_leaves_torchs_random_numbers_alone() -> None:
    """It uses a separate generator, so that augmentation depends on the seed only."""
    model = net()
    optimizer = build(spec_of("kron"), model)
    before = torch.get_rng_state()
    train(model, optimizer, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_sam_steps_by_the_gradient_at_the_worst_place_nearby() -> None:
    """Of w^2 / 2 at w = 2 with rho = 0.5, the gradient is that at 2.5; adaptive, at 3."""
    for adaptive, place in ((False, 2.5), (True, 3.0)):
        weight = nn.Parameter(torch.tensor([2.0]))
        options = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "adaptive": adaptive}
        filled = spec_of("sam").fill({**options, "rho": 0.5})
        optimizer = spec_of("sam").load()([("w", weight)], **filled)
        seen = []

        def closure(weight: nn.Parameter = weight, seen: list[float] = seen) -> torch.Tensor:
            seen.append(weight.item())
            weight.grad = weight.detach().clone()
            return weight.detach().square().sum() / 2

        assert optimizer.step(closure) == 2.0
        assert seen == [2.0, pytest.approx(place)]
        assert weight.item() == pytest.approx(2.0 - 0.1 * place)


def test_sam_without_a_closure_is_refused() -> None:
    """It cannot take its second pass."""
    with pytest.raises(UsageError, match="requires a closure"):
        build(spec_of("sam"), net()).step()


def test_sam_follows_its_schedule_after_a_checkpoint() -> None:
    """A learning rate that a scheduler sets after loading is that of the inner step."""
    model = net()
    optimizer = build(spec_of("sam"), model)
    train(model, optimizer, 1)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[1]["lr"] = 0.0
    before = [p.detach().clone() for p in model.parameters()]
    train(model, optimizer, 1)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_nesterov_without_momentum_is_refused_with_the_way_out() -> None:
    """The two options contradict each other; neither is dropped in silence."""
    with pytest.raises(UsageError, match="set nesterov = false"):
        build(spec_of("sgd"), net(), momentum=0.0)
    assert build(spec_of("sgd"), net(), momentum=0.0, nesterov=False)


@pytest.mark.parametrize("name", ["adam", "adamw", "radam", "lion", "adan"])
def test_betas_are_as_many_as_the_method_has(name: str) -> None:
    """One beta is an error that says how many there are."""
    with pytest.raises(UsageError, match=r"betas must be [23] numbers, not 1"):
        build(spec_of(name), net(), betas=(0.9,))
