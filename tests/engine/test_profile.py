"""Profiles: time per phase, without effect on training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.small import CPU, bars, equal, trainer, weights
from oraclezoo.engine.flops import matrix_flops_per_s, pass_flops
from oraclezoo.engine.profile import PHASES, PREFIX, STEPS, Profiler, choose_window
from oraclezoo.engine.records import Parts, TrainerOptions
from oraclezoo.engine.trace import device_ms
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import InterruptedRunError, UsageError


@given(
    per_epoch=st.integers(1, 60),
    epochs=st.integers(1, 60),
    done=st.floats(0, 1, exclude_max=True),
)
def test_a_window_lies_in_the_training(per_epoch: int, epochs: int, done: float) -> None:
    """Timed steps precede traced ones, which are in one epoch; none is in the past."""
    total = per_epoch * epochs
    first = int(done * total)
    if total - first < 2:
        with pytest.raises(UsageError, match="at least 2 steps"):
            choose_window(first, per_epoch, total)
        return
    window = choose_window(first, per_epoch, total)
    timed, traced = window.timed, window.traced
    assert first <= timed.start < timed.stop <= traced.start < traced.stop <= total
    assert len(timed) <= STEPS
    assert len(traced) <= STEPS
    assert traced.start // per_epoch == (traced.stop - 1) // per_epoch


def test_a_long_training_is_watched_after_its_start() -> None:
    """After five warm-up steps, twenty are timed and twenty traced."""
    window = choose_window(0, 106, 106 * 50)
    assert (window.timed, window.traced) == (range(5, 25), range(25, 45))


@pytest.mark.parametrize(
    "changes",
    [
        {"budget.epochs": 4},
        {"budget.epochs": 1, "backbone.name": "oraclenet"},
        {"budget.epochs": 3, "train.ema": 0.5, "optimizer.name": "adamw"},
    ],
    ids=["lenet5", "one-epoch", "ema"],
)
def test_the_weights_are_those_of_a_training_without(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """Weights are bit-identical, and the report adds up."""
    plain = trainer(tmp_path / "plain", changes)
    plain.fit()
    watched = trainer(tmp_path / "watched", changes, profile=tmp_path / "watched")
    watched.fit()
    assert equal(weights(watched), weights(plain))
    assert isinstance(watched.watch, Profiler)
    report = watched.watch.report("fp32")
    assert [row["phase"] for row in report["budget"]] == [*PHASES, "other"]
    assert sum(row["ms"] for row in report["budget"]) == pytest.approx(report["step_ms"])
    assert sum(row["share"] for row in report["budget"]) == pytest.approx(1)
    assert all(row["ms"] > 0 for row in report["budget"][:4])
    assert report["steps_timed"] == len(watched.watch.window.timed)
    assert report["share_of_matrix"] > 0
    assert report["flops_per_s"] == pytest.approx(
        report["flops_per_step"] / (report["step_ms"] / 1e3)
    )
    assert json.loads(json.dumps(report)) == report
    trace = json.loads((tmp_path / "watched" / "trace.json").read_text())
    ranges = [e["name"] for e in trace["traceEvents"] if e.get("cat") == "user_annotation"]
    for phase in PHASES:
        assert ranges.count(PREFIX + phase) >= report["steps_traced"]
    shares = [row["share"] for row in report["operations"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1
    assert not [row for row in report["operations"] if row["name"].startswith(PREFIX)]


class Closing(torch.optim.SGD):
    """Optimizer that evaluates its closure in its step."""

    def step(self, closure: object = None) -> object:  # type: ignore[override]
        """Evaluate once and update once."""
        assert callable(closure)
        with torch.enable_grad():
            loss = closure()
        super().step()
        return loss


def test_a_closure_is_no_part_of_the_optimizers_time(tmp_path: Path) -> None:
    """Passes in a closure count as passes only."""
    first = trainer(tmp_path)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 4))
    optimizer = Closing(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    parts = Parts(model, optimizer, scheduler, needs_closure=True)
    options = TrainerOptions(profile=tmp_path)
    data = bars()
    watched = Trainer(
        first.recipe, parts, data, seed=0, device=CPU, folder=tmp_path, options=options
    )
    watched.fit()
    assert isinstance(watched.watch, Profiler)
    report = watched.watch.report("fp32")
    assert sum(row["ms"] for row in report["budget"]) == pytest.approx(report["step_ms"])
    assert all(row["ms"] > 0 for row in report["budget"])


def test_a_stop_ends_the_trace(tmp_path: Path) -> None:
    """After a stop in a traced epoch, another profile can be recorded."""
    changes: dict[str, object] = {"budget.epochs": 6}
    first = trainer(tmp_path, changes, profile=tmp_path)
    calls = iter(range(100))
    with pytest.raises(InterruptedRunError):
        first.fit(should_stop=lambda: next(calls) == 21)
    assert 21 in first.watch.window.traced  # type: ignore[attr-defined]
    again = trainer(tmp_path, changes, profile=tmp_path)
    assert again.resume()
    with pytest.raises(UsageError, match="at least 2 steps, but only 1 remain"):
        trainer(
            tmp_path, {**changes, "budget.epochs": 1, "budget.batch_size": 64}, profile=tmp_path
        ).fit()


def event(
    cat: str, ts: float, dur: float = 0, name: str = "k", **args: object
) -> dict[str, object]:
    """Return an event of a Chrome trace."""
    return {"cat": cat, "ts": ts, "dur": dur, "name": name, "args": args}


def test_work_on_a_gpu_belongs_to_the_range_that_launched_it() -> None:
    """The innermost range at launch counts, in any thread, however late the kernel runs."""
    trace = {
        "traceEvents": [
            {"ph": "M", "name": "process_name", "args": {"name": "python"}},
            event("user_annotation", 0, 100, "oraclezoo::optimizer"),
            event("user_annotation", 10, 20, "oraclezoo::forward"),
            event("user_annotation", 40, 20, "oraclezoo::backward"),
            event("user_annotation", 300, 20, "somebody's"),
            event("cuda_runtime", 15, 1, "cudaLaunchKernel", correlation=1),
            event("cuda_runtime", 50, 1, "cudaLaunchKernel", correlation=2),
            event("cuda_driver", 90, 1, "cuLaunchKernel", correlation=3),
            event("cuda_runtime", 310, 1, "cudaLaunchKernel", correlation=4),
            event("kernel", 500, 2000, correlation=1),
            event("kernel", 2500, 3000, correlation=2),
            event("kernel", 5500, 500, correlation=2),
            event("gpu_memset", 6000, 1000, correlation=3),
            event("kernel", 7000, 9000, correlation=4),
            event("kernel", 9000, 9000, correlation=99),
        ]
    }
    actual = device_ms(trace, PREFIX, PHASES)
    assert actual == {"augment": 0, "forward": 2.0, "backward": 3.5, "optimizer": 1.0}


def test_arithmetic_is_counted_by_hand() -> None:
    """A linear layer takes 2 N in out FLOPs forward, and as many for each gradient."""
    model = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 10)).eval()
    before = [p.clone() for p in model.parameters()]
    count = pass_flops(model, torch.randn(8, 20))
    assert count == 2 * 8 * (2 * 20 * 30 + 3 * 30 * 10)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert matrix_flops_per_s(CPU, torch.float32, repeats=1) > 0
