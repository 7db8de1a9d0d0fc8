"""Measure optimizer steps, torch.compile, test-time shifts, and the phases of a training step.

- optimizers: a step of PyTorch's three implementations (a loop over parameters, ``foreach``,
  ``fused``) on random gradients.
- compile: an eager and a compiled training step, and the compilation time.
- shifts: classification of a batch with and without averaging over shifts.
- profile: ``oraclezoo train quick --profile`` on generated characters.

Measurements that are compared are interleaved.

    python benchmarks/studies/engine.py [--rounds 15] [--device auto] [--json] [--out FILE]

Output: benchmarks/measurements/engine.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import oraclezoo as oz
from oraclezoo.engine.compiled import compile_and_warm_up
from oraclezoo.engine.device import pick, synchronize
from oraclezoo.engine.evaluate import with_views
from oraclezoo.measure import hardware
from oraclezoo.result import timestamp

SCHEMA = "oraclezoo/engine/1"
SHAPE = {"in_chans": 1, "num_classes": 10, "image_size": 28}
NETS = ("lenet5", "oraclenet", "mobilenetv3_small_100")
COMPILED = NETS[:2]  # the third takes minutes to compile
BATCH = 256
WAYS: dict[str, dict[str, bool]] = {
    "loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
}


def in_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, dict[str, float]]:
    """Return median and range in ms of each workload over ``rounds``; every round runs all."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 2):
        for name, work in works.items():
            synchronize(device)
            start = time.perf_counter()
            work()
            synchronize(device)
            if number >= 2:  # the first two are warm-up
                times[name].append(1e3 * (time.perf_counter() - start))
    return {
        name: {"ms": median(each), "ms_min": min(each), "ms_max": max(each)}
        for name, each in times.items()
    }


def net(name: str, device: torch.device) -> nn.Module:
    """Build a backbone in channels-last format."""
    torch.manual_seed(0)
    model: nn.Module = oz.registry().create("backbone", name, **SHAPE)
    return model.to(device).to(memory_format=torch.channels_last)


class _Way:
    """Build an optimizer with one implementation over copies of some weights."""

    def __init__(self, build: Any, options: dict[str, Any], weights: list[nn.Parameter]) -> None:
        self.copies = [nn.Parameter(weight.detach().clone()) for weight in weights]
        self.optimizer: torch.optim.Optimizer = build(self.copies, **options)

    def gradients(self, seed: int) -> None:
        """Assign every copy a gradient, determined by the seed."""
        torch.manual_seed(seed)
        for copy in self.copies:
            copy.grad = torch.randn_like(copy) * 0.01


def optimizers(rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Return rows by network, optimizer and implementation, with the deviation from the loop."""
    rows = []
    for name in NETS:
        weights = [p for p in net(name, device).parameters() if p.requires_grad]
        for optimizer, (build, options) in OPTIMIZERS.items():
            ways = {way: _Way(build, {**options, **how}, weights) for way, how in WAYS.items()}
            for number in range(5):  # foreach and fused may change gradients in place
                for way in ways.values():
                    way.gradients(number)
                    way.optimizer.step()
            ends = {
                way: torch.cat([p.detach().flatten() for p in each.copies])
                for way, each in ways.items()
            }
            timings = in_turns(
                {way: each.optimizer.step for way, each in ways.items()}, rounds, device
            )
            for way, times in timings.items():
                difference = float((ends[way] - ends["loop"]).abs().max())
                row = {"net": name, "tensors": len(weights), "optimizer": optimizer, "way": way}
                rows.append({**row, **times, "apart_after_5_steps": difference})
    return rows


def compiling(rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Return a row per network: eager and compiled step times, and the compilation time."""
    rows = []
    for name in COMPILED:
        model = net(name, device).train()
        images = torch.randn(BATCH, 1, 28, 28, device=device)
        labels = torch.zeros(BATCH, dtype=torch.int64, device=device)

        def passes(
            run: Callable[[Tensor], Tensor], images: Tensor = images, labels: Tensor = labels
        ) -> None:
            F.cross_entropy(run(images), labels).backward()

        start = time.perf_counter()
        compiled = compile_and_warm_up(model, device, passes)
        synchronize(device)
        compile_s = time.perf_counter() - start

        def step(run: Callable[[Tensor], Tensor], model: nn.Module = model) -> None:
            model.zero_grad(set_to_none=True)
            passes(run)

        works = {"eager": lambda: step(model), "compiled": lambda: step(compiled)}  # noqa: B023
        times = in_turns(works, rounds, device)
        saved_ms = times["eager"]["ms"] - times["compiled"]["ms"]
        pays = compile_s / (saved_ms / 1e3) if saved_ms > 0 else None
        rows.append({"net": name, "compile_s": compile_s, **times, "pays_from_steps": pays})
    return rows


def shifts(rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Return rows by network and batch size: times with and without averaging over shifts.

    The averaged time is measured for all views in one pass and for one view after another.
    """
    rows = []
    for name in NETS:
        model = net(name, device).eval()
        one_pass, in_order = (with_views(model, 1, mean=0.2, std=0.3) for _ in range(2))
        one_pass.JOINT_BATCH, in_order.JOINT_BATCH = 1 << 30, 0  # type: ignore[assignment]
        for batch_size in (1, BATCH):
            images = torch.randn(batch_size, 1, 28, 28, device=device)
            nets = {"plain": model, "one_pass": one_pass, "in_order": in_order}
            works = {way: partial(each, images) for way, each in nets.items()}
            with torch.inference_mode():
                times = in_turns(works, rounds, device)
            rows.append({"net": name, "batch_size": batch_size, **times})
    return rows


def profiled(device: torch.device) -> dict[str, Any]:
    """Profile the recipe ``quick``."""
    with tempfile.TemporaryDirectory() as folder:
        oz.train("quick", out=folder, profile=folder, device=str(device))
        report: dict[str, Any] = json.loads((Path(folder) / "profile.json").read_text("utf-8"))
    return report


def main() -> None:
    """Run the measurements and report them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    caches = tempfile.TemporaryDirectory()  # disable the compilation cache
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = caches.name
    device = pick(arguments.device)
    data = {
        "created": timestamp(),
        "rounds": arguments.rounds,
        "batch_size": BATCH,
        "hardware": hardware.describe(device),
        "libraries": hardware.libraries(),
        "optimizers": optimizers(arguments.rounds, device),
        "compile": compiling(arguments.rounds, device),
        "shifts": shifts(arguments.rounds, device),
        "profile": profiled(device),
    }
    document = json.dumps({"schema": SCHEMA, "data": data}, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(document, encoding="utf-8")
    if arguments.json:
        print(document, end="")
        return
    for row in data["optimizers"]:
        print(f"{row['net']:24} {row['optimizer']:6} {row['way']:8} {row['ms']:8.2f} ms")
    for row in data["compile"]:
        eager, fast = row["eager"]["ms"], row["compiled"]["ms"]
        print(
            f"{row['net']:24} {eager:8.1f} -> {fast:8.1f} ms, compiled in {row['compile_s']:.0f} s"
        )
    for row in data["shifts"]:
        ms = ", ".join(f"{way} {row[way]['ms']:.2f}" for way in ("plain", "one_pass", "in_order"))
        print(f"{row['net']:24} batch {row['batch_size']:3}: {ms} ms")


if __name__ == "__main__":
    main()
