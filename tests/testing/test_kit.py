"""The conformance kit detects violations: a component per check that violates it."""

from __future__ import annotations

from typing import Any

import pytest

from oraclezoo.errors import AmbiguousNameError, UnknownNameError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.testing import CHECKS, Verdict, check, checks_of, find
from oraclezoo.testing.kit import is_slow

BACKBONES = """
import torch
from torch import nn


class Good(nn.Sequential):
    def __init__(self, *, in_chans, num_classes, image_size):
        super().__init__(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes))


def more_classes(*, in_chans, num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes + 1))


def no_options(*, in_chans):
    return None


class Whole(Good):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Unused(Good):
    def __init__(self, **shape):
        super().__init__(**shape)
        self.more = nn.Linear(2, 2)


class Fixed(Good):
    def __init__(self, **shape):
        super().__init__(**shape)
        nn.init.ones_(self[1].weight)
        nn.init.zeros_(self[1].bias)


class Forgets(Good):
    def forward(self, x):
        if self.training:
            self.seen = x.mean()
        return super().forward(x) + getattr(self, "seen", 0.0)


class Idle(Good):
    def initialize(self, images):
        pass


def gray_only(*, in_chans, num_classes, image_size):
    return Good(in_chans=1, num_classes=num_classes, image_size=28)


class Auxiliary(Good):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class Branches(Good):
    def forward(self, x):
        return super().forward(x * (1 if float(x.sum()) > 0 else 2))
"""
OPTIMIZERS = """
import torch
from torch.optim import Optimizer, SGD


def good(named_parameters, **options):
    return SGD([p for _, p in named_parameters if p.requires_grad], **options)


def frozen(named_parameters, *, lr):
    return SGD([p for _, p in named_parameters], lr=lr)


class Upwards(SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.neg_()
        super().step()


def upwards(named_parameters, *, lr):
    return Upwards([p for _, p in named_parameters if p.requires_grad], lr=lr)


class Counts(SGD):
    count = 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.div_(self.count)
        super().step()


def counts(named_parameters, *, lr):
    return Counts([p for _, p in named_parameters if p.requires_grad], lr=lr)


class Hoards(SGD):
    def step(self, closure=None):
        super().step(closure)
        self.state[self.param_groups[0]["params"][0]]["seen"] = {1, 2}


def hoards(named_parameters, *, lr):
    return Hoards([p for _, p in named_parameters if p.requires_grad], lr=lr)


class Switches(SGD):
    def train(self):
        pass

    def eval(self):
        pass


def switches(named_parameters, *, lr):
    return Switches([p for _, p in named_parameters if p.requires_grad], lr=lr)


class Whole(SGD):
    def step(self, closure=None):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        total = sum(float(g.norm()) for g in gradients) + 1e-6
        for g in gradients:
            g.div_(total)
        super().step()


def whole(named_parameters, *, lr):
    return Whole([p for _, p in named_parameters if p.requires_grad], lr=lr)


def picky(named_parameters, *, lr):
    if lr > 1:
        raise RuntimeError("too much")
    return good(named_parameters, lr=lr)
"""
SCHEDULERS = """
import torch
from torch.optim.lr_scheduler import LRScheduler


class Good(LRScheduler):
    def __init__(self, optimizer, *, total_steps, steps_per_epoch, power=1.0):
        self.total_steps, self.power = total_steps, power
        super().__init__(optimizer)

    def factor(self):
        return max(0.0, 1 - self.last_epoch / self.total_steps) ** self.power

    def get_lr(self):
        return [base * self.factor() for base in self.base_lrs]


class Negative(Good):
    def factor(self):
        return 1 - self.last_epoch / self.total_steps


class Peaks(Good):
    def factor(self):
        return 3 * super().factor()


class Flattens(Good):
    def get_lr(self):
        return [self.factor() for base in self.base_lrs]


class Divides(Good):
    def factor(self):
        return super().factor() / self.power


class Invalid(Good):
    def factor(self):
        return float("nan") if self.last_epoch else 1.0


class Forgets(Good):
    def get_lr(self):
        self.calls = getattr(self, "calls", 0) + 1
        return [base / self.calls for base in self.base_lrs]

    def state_dict(self):
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state):
        self.last_epoch = state["last_epoch"]


class Draws(Good):
    def factor(self):
        import random

        return random.random()


class OnMetric(Good):
    def step(self, metrics=None, epoch=None):
        super().step()
"""
DATASETS = """
import os
from types import SimpleNamespace

import numpy as np


class Good:
    classes, glyphs = ("a", "b"), ("", "")
    flip_keeps_label, synthetic = False, True
    sha256 = {"generated": "0" * 64}
    counts = {"train": 40, "validation": 10, "test": 20}

    def split(self, name):
        generator = np.random.default_rng(sorted(self.counts).index(name))
        images = generator.integers(0, 255, (self.counts[name], 8, 8), dtype=np.uint8)
        return SimpleNamespace(images=images, labels=np.arange(len(images), dtype=np.int64) % 2)


def opened(kind):
    return lambda *, data_dir, progress=None: kind()


class Floats(Good):
    def split(self, name):
        part = super().split(name)
        return SimpleNamespace(images=part.images / 255, labels=part.labels)


class Leaks(Good):
    def split(self, name):
        return super().split("train" if name == "validation" else name)


class Short(Good):
    counts = {"train": 38, "validation": 10, "test": 20}


class Draws(Good):
    def split(self, name):
        part = super().split(name)
        images = np.random.default_rng().integers(0, 255, part.images.shape, dtype=np.uint8)
        return SimpleNamespace(images=images, labels=part.labels)


class Moves(Good):
    def split(self, name):
        os.chdir("/")
        return super().split(name)


class Unsigned(Good):
    sha256 = {}


good, floats, leaks, short, draws, moves, unsigned = map(
    opened, (Good, Floats, Leaks, Short, Draws, Moves, Unsigned)
)
"""
PLAIN = {"needs_closure": False, "train_eval": False, "separable": True}
LR = "(Option('lr', 'float', 0.1, low=1e-8, high=10.0),)"
COUNTS = {"synthetic": True, "train": 40, "validation": 10, "test": 20}
CASES = [
    ("backbone", "no_options", {}, "", "target"),
    ("backbone", "more_classes", {}, "", "forward"),
    ("backbone", "Whole", {}, "", "forward"),
    ("backbone", "gray_only", {}, "", "other-shapes"),
    ("backbone", "Unused", {}, "", "gradient"),
    ("backbone", "Fixed", {}, "", "determinism"),
    ("backbone", "Forgets", {}, "", "state"),
    ("backbone", "Idle", {"data_init": True}, "", "initialize"),
    ("backbone", "Good", {"data_init": True}, "", "initialize"),
    ("backbone", "Good", {"prunable": True}, "", "prunable"),
    ("backbone", "Branches", {}, "", "onnx"),
    ("backbone", "Auxiliary", {}, "", "training-step"),
    ("optimizer", "frozen", PLAIN, LR, "parameters"),
    ("optimizer", "upwards", PLAIN, LR, "convex"),
    ("optimizer", "counts", PLAIN, LR, "resume"),
    ("optimizer", "picky", PLAIN, LR, "options"),
    ("optimizer", "good", {**PLAIN, "needs_closure": True}, LR, "closure"),
    ("optimizer", "good", {**PLAIN, "train_eval": True}, LR, "train-eval"),
    ("optimizer", "switches", PLAIN, LR, "train-eval"),
    ("optimizer", "whole", PLAIN, LR, "separable"),
    ("optimizer", "hoards", PLAIN, LR, "training-step"),
    ("scheduler", "Negative", {}, "", "bounds"),
    ("scheduler", "Peaks", {}, "", "bounds"),
    ("scheduler", "Flattens", {}, "", "proportion"),
    ("scheduler", "Divides", {}, "(Option('power', 'float', 1.0, low=0.0, high=2.0),)", "options"),
    ("scheduler", "Forgets", {}, "", "resume"),
    ("scheduler", "Draws", {}, "", "determinism"),
    ("scheduler", "OnMetric", {"metric": True}, "", "metric"),
    ("scheduler", "Invalid", {}, "", "training-step"),
    ("dataset", "floats", COUNTS, "", "splits"),
    ("dataset", "short", COUNTS, "", "complete"),
    ("dataset", "leaks", COUNTS, "", "disjoint"),
    ("dataset", "draws", COUNTS, "", "repeatable"),
    ("dataset", "unsigned", COUNTS, "", "description"),
    ("dataset", "moves", COUNTS, "", "training-step"),
    ("dataset", "good", {**COUNTS, "synthetic": False}, "", "description"),
]
SOURCES = {
    "backbone": BACKBONES,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "dataset": DATASETS,
}


def verdicts(
    site: Any, kind: str, factory: str, facts: dict[str, Any], options: str = ""
) -> dict[str, Verdict]:
    """Return the verdict of each check for a factory of the sources above."""
    heavy = site.add("zoo-parts", SOURCES[kind], entry="parts")
    site.add(
        "zoo-x",
        f"@hookimpl\ndef oraclezoo_{kind}s():\n"
        f"    return [Spec({kind!r}, 'thing', '{heavy}:{factory}', 'a thing', {options or ()},\n"
        f"        {facts!r})]\n",
    )
    registry = build_registry()
    (entry,) = find(registry, "zoo-x")
    return {verdict.check: verdict for verdict in check(registry, entry)}


@pytest.mark.parametrize(("kind", "factory", "facts", "options", "failing"), CASES)
def test_a_broken_law_fails_its_check(
    site: Any, kind: str, factory: str, facts: dict[str, Any], options: str, failing: str
) -> None:
    """The verdict has a reason; after a failed target check, the others are skipped."""
    statuses = verdicts(site, kind, factory, facts, options)
    assert statuses[failing].outcome == "fail", statuses
    assert statuses[failing].reason
    assert "\n" not in statuses[failing].reason
    if failing == "target":
        assert {v.outcome for v in statuses.values()} == {"fail", "skip"}


@pytest.mark.parametrize(
    ("kind", "factory", "facts", "options"),
    [
        ("backbone", "Good", {"data_init": False, "prunable": False}, ""),
        ("optimizer", "good", PLAIN, LR),
        ("scheduler", "Good", {"metric": False}, ""),
        ("scheduler", "Peaks", {"lr_peak": 3}, ""),
        ("dataset", "good", COUNTS, ""),
    ],
)
def test_what_keeps_the_contract_passes(
    site: Any, kind: str, factory: str, facts: dict[str, Any], options: str
) -> None:
    """No check of a sound component fails."""
    statuses = verdicts(site, kind, factory, facts, options)
    assert [v for v in statuses.values() if v.outcome == "fail"] == []
    assert sum(v.outcome == "pass" for v in statuses.values()) >= 5


def test_every_check_but_few_has_a_component_that_breaks_it() -> None:
    """A check that nothing fails would verify nothing."""
    broken = {(kind, failing) for kind, _, _, _, failing in CASES}
    untried = {(c.kind, c.name) for c in CHECKS if c.kind in SOURCES and c.name != "target"}
    assert untried - broken == {
        ("backbone", "options"),
        ("optimizer", "determinism"),
        ("dataset", "access"),
    }


def test_names_are_distributions_or_components(site: Any) -> None:
    """A distribution, a component, and an ambiguous name."""
    site.offer("zoo-a", "one-net", "shared-net")
    site.offer("zoo-b", "shared-net")
    registry = build_registry()
    assert [e.qualified for e in find(registry, "Zoo_A")] == ["zoo-a:one-net", "zoo-a:shared-net"]
    assert [e.qualified for e in find(registry, "one-net")] == ["zoo-a:one-net"]
    assert [e.qualified for e in find(registry, "timm/resnet50")] == ["oraclezoo:timm/resnet50"]
    with pytest.raises(AmbiguousNameError, match="zoo-b:shared-net"):
        find(registry, "shared-net")
    with pytest.raises(UnknownNameError, match="'one-net'"):
        find(registry, "one-nett")


def test_what_takes_long_can_be_left_out() -> None:
    """Slow checks are ONNX export and data sets of large or unknown size."""
    registry = build_registry()
    (net,) = find(registry, "lenet5")
    assert [c.name for c in checks_of(net) if is_slow(c, net)] == ["onnx"]
    outcomes = {v.check: v for v in check(registry, net, slow=False)}
    assert outcomes["onnx"].reason == "slow check, not run"
    slow = {
        e.spec.name: is_slow(checks_of(e)[0], e) for e in registry.entries("dataset") if e.builtin
    }
    assert slow["glyphs"]
    assert not slow["glyphs-3k"]
