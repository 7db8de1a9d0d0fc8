"""The same recipe and seed give bit-identical weights."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
import torch

from helpers.small import equal, trainer, weights
from oraclezoo.engine.deterministic import WORKSPACE, deterministic
from oraclezoo.errors import UsageError

QUICK_ONES = ["oraclenet", "lenet5", "mlp_mixer", "resnet10t", "mobilenetv3_small_100", "vit_micro"]
"""One or two of each family: four trainings of each take their time."""


def flags() -> tuple[object, ...]:
    """Return all settings that the context changes."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        matmul.allow_tf32,
        os.environ.get(WORKSPACE),
    )


@pytest.mark.parametrize("name", QUICK_ONES)
def test_twice_is_the_same(tmp_path: Path, name: str) -> None:
    """This holds with and without the flag on the CPU, where the flag has no effect."""
    changes: dict[str, object] = {"backbone.name": name, "budget.epochs": 1}
    ends = []
    for number, flag in enumerate((False, False, True, True)):
        with deterministic(flag):
            run = trainer(tmp_path / str(number), changes, size=32, count=48)
            run.fit()
        ends.append(weights(run))
    assert equal(ends[0], ends[1])
    assert equal(ends[2], ends[3])
    assert equal(ends[0], ends[2])


def test_everything_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are restored, even after an error."""
    monkeypatch.delenv(WORKSPACE, raising=False)
    before = flags()
    with contextlib.suppress(KeyError), deterministic():
        assert flags() == (True, False, True, False, False, False, ":4096:8")
        raise KeyError
    assert flags() == before
    with deterministic(False):
        assert flags() == before
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with deterministic():
        assert os.environ[WORKSPACE] == ":16:8"
    assert os.environ[WORKSPACE] == ":16:8"


def test_an_operation_that_cannot_is_named() -> None:
    """One line names the operation and a remedy; other errors propagate."""
    with (
        pytest.raises(UsageError, match=r"put_ has no deterministic implementation") as caught,
        deterministic(),
    ):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]), accumulate=False)
    assert "without the flag" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="size") as other, deterministic():
        torch.zeros(2) @ torch.zeros(3)
    assert type(other.value) is RuntimeError


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_twice_is_the_same_on_a_gpu(tmp_path: Path) -> None:
    """OracleNet with the flag is bit-reproducible on CUDA."""
    ends = []
    for number in range(2):
        with deterministic():
            run = trainer(
                tmp_path / str(number),
                {"backbone.name": "oraclenet"},
                device=torch.device("cuda"),
            )
            run.fit()
        ends.append(weights(run))
    assert equal(*ends)
