"""Measurements of size, hardware, calibration and latency."""

from __future__ import annotations

import math
import re
import time

import pytest
import torch
from torch import nn

from oraclezoo.measure import hardware, latency, size

CPU = torch.device("cpu")


def test_sizes_of_a_known_net() -> None:
    """Parameters and MACs equal a count by hand."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 10))
    assert size.parameters(net) == 4 * 9 + 4 + 2560 + 10
    net.train()
    assert size.macs(net, in_chans=1, image_size=8) == 64 * 4 * 9 + 2560
    assert net.training, "counting leaves the mode as it was"


def test_hardware_is_described_and_named_for_files() -> None:
    """The description has every field but the calibration; the class is safe in file names."""
    actual = hardware.describe(CPU)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", actual["class"])
    assert actual["class"].endswith(f"{actual['cores']}c-{torch.get_num_threads()}t")
    assert actual["threads"] == torch.get_num_threads()
    assert actual["memory_bytes"] >= 0
    assert set(hardware.libraries()) >= {"python", "torch", "timm", "numpy"}


def test_calibration_is_a_positive_time_and_leaves_no_trace() -> None:
    """The global random state is not touched."""
    before = torch.get_rng_state()
    assert 0 < hardware.calibrate(CPU, repeats=1) < math.inf
    assert torch.equal(torch.get_rng_state(), before)


def test_latency_calls_what_it_times_and_orders_percentiles() -> None:
    """Warm-up calls are not counted, and a known delay is measured."""
    calls: list[float] = []

    def wait() -> None:
        calls.append(0)
        time.sleep(0.002)

    row = latency.measure(wait, device=CPU, warmup=3, min_repeats=5, max_repeats=5, budget_s=0)
    assert len(calls) == 8
    assert row.repeats == 5
    assert 2 <= row.p50_ms <= row.p95_ms <= row.p99_ms


def test_eager_rows_state_their_setting() -> None:
    """The default settings are batch 1 on one thread and a large batch on all.

    Threads are restored.
    """
    before = torch.get_num_threads()
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    rows = latency.eager(net, in_chans=1, image_size=8, device=CPU)
    assert [(row.batch_size, row.threads) for row in rows] == [(1, 1), (256, before)]
    assert torch.get_num_threads() == before
    assert not net.training


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_latency_is_bracketed_by_events() -> None:
    """A large product takes longer than a small one, though both are launched at once."""
    device = torch.device("cuda")
    small, large = torch.randn(64, 64, device=device), torch.randn(8192, 8192, device=device)
    quick = latency.measure(lambda: small @ small, device=device)
    slow = latency.measure(lambda: large @ large, device=device)
    assert slow.p50_ms > 5 * quick.p50_ms
