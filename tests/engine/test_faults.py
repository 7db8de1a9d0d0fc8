"""Faults of components are named after them, before an epoch is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.small import trainer
from oraclezoo.engine.checkpoint import save_state, unsavable
from oraclezoo.engine.stacked import StackedTrainer
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DivergedError, PluginError


def change_rate(of: Trainer, rate: float, at: int) -> None:
    """Let the scheduler set a learning rate in its step ``at``."""
    kind, count = type(of.parts.scheduler), 0

    class Changing(kind):  # type: ignore[misc,valid-type]  # the class of an instance
        def step(self, *arguments: Any) -> None:
            nonlocal count
            count += 1
            super().step(*arguments)
            if count == at:
                self.optimizer.param_groups[0]["lr"] = rate

    of.parts.scheduler.__class__ = Changing


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
def test_a_learning_rate_that_is_not_finite_is_the_schedulers_fault(
    tmp_path: Path, rate: float
) -> None:
    """It is named with the step, and the advice is not a lower learning rate."""
    made = trainer(tmp_path / "run")
    change_rate(made, rate, at=3)
    name = made.recipe.scheduler.name
    with pytest.raises(
        PluginError, match=rf"'{name}' sets the learning rate to {rate} after step 3"
    ):
        made.fit()
    assert made.progress.epoch == 0


def test_a_learning_rate_of_a_stack_is_checked_too(tmp_path: Path) -> None:
    """Seeds that are trained together have a scheduler each."""
    made = [trainer(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    change_rate(made[1], float("nan"), at=2)
    with pytest.raises(PluginError, match="sets the learning rate to nan after step 2"):
        StackedTrainer(made, separable=False).fit()


def test_a_scheduler_that_starts_with_nan_is_named(tmp_path: Path) -> None:
    """Before the first step."""
    made = trainer(tmp_path / "run")
    made.parts.optimizer.param_groups[0]["lr"] = float("nan")
    with pytest.raises(PluginError, match="sets the learning rate to nan before training"):
        made.fit()


def test_a_metric_scheduler_is_checked_after_its_step(tmp_path: Path) -> None:
    """It steps on the validation loss."""
    made = trainer(tmp_path / "run", {"scheduler.name": "plateau"})
    assert made.parts.metric_scheduler
    change_rate(made, float("nan"), at=1)
    with pytest.raises(PluginError, match="sets the learning rate to nan after epoch 1"):
        made.fit()


def test_a_loss_that_diverges_at_a_finite_rate_is_not_the_schedulers_fault(tmp_path: Path) -> None:
    """The advice is still a lower learning rate."""
    made = trainer(tmp_path / "run", {"optimizer.name": "sgd", "optimizer.lr": 100.0})
    for parameter in made.parts.model.parameters():
        parameter.data.mul_(1e20)
    with pytest.raises(DivergedError, match="try a lower learning rate"):
        made.fit()


class Pair(nn.Module):
    """Returns a tuple in training only, as models with auxiliary heads do."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Any:
        logits = self.net(images)
        return (logits, logits) if self.training else logits


def test_a_tuple_in_training_is_the_backbones_fault(tmp_path: Path) -> None:
    """The check before training sees evaluation mode only."""
    made = trainer(tmp_path / "run")
    made.net = Pair(made.parts.model)
    name = made.recipe.backbone.name
    with pytest.raises(PluginError, match=f"'{name}' returns a tuple in training, not a tensor"):
        made.fit()


@pytest.mark.parametrize("kind", ["backbone", "optimizer", "scheduler"])
def test_state_that_cannot_be_saved_is_found_before_training(tmp_path: Path, kind: str) -> None:
    """No step is taken, and the component is named with the place in its state."""
    made = trainer(tmp_path / "run")
    part = {"backbone": "model"}.get(kind, kind)
    component: Any = getattr(made.parts, part)
    state = component.state_dict()
    component.state_dict = lambda *_, **__: {**state, "seen": {1, 2}}
    name = getattr(made.recipe, kind).name
    with pytest.raises(
        PluginError, match=rf"{kind} '{name}'.* cannot be saved: state\.seen is a set"
    ):
        made.fit()
    assert made.step == 0


def test_state_that_the_first_step_creates_is_checked_after_it(tmp_path: Path) -> None:
    """Most optimizers have none before."""
    made = trainer(tmp_path / "run")
    optimizer, step = made.parts.optimizer, made.parts.optimizer.step

    def stepping(*arguments: Any) -> Any:
        optimizer.state[optimizer.param_groups[0]["params"][0]]["hook"] = print
        return step(*arguments)

    optimizer.step = stepping  # type: ignore[method-assign]  # a scheduler wraps it likewise
    with pytest.raises(PluginError, match=r"optimizer '.*\.hook is a builtin_function"):
        made.fit()
    assert made.step == 1


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"a": [1, (2.0, None, "x", torch.zeros(1))]}, ""),
        ({"a": [1, {2}]}, "state.a.1 is a set"),
        ({(1, 2): 3}, "state has the key (1, 2)"),
        (object(), "state is a object"),
        ({"a": {"b": ({"c": b"x"},)}}, "state.a.b.0.c is a bytes"),
    ],
)
def test_the_check_agrees_with_saving(tmp_path: Path, state: Any, says: str) -> None:
    """What it accepts is saved, and what it refuses is not."""
    assert unsavable(state, "state") == says
    if says:
        with pytest.raises(PluginError):
            save_state(tmp_path / "x", state)
    else:
        save_state(tmp_path / "x", state)
