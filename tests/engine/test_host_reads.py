"""An epoch never reads a value back from the device."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.small import trainer
from oraclezoo.zoo.schedulers.specs import SCHEDULERS

READS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "item", "unique")
"""Operations whose result the host waits for."""
FUSED = ("sgd", "adam", "adamw", "muon")
"""Others read their count of steps, which lies on the CPU; test_fake_cuda.py watches them all."""


class Reads(TorchDispatchMode):
    """Count operations that make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        masked = name.startswith("index") and any(
            isinstance(leaf, Tensor) and leaf.dtype is torch.bool for leaf in tree_leaves(args[1:])
        )
        if name in READS or masked:
            self.found["masked index" if masked else name] += 1
        return func(*args, **(kwargs or {}))


def test_the_counter_counts() -> None:
    """Known waits are counted, which validates the test below."""
    with Reads() as reads:
        float(torch.ones(1))
        torch.ones(3)[torch.tensor([True, False, True])]
        if torch.ones(1) > 0:
            pass
    assert reads.found["_local_scalar_dense"] == 2
    assert reads.found["masked index"] == 1


@pytest.mark.parametrize(
    "scheduler", [spec.name for spec in SCHEDULERS if not spec.facts.get("metric")]
)
@pytest.mark.parametrize("optimizer", FUSED)
@pytest.mark.parametrize(
    "more", [{}, {"train.ema": 0.5, "train.clip_norm": 1.0}], ids=["", "ema+clip"]
)
def test_an_epoch_reads_nothing_back(
    tmp_path: Path, optimizer: str, scheduler: str, more: dict[str, object]
) -> None:
    """Optimizers that promise it never wait, with every scheduler, in two epochs."""
    changes = {"optimizer.name": optimizer, "scheduler.name": scheduler, **more}
    run = trainer(tmp_path, changes)
    for _ in range(2):
        with Reads() as reads:
            assert not run.train_epoch(lambda: False)
        assert not reads.found
        run.close_epoch()
    assert run.step == 8
