"""Stacked training: each seed ends as if trained alone, and refusals state a reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.small import bars
from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine import stacked
from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.stack import Stack
from oraclezoo.engine.stacked import CannotStackError, StackedTrainer
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import SECTIONS, Augment

CPU = torch.device("cpu")
SHAPE = {"in_chans": 1, "num_classes": 4, "image_size": 16}
SEEDS = (0, 1, 2, 3)
AUGMENT: dict[str, object] = {
    "augment.shift": 2.0,
    "augment.rotate": 10.0,
    "augment.elastic": 1.0,
    "augment.flip": True,
    "augment.cutout": 3,
}
PLUGIN = '''
import torch
from torch import nn

class Doubled(nn.Module):
    """A net without batch norm in float64, fed float32 as the engine does."""

    def __init__(self, in_chans, num_classes, image_size):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(in_chans, 6, 3, padding=1), nn.GELU(), nn.AvgPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(32, 16), nn.GELU(), nn.Linear(16, num_classes),
        ).double()

    def forward(self, x):
        return self.net(x.double())

class Branching(nn.Module):
    """Its path hangs on its data."""

    def __init__(self, in_chans, num_classes, image_size):
        super().__init__()
        self.head = nn.Linear(in_chans * image_size ** 2, num_classes)

    def forward(self, x):
        logits = self.head(x.flatten(1))
        return logits if logits.mean() > 0 else 2 * logits

class Hidden(nn.Module):
    """Keeps a running mean where nothing can find it."""

    def __init__(self, in_chans, num_classes, image_size):
        super().__init__()
        self.head = nn.Linear(in_chans * image_size ** 2, num_classes)
        self.mean = 0.0

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return self.head(x.flatten(1) - self.mean)

class Loose(nn.Module):
    """Has weights of its own that are no parameter and no buffer."""

    def __init__(self, in_chans, num_classes, image_size):
        super().__init__()
        self.head = nn.Linear(in_chans * image_size ** 2, num_classes)
        self.scales = torch.rand(num_classes)

    def forward(self, x):
        return self.head(x.flatten(1)) * self.scales

class Replacing(torch.optim.SGD):
    """Puts new storage under each parameter."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in [p for p in group["params"] if p.grad is not None]:
                p.data = p.data - group["lr"] * p.grad

class Asking(torch.optim.LBFGS):
    """Needs a closure."""

def doubled(*, in_chans, num_classes, image_size):
    return Doubled(in_chans, num_classes, image_size)

def branching(*, in_chans, num_classes, image_size):
    return Branching(in_chans, num_classes, image_size)

def hidden(*, in_chans, num_classes, image_size):
    return Hidden(in_chans, num_classes, image_size)

def loose(*, in_chans, num_classes, image_size):
    return Loose(in_chans, num_classes, image_size)

def replacing(named_parameters):
    return Replacing([p for _, p in named_parameters], lr=0.1)

def asking(named_parameters):
    return Asking([p for _, p in named_parameters], lr=0.1)

def _spec(kind, name, **more):
    return Spec(kind, name, f"{__name__}:{name}", name, **more)

@hookimpl
def oraclezoo_backbones():
    facts = {"data_init": False, "prunable": False}
    names = ("doubled", "branching", "hidden", "loose")
    return [_spec("backbone", name, facts=facts) for name in names]

def plateau(optimizer, *, total_steps, steps_per_epoch):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)

@hookimpl
def oraclezoo_schedulers():
    return [_spec("scheduler", "plateau", facts={"metric": True})]

@hookimpl
def oraclezoo_optimizers():
    facts = {"needs_closure": False, "train_eval": False}
    return [
        _spec("optimizer", "replacing", facts=facts),
        _spec("optimizer", "asking", facts={**facts, "needs_closure": True}),
    ]
'''


@pytest.fixture
def registry(site: Any) -> Registry:
    """Return the registry of built-ins and of the networks above."""
    site.add("test-nets", PLUGIN)
    return build_registry()


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Return 96 images in four classes, 16 of them for validation."""
    return bars(count=96)


def make(
    registry: Registry,
    data: TrainingData,
    folder: Path,
    changes: dict[str, object],
    seeds: tuple[int, ...] = SEEDS,
) -> list[Trainer]:
    """Return a trainer per seed, with five steps per epoch."""
    recipe = Recipe.load("quick", {"budget.epochs": 1, "budget.batch_size": 16, **changes})
    recipe = resolve(recipe, registry)
    trainers = []
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir(parents=True, exist_ok=True)
        parts = build_parts(recipe, registry, data, SHAPE, seed)
        trainers.append(Trainer(recipe, parts, data, seed=seed, device=CPU, folder=place))
    return trainers


def separable(trainers: list[Trainer], registry: Registry) -> bool:
    """Return the optimizer's fact."""
    name = trainers[0].recipe.optimizer.name
    return bool(registry.get("optimizer", name).spec.facts.get("separable"))


def apart(a: Trainer, b: Trainer) -> float:
    """Return the largest difference between two states."""
    one, other = a.kept.state_dict(), b.kept.state_dict()
    assert one.keys() == other.keys()
    return max(float((one[key].double() - other[key].double()).abs().max()) for key in one)


def stop_after(steps: int) -> Callable[[], bool]:
    """Return a function that is True from its n-th call."""
    counter = iter(range(1, 10**9))
    return lambda: next(counter) >= steps


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.name": "sgd", "optimizer.nesterov": False},
        {"optimizer.name": "sgd", "optimizer.nesterov": True, "train.ema": 0.5},
        {"optimizer.name": "adam", "optimizer.weight_decay": 0.01},
        {"optimizer.name": "adamw", "train.clip_norm": 0.5},
        {"optimizer.name": "muon", "scheduler.name": "onecycle"},
    ],
    ids=["momentum", "nesterov-ema", "adam", "adamw-clipped", "muon"],
)
@pytest.mark.parametrize("merged", [True, False], ids=["one step", "a step each"])
def test_five_steps_in_float64_are_those_of_lone_runs(
    registry: Registry,
    data: TrainingData,
    tmp_path: Path,
    changes: dict[str, object],
    merged: bool,
) -> None:
    """Four seeds with separate weights, order and augmentation agree to 1e-10."""
    changes = {"backbone.name": "doubled", "scheduler.name": "linear", **AUGMENT, **changes}
    joint = make(registry, data, tmp_path / "joint", changes)
    lone = make(registry, data, tmp_path / "lone", changes)
    before = copy.deepcopy(joint[0])
    assert separable(joint, registry)
    StackedTrainer(joint, separable=merged).fit()
    for trainer in lone:
        trainer.fit()
    assert all(trainer.step == 5 for trainer in joint)
    assert max(map(apart, joint, lone)) < 1e-10
    assert apart(joint[0], before) > 1e-4
    assert min(apart(joint[0], other) for other in joint[1:]) > 1e-4
    assert [t.progress.validation_accuracy for t in joint] == [
        t.progress.validation_accuracy for t in lone
    ]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batch_norm_keeps_each_models_own_averages(layout: torch.memory_format) -> None:
    """Losses, gradients and running statistics equal nn.BatchNorm2d's."""

    def net(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        result = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 8, 3),
            nn.BatchNorm2d(8, momentum=0.3), nn.Flatten(), nn.Linear(8 * 144, 4),
        )  # fmt: skip
        return result.to(memory_format=layout)

    models, lone = [net(seed) for seed in range(3)], [net(seed) for seed in range(3)]
    images, labels = torch.randn(3, 16, 1, 16, 16), torch.randint(0, 4, (3, 16))
    images[1] = 3 * images[1] + 5
    stack = Stack(models, F.cross_entropy)
    losses = stack.losses(images, labels)
    stack.backward(losses)
    for index, (model, own) in enumerate(zip(models, lone, strict=True)):
        loss = F.cross_entropy(own(images[index]), labels[index])
        loss.backward()
        assert torch.allclose(losses[index], loss, rtol=1e-5)
        for one, other in zip(model.parameters(), own.parameters(), strict=True):
            assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-5)
        for (key, one), other in zip(
            model.state_dict().items(), own.state_dict().values(), strict=True
        ):
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-6), key
        assert int(model.state_dict()["1.num_batches_tracked"]) == 1
    means = stack.buffers["1.running_mean"]
    assert not torch.allclose(means[0], means[1], atol=1e-3)


@pytest.mark.parametrize("backbone", ["oraclenet", "timm/mobilenetv3_small_050"])
def test_one_step_of_a_net_with_batch_norm(
    registry: Registry, data: TrainingData, tmp_path: Path, backbone: str
) -> None:
    """Weights and running statistics agree up to float32 rounding."""
    changes: dict[str, object] = {
        "backbone.name": backbone,
        "optimizer.name": "sgd",
        "optimizer.lr": 0.01,
        "budget.batch_size": 80,
    }
    joint = make(registry, data, tmp_path / "joint", changes, (0, 1))
    lone = make(registry, data, tmp_path / "lone", changes, (0, 1))
    stacked.check(joint)
    StackedTrainer(joint, separable=True).fit()
    for trainer in lone:
        trainer.fit()
    for a, b in zip(joint, lone, strict=True):
        for (key, one), other in zip(
            a.kept.state_dict().items(), b.kept.state_dict().values(), strict=True
        ):
            assert torch.allclose(one, other, rtol=2e-3, atol=2e-4), key


def test_a_batch_of_several_parts_is_changed_as_its_parts_are(data: TrainingData) -> None:
    """Each part of the batch depends on its seed only."""
    recipe = Augment(shift=2, rotate=10, scale=0.1, shear=0.1, elastic=1, flip=True, cutout=4)
    augment = Augmenter(recipe, flip=True, mean=0.3, std=0.3, device=CPU)
    parts = []
    for seed, images in ((5, data.images[:20]), (9, data.images[20:40])):
        augment.reseed(seed)
        parts.append(augment(images))
    augment.reseed(5, 9)
    assert torch.equal(augment(data.images[:40]), torch.cat(parts))
    augment.reseed(9)
    assert torch.equal(augment(data.images[20:40]), parts[1])


@pytest.mark.parametrize("merged", [True, False], ids=["one step", "a step each"])
def test_stopped_and_resumed_it_ends_where_it_would_have(
    registry: Registry, data: TrainingData, tmp_path: Path, merged: bool
) -> None:
    """Checkpoints of a stacked run can be resumed stacked or alone."""
    changes: dict[str, object] = {
        "backbone.name": "doubled",
        "budget.epochs": 3,
        "optimizer.name": "adamw",
        "train.ema": 0.5,
        **AUGMENT,
    }
    whole = make(registry, data, tmp_path / "whole", changes)
    StackedTrainer(whole, separable=merged).fit()
    started = make(registry, data, tmp_path / "begun", changes)
    with pytest.raises(InterruptedRunError, match="epoch 2 of 3; the state of 4 seeds"):
        StackedTrainer(started, separable=merged).fit(should_stop=stop_after(8))
    resumed = make(registry, data, tmp_path / "begun", changes)
    assert all(trainer.resume() for trainer in resumed)
    assert {trainer.step for trainer in resumed} == {8}
    alone = resumed.pop()
    alone.fit()
    StackedTrainer(resumed, separable=merged).fit()
    for one, other in zip([*resumed, alone], whole, strict=True):
        assert apart(one, other) < 1e-10
        assert one.progress.examples == other.progress.examples == 240
        assert one.progress.best == other.progress.best
    state = load_state(tmp_path / "begun" / "0" / "last.safetensors")
    assert len(state["optimizer"]["state"]) == len(list(whole[0].parts.model.parameters()))


def test_a_metric_scheduler_moves_each_seed_by_its_own_loss(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Learning rates follow each seed's validation loss."""
    changes: dict[str, object] = {
        "backbone.name": "doubled",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.8,
        "budget.epochs": 6,
        "scheduler.name": "plateau",
    }
    joint = make(registry, data, tmp_path / "joint", changes)
    lone = make(registry, data, tmp_path / "lone", changes)
    StackedTrainer(joint, separable=True).fit()
    rates = []
    for one, other in zip(joint, lone, strict=True):
        other.fit()
        rates.append(one.parts.optimizer.param_groups[0]["lr"])
        assert rates[-1] == other.parts.optimizer.param_groups[0]["lr"]
        assert apart(one, other) < 1e-10
    assert len(set(rates)) > 1


def test_one_seed_that_diverges_leaves_the_others_alone(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """It is reported and leaves the stack; the others are not affected."""
    changes: dict[str, object] = {
        "backbone.name": "doubled",
        "budget.epochs": 3,
        "optimizer.name": "adam",
    }
    joint = make(registry, data, tmp_path / "joint", changes)
    with torch.no_grad():
        next(joint[1].parts.model.parameters()).fill_(torch.nan)
    lone = make(registry, data, tmp_path / "lone", changes)
    report: list[int] = []
    epochs: list[int] = []
    StackedTrainer(joint, separable=True).fit(
        on_epoch=lambda trainer, epoch: epochs.append(trainer.seed),
        on_diverged=lambda trainer, error: report.append(trainer.seed),
    )
    assert report == [1]
    assert sorted(epochs) == [0, 0, 0, 2, 2, 2, 3, 3, 3]
    for index in (0, 2, 3):
        lone[index].fit()
        assert apart(joint[index], lone[index]) < 1e-10
    again = make(registry, data, tmp_path / "again", changes)
    with torch.no_grad():
        next(again[0].parts.model.parameters()).fill_(torch.nan)
    with pytest.raises(DivergedError, match="diverged"):
        StackedTrainer(again, separable=True).fit()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backbone.name": "branching"}, "cannot be vectorized"),
        ({"backbone.name": "hidden"}, "cannot be vectorized"),
        ({"backbone.name": "loose"}, "different outputs when vectorized"),
        ({"optimizer.name": "asking"}, "closure"),
        ({"train.precision": "fp16"}, "fp16"),
        ({"pretrain.epochs": 1}, "pre-trains"),
        ({"distill.teachers": 1}, "teachers"),
    ],
)
def test_what_cannot_be_together_says_why(
    registry: Registry,
    data: TrainingData,
    tmp_path: Path,
    changes: dict[str, object],
    reason: str,
) -> None:
    """The refusal precedes training and does not change the models."""
    trainers = make(registry, data, tmp_path, changes, (0, 1))
    before = [copy.deepcopy(trainer.parts.model.state_dict()) for trainer in trainers]
    with pytest.raises(CannotStackError, match=reason):
        stacked.check(trainers)
    for trainer, state in zip(trainers, before, strict=True):
        actual = trainer.parts.model.state_dict()
        assert all(torch.equal(actual[key], state[key]) for key in state)


def test_every_section_of_a_recipe_is_carried_or_refused() -> None:
    """A new section must be handled in engine/stacked.py and added here."""
    assert set(SECTIONS) == {
        "data",
        "pretrain",  # refused
        "budget",
        "augment",
        "loss",
        "distill",  # refused
        "train",  # all but fp16
        "evaluate",
        "compress",  # of what was trained
    }


def test_an_optimizer_that_replaces_parameters_is_found_out(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Its updates would not reach the stack."""
    trainers = make(registry, data, tmp_path, {"optimizer.name": "replacing"}, (0, 1))
    stacked.check(trainers)
    with pytest.raises(CannotStackError, match="replaces parameters"):
        StackedTrainer(trainers, separable=False).fit()


def test_dropout_is_drawn_for_each_model_apart() -> None:
    """Equal models differ on equal images, and still pass the check."""
    models = [nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(256, 4)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    images = torch.randn(1, 8, 1, 16, 16).expand(2, -1, -1, -1, -1)
    actual = Stack([copy.deepcopy(model) for model in models], F.cross_entropy).logits(images)
    assert not torch.allclose(actual[0], actual[1])
    assert stacked.refusal(models, images) == ""


def test_fewer_seeds_fit_where_batches_are_larger(
    registry: Registry, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is half of the free memory over that of a seed's pass, at least one."""
    monkeypatch.setattr(stacked, "free_memory_bytes", lambda device: 1 << 30)
    counts = []
    for size in (8, 16, 80):
        (trainer,) = make(registry, data, tmp_path, {"budget.batch_size": size}, (0,))
        before = trainer.parts.model.state_dict()["stages.0.norm.running_mean"].clone()
        counts.append(stacked.fitting(trainer))
        after = trainer.parts.model.state_dict()["stages.0.norm.running_mean"]
        assert torch.equal(before, after)
    assert counts[0] > counts[1] > counts[2] > 1
    monkeypatch.setattr(stacked, "free_memory_bytes", lambda device: 1000)
    assert stacked.fitting(trainer) == 1
