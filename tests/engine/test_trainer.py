"""The trainer: exact resume, stopping, and support for optimizers."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from helpers.small import CPU, bars
from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.records import Epoch, Parts, TrainingData
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, InterruptedRunError, UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

SHAPE = {"in_chans": 1, "num_classes": 4, "image_size": 16}
SMALL: dict[str, object] = {"budget.epochs": 3, "budget.batch_size": 16, "augment.cutout": 3}


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Return 80 images in four classes, 16 of them for validation."""
    return bars(count=80)


def make(
    registry: Registry,
    data: TrainingData,
    folder: Path,
    changes: dict[str, object] | None = None,
    seed: int = 0,
) -> Trainer:
    """Return a trainer of a small recipe."""
    folder.mkdir(exist_ok=True)
    recipe = resolve(Recipe.load("quick", {**SMALL, **(changes or {})}), registry)
    parts = build_parts(recipe, registry, data, SHAPE, seed)
    return Trainer(recipe, parts, data, seed=seed, device=CPU, folder=folder)


def stop_after(steps: int) -> Callable[[], bool]:
    """Return a function that is True from its n-th call."""
    counter = iter(range(1, 10**9))
    return lambda: next(counter) >= steps


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return the state that becomes the model."""
    return {key: value.clone() for key, value in trainer.kept.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Return whether states are bit-identical."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


VARIANTS: list[dict[str, object]] = [
    {},
    {"optimizer.name": "sgd", "scheduler.name": "cosine"},
    {"optimizer.name": "adam", "scheduler.name": "onecycle-restarts"},
    {"optimizer.name": "adamw", "scheduler.name": "onecycle", "train.ema": 0.9},
    {"scheduler.name": "wsd", "train.clip_norm": 0.5, "train.precision": "bf16"},
    {"backbone.name": "lenet5", "scheduler.name": "constant", "train.channels_last": False},
    {"optimizer.name": "sgd", "scheduler.name": "linear", "train.precision": "fp16"},
]


@pytest.mark.parametrize("steps", [1, 4, 5, 11])
@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "+".join(map(str, c.values())) or "-")
def test_resume_is_bit_equal_to_an_uninterrupted_run(
    registry: Registry, data: TrainingData, tmp_path: Path, changes: dict[str, object], steps: int
) -> None:
    """This holds for stops after any step, also twice."""
    whole = make(registry, data, tmp_path / "whole", changes)
    history: list[Epoch] = []
    whole.fit(on_epoch=history.append)
    part = make(registry, data, tmp_path / "part", changes)
    with pytest.raises(InterruptedRunError, match="--resume"):
        part.fit(should_stop=stop_after(steps))
    again = make(registry, data, tmp_path / "part", changes)
    assert again.resume()
    assert again.step == steps
    resumed: list[Epoch] = []
    again.fit(on_epoch=resumed.append)
    assert equal(weights(again), weights(whole))
    for one, other in zip(history[-len(resumed) :], resumed, strict=True):
        assert (one.train_loss, one.validation_loss, one.lr) == (
            other.train_loss,
            other.validation_loss,
            other.lr,
        )
    best = load_state(tmp_path / "part" / "best.safetensors")["model"]
    assert equal(best, load_state(tmp_path / "whole" / "best.safetensors")["model"])


def test_random_layers_resume_exactly(
    data: TrainingData, registry: Registry, tmp_path: Path
) -> None:
    """Torch's random state is saved for dropout, and the caller's is restored."""

    def build(folder: Path) -> Trainer:
        trainer = make(registry, data, folder)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.Dropout(), nn.Linear(32, 4))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        parts = Parts(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer))
        return Trainer(trainer.recipe, parts, data, seed=0, device=CPU, folder=folder)

    torch.manual_seed(123)
    before = torch.get_rng_state()
    whole = build(tmp_path / "whole")
    whole.fit()
    assert torch.equal(torch.get_rng_state(), before)
    part = build(tmp_path / "part")
    with pytest.raises(InterruptedRunError):
        part.fit(should_stop=stop_after(6))
    torch.rand(100)
    again = build(tmp_path / "part")
    again.resume()
    again.fit()
    assert equal(weights(again), weights(whole))


def test_checkpoint_of_another_recipe_or_seed_is_refused(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Resuming never mixes two runs."""
    trainer = make(registry, data, tmp_path)
    assert not trainer.resume()
    with pytest.raises(InterruptedRunError):
        trainer.fit(should_stop=stop_after(1))
    for other in (
        make(registry, data, tmp_path, {"optimizer.lr": 0.3}),
        make(registry, data, tmp_path, seed=1),
    ):
        with pytest.raises(UsageError, match="a different recipe or seed"):
            other.resume()


def test_it_learns(registry: Registry, data: TrainingData, tmp_path: Path) -> None:
    """Four simple classes are learned in a few epochs, on held-out images."""
    trainer = make(registry, data, tmp_path, {"budget.epochs": 8})
    history: list[Epoch] = []
    trainer.fit(on_epoch=history.append)
    assert history[-1].validation_accuracy == 1.0
    assert history[-1].train_loss < history[0].train_loss
    assert [epoch.epoch for epoch in history] == list(range(1, 9))
    assert all(a.train_s < b.train_s for a, b in itertools.pairwise(history))


class Recorder(nn.Module):
    """Linear classifier that records every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 4)
        self.seen: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits of flattened images."""
        if self.training:
            self.seen.append(images.detach().clone())
        logits: torch.Tensor = self.linear(images.flatten(1))
        return logits


def test_recipes_at_one_seed_see_the_same_batches(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """With another optimizer, order and augmentation are the same."""

    def batches(name: str, seed: int) -> list[torch.Tensor]:
        recipe = make(registry, data, tmp_path, {"optimizer.name": name}).recipe
        model = Recorder()
        optimizer = registry.create("optimizer", name, list(model.named_parameters()))
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
        parts = Parts(model, optimizer, scheduler)
        Trainer(recipe, parts, data, seed=seed, device=CPU, folder=tmp_path).fit()
        return model.seen

    one, other, third = batches("sgd", 3), batches("adamw", 3), batches("sgd", 4)
    assert len(one) == 12
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], third[0])
    assert not torch.equal(one[0], one[4])


def test_every_image_is_seen_once_an_epoch(registry: Registry, tmp_path: Path) -> None:
    """Each epoch is a new permutation of the training images."""
    images = torch.arange(64, dtype=torch.uint8).view(64, 1, 1).expand(64, 16, 16).contiguous()
    data = TrainingData(images, torch.arange(64) % 4, images, torch.arange(64) % 4, 0.0, 1.0, False)
    recipe = make(registry, data, tmp_path, {"augment.cutout": 0, "augment.elastic": 0}).recipe
    plain = dataclasses.replace(
        recipe, augment=dataclasses.replace(recipe.augment, shift=0, rotate=0, scale=0, shear=0)
    )
    model = Recorder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    parts = Parts(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer))
    Trainer(plain, parts, data, seed=0, device=CPU, folder=tmp_path).fit()
    order = [int(v) for batch in model.seen for v in (batch[:, 0, 0, 0] * 255).round()]
    epochs = [order[i : i + 64] for i in range(0, 192, 64)]
    assert all(sorted(epoch) == list(range(64)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_divergence_stops_the_training(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """A loss that is not finite raises an error with advice."""
    changes: dict[str, object] = {
        "backbone.name": "lenet5",
        "optimizer.name": "sgd",
        "optimizer.lr": 100.0,
        "optimizer.weight_decay": 1.0,
        "budget.epochs": 10,
    }
    with pytest.raises(DivergedError, match=r"optimizer\.lr"):
        make(registry, data, tmp_path, changes).fit()


def test_a_batch_too_large_is_refused_with_a_size_that_fits(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """The batch is not reduced silently."""
    with pytest.raises(UsageError, match="batch_size=64 or less"):
        make(registry, data, tmp_path, {"budget.batch_size": 65})


def test_clipping_bounds_the_step(registry: Registry, data: TrainingData, tmp_path: Path) -> None:
    """With plain SGD at rate 1, a step is at most clip_norm long."""
    recipe = make(registry, data, tmp_path, {"train.clip_norm": 0.01, "budget.epochs": 1}).recipe
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    start = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    parts = Parts(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0))
    trainer = Trainer(recipe, parts, data, seed=0, device=CPU, folder=tmp_path)
    with pytest.raises(InterruptedRunError):
        trainer.fit(should_stop=stop_after(1))
    step = nn.utils.parameters_to_vector(model.parameters()) - start
    assert float(step.detach().norm()) == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_the_formula(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """The EMA starts at the first step's weights."""
    trainer = make(registry, data, tmp_path, {"train.ema": 0.8})
    seen: list[torch.Tensor] = []
    head = trainer.parts.model.get_parameter("head.weight")

    def note() -> bool:
        seen.append(head.detach().clone())
        return False

    trainer.fit(should_stop=note)
    average = seen[0]
    for value in seen[1:]:
        average = 0.8 * average + 0.2 * value
    assert torch.allclose(trainer.kept.get_parameter("head.weight"), average, atol=1e-6)
    assert trainer.kept is not trainer.parts.model


class Closing(torch.optim.SGD):
    """Optimizer that evaluates its closure twice per step, as sharpness-aware methods do."""

    modes: list[str]

    def step(self, closure: Any = None) -> Any:
        """Evaluate twice and update once."""
        with torch.enable_grad():
            closure()
            loss = closure()
        super().step()
        return loss

    def train(self) -> None:
        """Record the switch to training."""
        self.modes.append("train")

    def eval(self) -> None:
        """Record the switch to evaluation."""
        self.modes.append("eval")


def test_closures_and_train_eval_switches_are_served(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Optimizers that declare these facts get closures and mode switches."""
    recipe = make(registry, data, tmp_path).recipe
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    optimizer = Closing(model.parameters(), lr=0.1)
    optimizer.modes = []
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    parts = Parts(model, optimizer, scheduler, needs_closure=True, train_eval=True)
    history: list[Epoch] = []
    Trainer(recipe, parts, data, seed=0, device=CPU, folder=tmp_path).fit(on_epoch=history.append)
    assert optimizer.modes == ["train", "eval"] * 3
    assert all(math.isfinite(epoch.train_loss) for epoch in history)
    half = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, precision="fp16"))
    with pytest.raises(UsageError, match="closure"):
        Trainer(half, parts, data, seed=0, device=CPU, folder=tmp_path)


def test_metric_schedulers_step_on_the_validation_loss(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """They step once per epoch, never after a batch."""
    recipe = make(registry, data, tmp_path, {"train.evaluate_every": 3}).recipe
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    values: list[float] = []

    class Plateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics: Any, epoch: Any = None) -> None:
            values.append(float(metrics))
            super().step(metrics)

    parts = Parts(model, optimizer, Plateau(optimizer), metric_scheduler=True)
    history: list[Epoch] = []
    Trainer(recipe, parts, data, seed=0, device=CPU, folder=tmp_path).fit(on_epoch=history.append)
    assert values == [epoch.validation_loss for epoch in history]


def test_validation_is_as_often_as_asked(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """Every second epoch and the last one are validated."""
    trainer = make(registry, data, tmp_path, {"train.evaluate_every": 2})
    history: list[Epoch] = []
    trainer.fit(on_epoch=history.append)
    assert [epoch.validation_accuracy is None for epoch in history] == [True, False, False]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_same_path_trains_on_a_gpu(
    registry: Registry, data: TrainingData, tmp_path: Path, precision: str
) -> None:
    """The classes are learned on CUDA too."""
    cuda = torch.device("cuda")
    moved = {k: v.to(cuda) if isinstance(v, torch.Tensor) else v for k, v in vars(data).items()}
    elsewhere = TrainingData(**moved)
    changes: dict[str, object] = {**SMALL, "budget.epochs": 12, "train.precision": precision}
    recipe = resolve(Recipe.load("quick", changes), registry)
    parts = build_parts(recipe, registry, elsewhere, SHAPE, 0)
    trainer = Trainer(recipe, parts, elsewhere, seed=0, device=cuda, folder=tmp_path)
    history: list[Epoch] = []
    trainer.fit(on_epoch=history.append)
    assert history[-1].validation_accuracy == 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"augment.cutout": 13}, "augment.cutout is 13; it must be at most 12 for images of 16 x"),
        ({"augment.shift": 8.5}, "augment.shift is 8.5; it must be at most 8 for images"),
        ({"augment.elastic": 5.0}, "augment.elastic is 5; it must be at most 4 for"),
        ({"augment.elastic": 1.0, "augment.elastic_grid": 17}, "elastic_grid is 17; .* most 16"),
        ({"train.ema": 0.999}, "train.ema is 0.999: after 12 steps, 99% .* at most 0.938"),
        ({"train.clip_norm": 1e-9}, r"train.clip_norm is 1e-09; it must be 0 \(no clipping\) or"),
        ({"train.ema": 1.0}, "train.ema is 1.0; it must be in"),
    ],
)
def test_values_that_prevent_learning_are_refused(
    changes: dict[str, object],
    reason: str,
    registry: Registry,
    data: TrainingData,
    tmp_path: Path,
) -> None:
    """Bounds that depend on the images or the number of steps are checked with the data."""
    with pytest.raises(UsageError, match=reason) as caught:
        make(registry, data, tmp_path, changes)
    assert "\n" not in str(caught.value)


def test_values_at_their_bounds_are_accepted(
    registry: Registry, data: TrainingData, tmp_path: Path
) -> None:
    """The largest values for 16 x 16 pixels and 12 steps."""
    limits = {"shift": 8.0, "cutout": 12, "elastic": 4.0, "elastic_grid": 16}
    changes = {f"augment.{key}": value for key, value in limits.items()}
    make(registry, data, tmp_path, {**changes, "train.ema": 0.938})
