"""The GPU path without a GPU: what would wait for a device, or mix devices, fails here.

On fake tensors that claim to be on ``cuda`` (fake_cuda.py) run, as production code has them:
building, augmentation, forward passes, losses, the steps of every optimizer, averaged weights,
evaluation and stacked seeds. Backward passes do not: gradients are filled in. Whole steps with
their backward pass run on ``device="meta"``.

What neither way catches: values (there are none, so neither kernels that compute something else
on a GPU, nor overflow in half precision, nor what depends on data); backward passes on ``cuda``,
fused kernels and what cuDNN or cuBLAS refuse; operations that CUDA does not have, and those that
wait inside their kernel's own code; memory, its limits and its layouts after a kernel has chosen
them; streams, so races between them and with pinned memory; torch.compile and CUDA graphs;
deterministic algorithms; CUDA's own random numbers and their state in checkpoints; the tracer; more
than one device; MPS. Tests marked ``gpu`` and benchmarks/gpu.sh are for these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DynamicOutputShapeException,
    FakeTensor,
)

from helpers import fake_cuda
from helpers.fake_cuda import CUDA, ENOUGH, Device, DeviceMixError, HostWaitError
from helpers.small import REGISTRY, bars, trainer
from oraclezoo.artifacts.build import build_steppers
from oraclezoo.engine import norms
from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.evaluate import ViewsAveraged, accuracy_and_loss, probabilities, with_views
from oraclezoo.engine.images import Streamed
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.stack import Merged
from oraclezoo.engine.stacked import StackedTrainer
from oraclezoo.engine.trainer import Trainer
from oraclezoo.measure import latency
from oraclezoo.recipe.sections import Augment

META = torch.device("meta")
WAITING = {
    "adafactor": "torch reads the norms of each weight and update",
    "adamp": "timm asks whether a weight looks scale-invariant",
    "kron": "timm asks whether a matrix is zero",
    "novograd": "timm asks whether a weight has a squared norm yet",
    "sgdp": "as adamp",
}
"""Optimizers whose steps make the host wait, and why; docs/internals/engine.md names them."""
BACKBONES = (
    "oraclenet",
    "lenet5",
    "mlp_mixer",
    "convmixer",
    "bilinear_cnn",
    "resnet8",
    "mobilenetv3_small_100",
    "convnext_atto",
    "vit_micro",
)
"""Of different kinds: convolutions, attention, mixers, our own and timm's."""
ALL = Augment(
    shift=2.0,
    rotate=10.0,
    scale=0.1,
    shear=0.1,
    elastic=1.0,
    flip=True,
    cutout=3,
    jpeg=0.5,
    margin=0.1,
    thickness=0.5,
    gamma=0.5,
    shade=0.3,
    blur=1.0,
    binary=0.5,
)


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda.stand_in(monkeypatch)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill gradients without values, as a backward pass would."""
    fake_cuda.fill_in_gradients(monkeypatch)


def epoch(run: Trainer, gpu: Device, reads: int = 0) -> int:
    """Train an epoch and return how often the host waited for the device.

    Without ``reads`` no wait is allowed, and no upload except the order of the images.
    """
    gpu.reads, gpu.uploads = reads, reads or 1
    assert not run.train_epoch(lambda: False)
    assert reads or not gpu.uploads
    assert run.progress.step_in_epoch == run.steps_per_epoch
    run.progress.epoch, run.progress.step_in_epoch = run.progress.epoch + 1, 0
    return reads - gpu.reads


def on_device(model: nn.Module) -> bool:
    """Return whether all state is on the device."""
    state = model.state_dict().values()
    return all(isinstance(value, FakeTensor) and value.is_cuda for value in state)


PLANTS: dict[str, tuple[type[Exception], Callable[[Tensor], object]]] = {
    "item": (HostWaitError, lambda images: images.mean().item()),
    "if": (HostWaitError, lambda images: 1 if images.mean() > 0 else 0),
    "tolist": (HostWaitError, lambda images: images[:, 0, 0, 0].tolist()),
    "to the host": (HostWaitError, lambda images: images.cpu()),
    "into the host": (HostWaitError, lambda images: torch.zeros(16, 1, 16, 16).copy_(images)),
    "to the device": (HostWaitError, lambda images: torch.ones(1).to(images.device)),
    "numbers": (HostWaitError, lambda images: torch.tensor([1.0], device=images.device)),
    "nonzero": (DynamicOutputShapeException, lambda images: images.nonzero()),
    "mask": (DynamicOutputShapeException, lambda images: images[images > 0]),
    "tensor": (DeviceMixError, lambda images: images + torch.ones(16)),
    "index": (DeviceMixError, lambda images: images[torch.arange(2)]),
    "list": (DeviceMixError, lambda x: torch._foreach_lerp([x], [torch.ones(x.shape)], 0.5)),
}
"""What no step may do, and the error that shows it."""


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_in_a_step_is_found(tmp_path: Path, filled: None, plant: str) -> None:
    """A planted wait is detected, which validates the tests below."""
    error, line = PLANTS[plant]
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, count=32, device=CUDA)

        def net(images: Tensor) -> Tensor:
            line(images)
            logits: Tensor = run.parts.model(images)
            return logits

        epoch(run, gpu)
        run.net = net
        with pytest.raises(error):
            epoch(run, gpu)


def test_a_weight_that_stayed_behind_is_found(tmp_path: Path, filled: None) -> None:
    """A tensor that is neither a parameter nor a buffer does not move with its module."""
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, count=32, device=CUDA)
        scale, model = torch.ones(4), run.parts.model
        run.net = lambda images: model(images) * scale
        with pytest.raises(DeviceMixError, match=r"cpu \(4,\)"):
            epoch(run, gpu)


@pytest.mark.parametrize(
    "name", [entry.spec.name for entry in REGISTRY.entries("optimizer") if entry.builtin]
)
def test_every_optimizer_steps_on_the_device(tmp_path: Path, filled: None, name: str) -> None:
    """Over two epochs with averaged weights, only the listed optimizers wait."""
    changes = {"optimizer.name": name, "train.ema": 0.5, "train.clip_norm": 1.0}
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, changes, count=32, device=CUDA)
        if name in WAITING:
            reads = [epoch(run, gpu, ENOUGH) for _ in range(2)]
            assert all(reads)
        else:
            for _ in range(2):
                epoch(run, gpu)
        assert on_device(run.parts.model)
        assert on_device(run.kept)
        kept = [value for state in run.parts.optimizer.state.values() for value in state.values()]
        assert all(each.is_cuda for each in kept if isinstance(each, Tensor) and each.dim())


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_train_on_the_device(tmp_path: Path, filled: None, name: str) -> None:
    """An epoch in bf16 with a teacher and full augmentation never waits."""
    changes: dict[str, object] = {
        "backbone.name": name,
        "train.precision": "bf16",
        "distill.teachers": 1,
        **{f"augment.{key}": value for key, value in asdict(ALL).items()},
    }
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, changes, count=32, device=CUDA)
        run.teacher = run.parts.model
        logits, model = [], run.parts.model

        def net(images: Tensor) -> Tensor:
            logits.append(model(images))
            return logits[-1]

        run.net = net
        epoch(run, gpu)
        assert on_device(model)
        assert [(each.dtype, each.is_cuda) for each in logits] == [(torch.bfloat16, True)]


def test_the_page_names_those_that_wait() -> None:
    """The page lists all of them, and each is in the registry."""
    page = (Path(__file__).parents[2] / "docs" / "internals" / "engine.md").read_text(
        encoding="utf-8"
    )
    message = page.partition("make the host wait:")[2].partition(". ")[0]
    assert set(re.findall(r"`(\w+)`", message)) == set(WAITING)


def test_augmentation_stays_on_the_device() -> None:
    """Random numbers are drawn on the device, for several runs at a time."""
    with fake_cuda.device() as gpu:
        images = torch.zeros(12, 20, 20, dtype=torch.uint8, device=CUDA)
        augment = Augmenter(ALL, flip=True, mean=0.3, std=0.3, device=CUDA)
        gpu.reads = gpu.uploads = 0
        for seeds in ((1,), (1, 2, 3)):
            augment.reseed(*seeds)
            batch = augment(images)
            assert (batch.shape, batch.dtype, batch.device) == (
                (12, 1, 20, 20),
                torch.float32,
                CUDA,
            )


@pytest.mark.parametrize(("name", "asks"), [("sgd", 0), ("adamw", 0), ("muon", 1), ("lion", 1)])
@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.filterwarnings("ignore:Detected call of")  # a value that is read is 1: infinite
def test_fp16_asks_once_a_step(
    tmp_path: Path, filled: None, name: str, asks: int, clip: float
) -> None:
    """The gradient scaler waits once per step, unless the optimizer is fused."""
    changes = {"optimizer.name": name, "train.precision": "fp16", "train.clip_norm": clip}
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, changes, count=48, device=CUDA)
        assert run.scaler.is_enabled()
        assert epoch(run, gpu, ENOUGH) == asks * run.steps_per_epoch


def test_streamed_images_are_waited_for_by_nobody(tmp_path: Path, filled: None) -> None:
    """Copies from pinned memory overlap with computation."""
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, device=CUDA)
        resident = bars()
        images = Streamed([np.asarray(resident.images)], CUDA)
        run.data = TrainingData(images, run.data.labels, images, run.data.labels, 0.3, 0.3, True)
        epoch(run, gpu)


@pytest.mark.parametrize("count", [ViewsAveraged.JOINT_BATCH, ViewsAveraged.JOINT_BATCH + 1])
def test_evaluation_reads_only_what_it_gives(tmp_path: Path, count: int) -> None:
    """The host waits only for probabilities, accuracy and loss."""
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, {"train.ema": 0.5}, count=16 + count, device=CUDA)
        scale = {"mean": 0.3, "std": 0.3}
        gpu.reads = gpu.uploads = 0
        probs = probabilities(with_views(run.kept, 1, flip=True, **scale), run.data.images, **scale)
        assert (probs.shape, probs.dtype, probs.is_cuda) == ((count, 4), torch.float32, True)
        with pytest.raises(HostWaitError):
            accuracy_and_loss(probs, run.data.labels)


def test_gathering_norms_stays_on_the_device(tmp_path: Path) -> None:
    """For optimizers that are evaluated at other weights than they train."""
    with fake_cuda.device() as gpu:
        run = trainer(tmp_path, {"backbone.name": "oraclenet"}, device=CUDA)
        assert norms.tracking(run.kept)
        gpu.reads, gpu.uploads = 0, 1  # the order
        run.regather_norms()
        assert on_device(run.kept)


@pytest.mark.parametrize("name", ["sgd", "muon", "lamb"])
def test_stacked_seeds_train_on_the_device(tmp_path: Path, filled: None, name: str) -> None:
    """All seeds share passes and, if possible, the step; each uploads its order once."""
    changes: dict[str, object] = {
        "backbone.name": "oraclenet",
        "optimizer.name": name,
        "train.precision": "bf16",
        "train.ema": 0.5,
        "augment.jpeg": 0.5,
    }
    separable = bool(REGISTRY.get("optimizer", name).spec.facts["separable"])
    with fake_cuda.device() as gpu:
        runs = [
            trainer(tmp_path / str(seed), changes, seed=seed, count=32, device=CUDA)
            for seed in range(2)
        ]
        joint = StackedTrainer(runs, separable=separable)
        assert isinstance(joint.merged, Merged) == separable
        for number in range(2):
            gpu.reads, gpu.uploads = 0, len(runs)
            joint.train_epoch(lambda: False)
            assert not gpu.uploads
            for run in runs:
                assert run.step == number + 1
                run.progress.epoch, run.progress.step_in_epoch = number + 1, 0
        assert joint.stack.is_bound()
        assert all(on_device(module) for run in runs for module in (run.parts.model, run.kept))


def test_what_is_planted_in_stacked_seeds_is_found(tmp_path: Path, filled: None) -> None:
    """A loss that waits and a CPU tensor in a loss are detected."""
    with fake_cuda.device() as gpu:
        runs = [
            trainer(tmp_path / str(seed), seed=seed, count=32, device=CUDA) for seed in range(2)
        ]
        joint = StackedTrainer(runs, separable=True)
        loss = joint.stack.loss
        for error, factor in (
            (HostWaitError, lambda: float(runs[0].data.labels.sum())),
            (DeviceMixError, lambda: torch.ones(4)),
        ):
            joint.stack.loss = lambda logits, labels, factor=factor: loss(logits * factor(), labels)
            gpu.reads, gpu.uploads = 0, len(runs)
            with pytest.raises(error):
                joint.train_epoch(lambda: False)


def test_latency_is_between_events_of_the_device() -> None:
    """Nothing in a timed pass waits; each pass lies between an event of its own and the next."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(4))
    model(torch.zeros(1, 1, 8, 8))
    with fake_cuda.device() as gpu:
        model.to(CUDA)
        gpu.reads = gpu.uploads = 0
        (row,) = latency.eager(
            model, in_chans=1, image_size=8, device=CUDA, settings=[(4, 1)], budget_s=0.0
        )
    assert row.device == "cuda"
    assert row.repeats >= 30
    assert row.p50_ms == row.p99_ms == 1.0


def on_meta(folder: Path, changes: dict[str, object], seed: int) -> Trainer:
    """Return a trainer of two steps per epoch whose model is built on the CPU."""
    built, data = trainer(folder, changes, seed=seed, count=48), bars(count=48, device=META)
    parts = build_steppers(built.recipe, REGISTRY, data, built.parts.model.to(META))
    return Trainer(built.recipe, parts, data, seed=seed, device=META, folder=folder)


@pytest.mark.parametrize(
    ("name", "seeds"),
    [("sgd", 1), ("adamw", 1), ("muon", 1), ("sam", 1), ("sgd", 2), ("adamw", 2), ("muon", 2)],
)
def test_whole_steps_with_their_backward_pass(tmp_path: Path, name: str, seeds: int) -> None:
    """On ``meta``, each parameter gets a gradient, and no value is read."""
    changes: dict[str, object] = {
        "backbone.name": "oraclenet",
        "optimizer.name": name,
        "train.ema": 0.5,
        "train.clip_norm": 1.0,
        "augment.jpeg": 0.5,
        "augment.margin": 0.1,
        "augment.thickness": 0.5,
        "augment.gamma": 0.5,
        "augment.shade": 0.3,
        "augment.blur": 1.0,
        "augment.binary": 0.5,
    }
    runs = [on_meta(tmp_path / str(seed), changes, seed) for seed in range(seeds)]
    if seeds == 1:
        assert not runs[0].train_epoch(lambda: False)
    else:
        StackedTrainer(runs, separable=True).train_epoch(lambda: False)
    for run in runs:
        assert run.step == 2
        for parameter in (p for p in run.parts.model.parameters() if p.requires_grad):
            assert parameter.grad is not None
            assert parameter.grad.is_meta
            assert parameter.grad.shape == parameter.shape


@pytest.mark.parametrize("plant", ["item", "if", "to the host", "tensor", "nonzero", "mask"])
def test_what_is_planted_in_a_whole_step_is_found(tmp_path: Path, plant: str) -> None:
    """``meta`` detects reads, but accepts CPU indices and uploads."""
    run = on_meta(tmp_path, {}, 0)
    model, line = run.parts.model, PLANTS[plant][1]

    def net(images: Tensor) -> Tensor:
        line(images)
        logits: Tensor = model(images)
        return logits

    assert not run.train_epoch(lambda: False)
    run.net, run.progress.step_in_epoch = net, 0
    with pytest.raises((RuntimeError, NotImplementedError)):
        run.train_epoch(lambda: False)
