"""Conformance checks for optimizers, with a small network and a convex loss on the CPU."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.engine.checkpoint import load_optimizer
from oraclezoo.engine.stack import Merged
from oraclezoo.errors import UsageError
from oraclezoo.testing.subject import Subject, fail, listed, skip, through_checkpoint

STEPS = 3
CONVEX_STEPS = 200


def parameters(subject: Subject) -> None:
    """Trainable parameters are in exactly one group and change; frozen ones do not.

    The check uses a network of convolutions, batch norm and linear layers; its first layer is
    frozen.
    """
    net = _net()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = _build(subject, net)
    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    for name, p in net.named_parameters():
        count = members.count(id(p))
        if count != int(p.requires_grad):
            role = "trainable" if p.requires_grad else "frozen"
            fail(f"{role} parameter {name} is in {count} groups")
    if not all("lr" in group for group in optimizer.param_groups):
        fail("a parameter group has no 'lr'")
    _train(subject, net, optimizer, 2 * STEPS)
    still = [n for n, p in net.named_parameters() if p.requires_grad and torch.equal(p, before[n])]
    moved = [n for n, p in net.named_parameters() if not p.requires_grad and p.ne(before[n]).any()]
    if still:
        fail(f"{2 * STEPS} steps do not change {listed(still)}")
    if moved:
        fail(f"frozen parameters change: {listed(moved)}")


def convex(subject: Subject) -> str:
    """Default options reduce a convex loss (logistic regression, 200 steps)."""
    net = nn.Linear(8, 2)
    nn.init.zeros_(net.weight)
    inputs = torch.randn(200, 8)
    labels = (inputs[:, 0] > 0).long()
    optimizer = _build(subject, net)
    first = _loss(net, inputs, labels).item()
    _train(subject, net, optimizer, CONVEX_STEPS, inputs, labels)
    _mode(subject, optimizer, "eval")
    last = _loss(net, inputs, labels).item()
    if not math.isfinite(last):
        fail(f"the loss goes from {first:.3f} to {last}")
    if last > 0.995 * first:
        fail(f"{CONVEX_STEPS} steps reduce the loss only from {first:.4f} to {last:.4f}")
    return f"{first:.3f} to {last:.3f}"


def resume(subject: Subject) -> None:
    """Resuming from a checkpoint gives bit-identical weights."""
    nets = [_net() for _ in range(2)]
    optimizers = [_build(subject, net) for net in nets]
    for net, optimizer in zip(nets, optimizers, strict=True):
        _train(subject, net, optimizer, STEPS)
        _mode(subject, optimizer, "eval")
    saved = through_checkpoint([nets[1].state_dict(), optimizers[1].state_dict()])
    nets[1] = _net()
    nets[1].load_state_dict(saved[0])
    optimizers[1] = _build(subject, nets[1])
    load_optimizer(optimizers[1], saved[1])
    for net, optimizer in zip(nets, optimizers, strict=True):
        _train(subject, net, optimizer, STEPS)
    _same(nets, "resuming gives different weights")


def determinism(subject: Subject) -> None:
    """Training is deterministic."""
    nets = [_net() for _ in range(2)]
    for net in nets:
        torch.manual_seed(0)
        _train(subject, net, _build(subject, net), STEPS)
    _same(nets, "two identical training runs give different weights")


def options(subject: Subject) -> str:
    """Option choices, flags and bounds allow steps, or raise UsageError.

    The check does not test whether training still converges.
    """
    settings: list[tuple[str, Any]] = []
    for option in subject.spec.options:
        values: tuple[Any, ...] = option.choices
        if option.type == "bool":
            values = (True, False)
        elif option.type in ("float", "int"):
            kind = int if option.type == "int" else float
            values = tuple(kind(end) for end in (option.low, option.high) if end is not None)
        settings += [(option.name, value) for value in values if value != option.default]
    if not settings:
        skip("it has no option with choices or bounds")
    for name, value in settings:
        net = _net()
        try:
            optimizer = _build(subject, net, **{name: value})
        except UsageError:
            continue
        try:
            _train(subject, net, optimizer, 2)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            fail(f"with {name} = {value!r}, a step raises {type(error).__name__}: {text}")
    return f"{len(settings)} settings"


def closure(subject: Subject) -> None:
    """step() requires a closure if and only if the metadata needs_closure is declared."""
    net = _net()
    optimizer = _build(subject, net)
    _mode(subject, optimizer, "train")
    _loss(net, *_batch()).backward()  # type: ignore[no-untyped-call]  # untyped in torch
    declared = bool(subject.facts.get("needs_closure"))
    try:
        optimizer.step()
    except Exception as error:
        if not declared:
            text = " ".join(str(error).split())[:200]
            fail(f"without a closure, step raises {type(error).__name__}: {text}")
    else:
        if declared:
            fail("it declares needs_closure, but steps without one; declare needs_closure = False")


def train_eval(subject: Subject) -> str | None:
    """train() and eval() exist if and only if train_eval is declared, and are inverse."""
    net = _net()
    optimizer = _build(subject, net)
    has = [callable(getattr(optimizer, name, None)) for name in ("train", "eval")]
    declared = bool(subject.facts.get("train_eval"))
    if declared and not all(has):
        fail("it declares train_eval but lacks train() or eval()")
    if not declared and all(has):
        fail("it has train() and eval(), which are not called; declare train_eval = True")
    if not declared:
        skip("it does not declare train_eval")
    _train(subject, net, optimizer, STEPS)
    trained = [p.detach().clone() for p in net.parameters()]
    _mode(subject, optimizer, "eval")
    moved = max(float((p - q).abs().max()) for p, q in zip(net.parameters(), trained, strict=True))
    _mode(subject, optimizer, "train")
    for p, q in zip(net.parameters(), trained, strict=True):
        if not torch.allclose(p, q, rtol=1e-3, atol=1e-5):
            fail("eval() followed by train() does not restore the weights")
    return None if moved else "eval() does not change the weights"


def separable(subject: Subject) -> None:
    """If declared separable, one optimizer updates two networks like two optimizers."""
    if not subject.facts.get("separable"):
        skip("it is not declared separable")
    if subject.facts.get("needs_closure") or subject.facts.get("train_eval"):
        skip("not used with a closure or with train() and eval()")
    separate, joint = ([_net(seed) for seed in (0, 1)] for _ in range(2))
    for net in separate:
        _train(subject, net, _build(subject, net), STEPS)
    merged = Merged([_build(subject, net) for net in joint])
    for _ in range(STEPS):
        for net in joint:
            net.zero_grad()
            _loss(net, *_batch()).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        merged.step()
    for one, other in zip(separate, joint, strict=True):
        for (name, p), q in zip(one.named_parameters(), other.parameters(), strict=True):
            if not torch.allclose(p, q, rtol=1e-3, atol=1e-5):
                fail(f"{name} differs if it is updated jointly with another network")


CHECKS = (parameters, convex, resume, determinism, options, closure, train_eval, separable)
SLOW: tuple[object, ...] = ()


def _net(seed: int = 0) -> nn.Sequential:
    """Return a small network whose first layer is frozen."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.Conv2d(4, 8, 3, stride=2, bias=False),  # a bias before batch norm gets no gradient
            nn.BatchNorm2d(8),
            nn.Flatten(),
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.Linear(16, 2),
        )
    net[0].requires_grad_(False)
    return net


def _batch() -> tuple[Tensor, Tensor]:
    images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return images, (images.mean((1, 2, 3)) > 0).long()


def _build(subject: Subject, net: nn.Module, **options: Any) -> torch.optim.Optimizer:
    built = subject.create(list(net.named_parameters()), **options)
    if not isinstance(built, torch.optim.Optimizer):
        fail(f"it returns a {type(built).__name__}, not a torch optimizer")
    return built


def _loss(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(net(inputs), labels)


def _mode(subject: Subject, optimizer: torch.optim.Optimizer, mode: str) -> None:
    """Call train() or eval(), as the engine does, if the metadata declares train_eval."""
    if subject.facts.get("train_eval"):
        getattr(optimizer, mode)()


def _train(
    subject: Subject,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int,
    inputs: Tensor | None = None,
    labels: Tensor | None = None,
) -> None:
    """Run optimizer steps in the same way as the engine."""
    if inputs is None or labels is None:
        inputs, labels = _batch()

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = _loss(net, inputs, labels)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return loss

    _mode(subject, optimizer, "train")
    for _ in range(steps):
        if subject.facts.get("needs_closure"):
            optimizer.step(closure)  # type: ignore[arg-type]  # typed as float
        else:
            closure()
            optimizer.step()


def _same(nets: list[nn.Sequential], context: str) -> None:
    for (name, p), q in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        if not torch.equal(p, q):
            fail(f"{context}: {name} differs by {float((p - q).abs().max()):.1e}")
