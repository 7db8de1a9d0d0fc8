"""One contender of throughput.py or scaling.py: a process that trains in turns.

Run ``python _contenders.py SETTING`` with a JSON object. Each line of JSON on stdin requests a
turn, and each line on stdout returns its figures. The training code is what users would write; the
only addition is a call of ``Clock.tick`` after each step, which blocks until the next turn.

setting: ``way`` (engine, dataloader, lightning, peak), ``model``, ``batch_size``,
``precision`` (fp32, bf16), ``workers`` of the DataLoader; for the engine ``channels_last``,
``augmented``, ``compile`` (on, off) and optionally ``stream_above`` in bytes and the backbone's
``options``; ``data`` (a folder of IDX files), ``device``, ``threads``.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import oraclezoo as oz
from oraclezoo.data.image_files import read_images, read_labels
from oraclezoo.engine.device import peak_memory_bytes, synchronize
from oraclezoo.recipe.sections import Augment, keys

Setting = dict[str, Any]
FOREVER = 1_000_000
"""Number of epochs; a contender ends when stdin closes."""
SHAPE = {"in_chans": 1, "num_classes": 10, "image_size": 28}
MEAN, STD = 0.5, 0.29
"""Approximate statistics of the noise, hard-coded as users of the other contenders would."""
BACKBONES = {"mobilenetv3_small_100": "timm/mobilenetv3_small_100"}
"""Registry names of models; others use their own name."""


class Clock:
    """Blocks the training loop until a turn is requested, and times the turn."""

    def __init__(self, device: torch.device, count: float, **facts: Any) -> None:
        self.device, self.count = device, count
        self.born = time.perf_counter()
        self.steps, self.least, self.end = 0, 0, 0.0
        self.begun: float | None = None
        self.profiler: torch.profiler.profile | None = None
        self.facts = facts
        self.replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # output of libraries is not a reply

    def tick(self) -> None:
        """Count a step. Raises SystemExit when stdin closes."""
        self.steps += 1
        if self.steps >= self.least and time.perf_counter() >= self.end:
            self._reply()
            self._wait()

    def _reply(self) -> None:
        synchronize(self.device)
        now = time.perf_counter()
        if self.begun is None:
            message = {"first_step_s": round(now - self.born, 3), **self.facts}
        else:
            seconds = now - self.begun
            message = {
                "steps": self.steps,
                "seconds": seconds,
                "per_s": self.count * self.steps / seconds,
                "peak_memory_bytes": peak_memory_bytes(self.device),
            }
        if self.profiler is not None:
            self.profiler.stop()
            message["operations"] = operations(self.profiler, self.device)
            self.profiler = None
        self.replies.write(json.dumps(message) + "\n")
        self.replies.flush()

    def _wait(self) -> None:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        request = json.loads(line)
        if request["profile"]:
            kinds = [torch.profiler.ProfilerActivity.CPU]
            if self.device.type == "cuda":
                kinds.append(torch.profiler.ProfilerActivity.CUDA)
            self.profiler = torch.profiler.profile(activities=kinds, record_shapes=True)
            self.profiler.start()
        self.steps, self.least = 0, request["steps"]
        self.begun = time.perf_counter()
        self.end = self.begun + request["seconds"]


def operations(profiler: torch.profiler.profile, device: torch.device) -> list[list[Any]]:
    """Return self time in s by operation (on CUDA, by kernel), longest first."""
    counts: dict[str, float] = {}
    for event in profiler.key_averages(group_by_input_shape=True):
        if device.type != "cuda":
            name, elapsed = _name(event), event.self_cpu_time_total
        elif event.device_type == torch.autograd.DeviceType.CPU or event.is_user_annotation:
            continue
        else:
            name, elapsed = event.key, event.self_device_time_total
        counts[name] = counts.get(name, 0.0) + elapsed / 1e6
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return [[name, round(seconds, 6)] for name, seconds in ordered if seconds > 0]


def _name(event: Any) -> str:
    """Return an operation's name, with depthwise convolutions marked."""
    if "convolution" in event.key:
        images, weight = (
            event.input_shapes[1:3] if "backward" in event.key else event.input_shapes[:2]
        )
        if len(images) == len(weight) == 4 and images[1] > weight[1] == 1:
            return f"{event.key} (depthwise)"
    return str(event.key)


def backbone(setting: Setting) -> nn.Module:
    """Build the model on the CPU."""
    name = BACKBONES.get(setting["model"], setting["model"])
    options = setting.get("options", {})
    model: nn.Module = oz.registry().create("backbone", name, **SHAPE, **options)
    return model


def flops_per_image(model: nn.Module) -> float:
    """Return floating-point operations per image of a training step, by FlopCounterMode.

    Counts convolutions and matrix products of the forward and backward pass, two per multiply-add.
    Excludes gradients of frozen parameters, the optimizer, augmentation and pointwise operations.
    """
    from torch.utils.flop_counter import FlopCounterMode

    images = torch.zeros(8, 1, 28, 28)
    formulas = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        model.train()(images).sum().backward()
    return float(counter.get_total_flops()) / len(images)


def _convolution_backward_flops(
    gradient: Sequence[int], images: Sequence[int], weight: Sequence[int], *rest: Any, **_: Any
) -> int:
    """Count the forward FLOPs once per required gradient; PyTorch's count ignores groups."""
    wants_input, wants_weight = rest[-1][:2]
    forward = 2 * math.prod(gradient) * math.prod(weight[1:])
    return forward * (int(wants_input) + int(wants_weight))


def engine(setting: Setting, device: torch.device) -> None:
    """Run ``oraclezoo.train`` without end."""
    model = backbone(setting)
    facts = {
        "flops_per_image": flops_per_image(model),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    del model
    clock = Clock(device, setting["batch_size"], **facts)

    def should_stop() -> bool:
        clock.tick()
        return False

    with tempfile.TemporaryDirectory() as out:
        oz.train(
            recipe(setting),
            data_dir=setting["data"],
            device=str(device),
            out=out,
            compile=setting["compile"],
            stream_above=setting.get("stream_above"),
            should_stop=should_stop,
        )


def recipe(setting: Setting) -> oz.Recipe:
    """Return the engine's recipe: the setting's model with the optimizer of all contenders."""
    default = oz.Recipe.load("default")
    augment = (
        default.to_dict()["augment"]
        if setting["augmented"]
        else {name: key.default for name, key in keys(Augment).items()}
    )
    name = BACKBONES.get(setting["model"], setting["model"])
    adam = setting["model"] in BACKBONES
    changes: dict[str, object] = {
        "backbone.name": name,
        **{f"backbone.{key}": value for key, value in setting.get("options", {}).items()},
        "optimizer.name": "adam" if adam else "sgd",
        "optimizer.lr": 1e-3 if adam else 0.01,
        "scheduler.name": "constant",
        "data.track": "idx",
        "budget.epochs": FOREVER,
        "budget.batch_size": setting["batch_size"],
        "train.evaluate_every": FOREVER,
        "train.precision": setting["precision"],
        "train.channels_last": setting["channels_last"],
        "train.ema": 0.0,
        "train.clip_norm": 0.0,
        **{f"augment.{key}": value for key, value in augment.items()},
    }
    return default.override(changes)


class Characters(Dataset[tuple[Tensor, int]]):
    """Standardized images and labels, one at a time, as users write a Dataset."""

    def __init__(self, folder: Path) -> None:
        self.images = read_images(folder / "train-images-idx3-ubyte")
        self.labels = read_labels(folder / "train-labels-idx1-ubyte", 10)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.images[index].astype(np.float32) / 255)
        return (image.unsqueeze(0) - MEAN) / STD, int(self.labels[index])


def loader(setting: Setting, device: torch.device) -> DataLoader[tuple[Tensor, int]]:
    """Return the DataLoader of the plain loop and of Lightning."""
    workers = setting["workers"]
    return DataLoader(
        Characters(Path(setting["data"])),
        batch_size=setting["batch_size"],
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )


def optimizer(setting: Setting, model: nn.Module) -> torch.optim.Optimizer:
    """Return PyTorch's optimizer of the same kind as the engine's, with default options."""
    if setting["model"] in BACKBONES:
        return torch.optim.Adam(model.parameters(), lr=1e-3)
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)


def dataloader(setting: Setting, device: torch.device) -> None:
    """Run a plain PyTorch loop without device synchronization."""
    model = backbone(setting).to(device)
    steps = optimizer(setting, model)
    half = setting["precision"] == "bf16"
    batches = loader(setting, device)
    clock = Clock(device, setting["batch_size"])
    model.train()
    while True:
        for images, labels in batches:
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            steps.zero_grad()
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                loss = F.cross_entropy(model(images), labels)
            loss.backward()
            steps.step()
            clock.tick()


def lightning(setting: Setting, device: torch.device) -> None:
    """Run Lightning's Trainer without logger, progress bar, checkpoints and validation."""
    import lightning

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = backbone(setting)

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            images, labels = batch
            return F.cross_entropy(self.model(images), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return optimizer(setting, self.model)

    clock = Clock(device, setting["batch_size"])

    class Ticks(lightning.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            clock.tick()

    trainer = lightning.Trainer(
        max_epochs=-1,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1 if device.index is None else [device.index],
        precision="bf16-mixed" if setting["precision"] == "bf16" else "32-true",
        callbacks=[Ticks()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Net(), loader(setting, device))


def peak(setting: Setting, device: torch.device) -> None:
    """Repeat the fastest of square matrix products and a wide convolution.

    Both are tried because they come from different libraries: on some CPUs, the one for matrix
    products does not use the widest instructions.
    """
    dtype = torch.bfloat16 if setting["precision"] == "bf16" else torch.float32
    work = candidates(device, dtype)
    torch.set_grad_enabled(False)
    rates = {name: _rate(call, flops, device) for name, (call, flops) in work.items()}
    best = max(rates, key=lambda name: rates[name])
    call, flops = work[best]
    clock = Clock(device, flops, work=best, flops_per_s={k: round(v) for k, v in rates.items()})
    while True:
        call()
        clock.tick()


def candidates(
    device: torch.device, dtype: torch.dtype
) -> dict[str, tuple[Callable[[], Tensor], float]]:
    """Return pure arithmetic workloads with their numbers of floating-point operations."""
    works: dict[str, tuple[Callable[[], Tensor], float]] = {}
    sizes = (4096, 8192) if device.type == "cuda" else (1024, 2048)
    for size in sizes:
        left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        works[f"matrix product {size}"] = (
            lambda left=left, right=right: left @ right,
            2.0 * size**3,
        )
    count = 1024 if device.type == "cuda" else 64
    images = torch.randn(count, 256, 28, 28, device=device, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    works["convolution 3x3, 256 to 256"] = (
        lambda: F.conv2d(images, weight),
        2.0 * count * 26 * 26 * 256 * 256 * 9,
    )
    return works


def _rate(call: Callable[[], Tensor], flops: float, device: torch.device) -> float:
    """Measure floating-point operations per second over 0.2 s."""
    call()
    synchronize(device)
    start, times = time.perf_counter(), 0
    while time.perf_counter() - start < 0.2:
        call()
        synchronize(device)
        times += 1
    return flops * times / (time.perf_counter() - start)


WAYS = {"engine": engine, "dataloader": dataloader, "lightning": lightning, "peak": peak}


def main() -> None:
    """Run the contender that the argument describes."""
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    WAYS[setting["way"]](setting, torch.device(setting["device"]))


if __name__ == "__main__":
    main()
