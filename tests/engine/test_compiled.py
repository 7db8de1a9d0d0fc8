"""torch.compile changes the speed of a training run only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.small import CPU, QUICK, equal, trainer, weights
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.compiled import FROM_STEPS, compile_and_warm_up, wanted
from oraclezoo.errors import InterruptedRunError, UsageError

HOUSE: dict[str, object] = {"backbone.name": "oraclenet", "train.ema": 0.5}


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the compiler by one that captures the graph and runs it unchanged."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    real = torch.compile

    def compile_(model: nn.Module, *, mode: str | None, dynamic: bool) -> Any:
        assert mode is None
        assert dynamic is False
        return real(model, dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", compile_)


def test_the_rule() -> None:
    """auto is off on the CPU and on for long training runs on CUDA."""
    cuda = torch.device("cuda")
    assert not wanted("auto", CPU, 10**9)
    assert wanted("auto", cuda, FROM_STEPS)
    assert not wanted("auto", cuda, FROM_STEPS - 1)
    assert wanted("on", CPU, 1)
    assert not wanted("off", cuda, 10**9)
    with pytest.raises(UsageError, match="auto, on or off"):
        wanted("yes", CPU, 1)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("changes", [QUICK, HOUSE], ids=["lenet5", "oraclenet+ema"])
def test_compiled_is_the_same_training(tmp_path: Path, changes: dict[str, object]) -> None:
    """With an exact compiler, the warm-up does not change the weights."""
    plain = trainer(tmp_path / "plain", changes, compile="off")
    plain.fit()
    fast = trainer(tmp_path / "fast", changes, compile="on")
    fast.fit()
    assert fast.compiled
    assert equal(weights(fast), weights(plain))
    assert 0 < fast.progress.compile_s < fast.progress.train_s
    assert plain.progress.compile_s == 0
    for name in ("last", "best"):
        state = load_state(tmp_path / "fast" / f"{name}.safetensors")["model"]
        assert not [key for key in state if "_orig_mod" in key]


@pytest.mark.usefixtures("quick_compiler")
def test_a_run_goes_on_with_the_other_setting(tmp_path: Path) -> None:
    """A run can be resumed with and without compilation, with the same result."""
    whole = trainer(tmp_path / "whole", HOUSE)
    whole.fit()
    for first, second in (("on", "off"), ("off", "on")):
        folder = tmp_path / first
        calls = iter(range(100))
        with pytest.raises(InterruptedRunError):
            trainer(folder, HOUSE, compile=first).fit(should_stop=lambda a=calls: next(a) == 2)
        again = trainer(folder, HOUSE, compile=second)
        assert again.resume()
        again.fit()
        assert equal(weights(again), weights(whole))
        assert again.progress.compile_s > 0


@pytest.mark.usefixtures("quick_compiler")
def test_warming_up_leaves_the_model_as_it_was() -> None:
    """Buffers, gradients, mode and random state are restored, even after an error."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout()).eval()
    gradient = torch.ones(4, 4)
    model[0].weight.grad = gradient
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    calls: list[bool] = []

    def passes(net: Callable[[Tensor], Tensor]) -> None:
        calls.append(model.training)
        net(torch.randn(8, 4)).sum().backward()
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        if len(calls) == 5:
            raise RuntimeError("no")

    compile_and_warm_up(model, CPU, passes)
    with pytest.raises(RuntimeError, match="no"):
        compile_and_warm_up(model, CPU, passes)
    assert calls == [True] * 5
    assert equal(dict(model.state_dict()), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert model[0].weight.grad is gradient
    assert model[0].bias.grad is None
    assert not model.training


def test_what_cannot_be_compiled_is_trained_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line gives the reason, and the weights equal those of eager training."""
    plain = trainer(tmp_path / "plain")
    plain.fit()

    def refuse(images: Tensor) -> Tensor:
        raise ValueError("a graph\nthat has no end")

    monkeypatch.setattr(torch, "compile", lambda model, **options: refuse)
    messages: list[str] = []
    tried = trainer(tmp_path / "tried", compile="on", warn=messages.append)
    tried.fit()
    assert messages == ["training without torch.compile: ValueError: a graph that has no end"]
    assert not tried.compiled
    assert equal(weights(tried), weights(plain))


@pytest.mark.slow
def test_the_real_compiler_on_the_cpu(tmp_path: Path) -> None:
    """Inductor's C++ agrees with eager torch up to rounding."""
    plain = trainer(tmp_path / "plain", {"optimizer.name": "sgd"})
    plain.fit()
    fast = trainer(tmp_path / "fast", {"optimizer.name": "sgd"}, compile="on")
    fast.fit()
    if not fast.compiled:
        pytest.skip("no C++ compiler here")
    for name, value in weights(fast).items():
        assert torch.allclose(value, weights(plain)[name], atol=1e-5), name
