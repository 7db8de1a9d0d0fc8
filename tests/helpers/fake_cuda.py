"""A CUDA device for tests on machines without one: shapes, dtypes and devices, but no values.

Tensors on ``cuda`` are torch's fake tensors; those on the CPU are real. So the code under test
builds its model on the CPU, moves it and trains it as it does on a GPU, and an optimizer's step
counts, which lie on the CPU, hold numbers. test_fake_cuda.py says what this cannot catch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.optim import optimizer as torch_optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
ENOUGH = 1_000_000
COPIES = ("_to_copy", "copy_", "copy", "_foreach_copy_", "_foreach_copy")
"""Operations that may take tensors of two devices; the host waits for each such copy."""


class HostWaitError(Exception):
    """The host waits for the device, which a training step must never make it do."""


class DeviceMixError(Exception):
    """One operation is given tensors of the CPU and of the device."""


class Device(TorchDispatchMode):
    """Runs operations that touch ``cuda`` on fake tensors, and the others for real.

    Raises HostWaitError where the host would wait for the device: for a value that is read, for a
    copy to the host, and for a copy from it that is not ``non_blocking``. ``reads`` and ``uploads``
    say how many are allowed, and count down; a value that is read is 1. Raises DeviceMixError for
    an operation over both devices, unless the CPU's part has no dimensions: kernels take such a
    tensor by value. Where a shape depends on values (``nonzero``, masks as indices) torch raises.
    """

    def __init__(self, reads: int = 0, uploads: int = 0) -> None:
        super().__init__()
        self.reads, self.uploads = reads, uploads

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = _tensors((args, kwargs))
        target = kwargs.get("device")
        on_device = target is not None and torch.device(target).type == "cuda"
        if not on_device and not any(isinstance(tensor, FakeTensor) for tensor in tensors):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense":
            return self._read(tensors[0])
        if name == "_to_copy":
            waits = not kwargs.get("non_blocking")
            self._check_copy(name, tensors, target or tensors[0].device, waits)
        elif name in COPIES:
            self._check_copy(name, _tensors(args[1]), _tensors(args[0])[0].device, True)
        else:
            _check_mix(name, tensors)
        if name.startswith("_fused_") and name.endswith("_"):
            return None  # a step in place, whose fake is missing for some optimizers
        return func(*args, **kwargs)

    def _read(self, tensor: Tensor) -> int | float | bool:
        if not self.reads:
            raise HostWaitError("a value is read from the device")
        self.reads -= 1
        return 1.0 if tensor.is_floating_point() else tensor.dtype is torch.bool or 1

    def _check_copy(self, name: str, sources: Sequence[Tensor], target: Any, waits: bool) -> None:
        start, end = {source.device.type for source in sources}, torch.device(target).type
        if "cuda" in start and end == "cpu":
            if not self.reads:
                raise HostWaitError(f"{name} from the device to the host")
            self.reads -= 1
        if "cpu" in start and end == "cuda" and waits:
            if not self.uploads:
                raise HostWaitError(f"{name} from the host to the device")
            self.uploads -= 1


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _check_mix(name: str, tensors: Sequence[Tensor]) -> None:
    """Of what torch lets pass: indices on the CPU (copied, and waited for), lists."""
    if len({tensor.device.type for tensor in tensors if tensor.dim()}) > 1:
        shapes = ", ".join(f"{each.device.type} {tuple(each.shape)}" for each in tensors)
        raise DeviceMixError(f"{name} is given tensors of two devices: {shapes}")


@contextmanager
def device(reads: int = ENOUGH, uploads: int = ENOUGH) -> Iterator[Device]:
    """A context in which ``cuda`` may be used; all is allowed at first, for what is built in it."""
    with FakeTensorMode(allow_non_fake_inputs=True), Device(reads, uploads) as mode:
        yield mode


class Event:
    """Stands in for torch.Event: counts records in the place of time."""

    records = 0

    def __init__(self, device: object, *, enable_timing: bool) -> None:
        assert enable_timing
        self.number = 0

    def record(self) -> None:
        """Take the next number."""
        Event.records += 1
        self.number = Event.records

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def elapsed_time(self, end: Event) -> float:
        """How many events were recorded after this one, up to ``end``."""
        assert self.number
        assert end.number
        return float(end.number - self.number)


def stand_in(patch: pytest.MonkeyPatch) -> None:
    """Put something in the place of what needs a driver: generators, events, CUDA's settings."""
    forked = torch.random.fork_rng

    def fork(devices: Sequence[Any] = (), **options: Any) -> AbstractContextManager[None]:
        return forked([], **options)

    patch.setattr(torch.random, "fork_rng", fork)
    patch.setattr(torch, "Generator", _Generator)
    patch.setattr(torch, "Event", Event)
    patch.setattr(torch.accelerator, "synchronize", lambda device=None: None)
    patch.setattr(torch.cuda, "device", lambda device: nullcontext())
    patch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device=None: None)
    patch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
    # timm cuts its lists by the size of the cache
    properties = SimpleNamespace(L2_cache_size=50 << 20)
    patch.setattr(torch.cuda, "get_device_properties", lambda device=None: properties)
    # torch switches autocast and gradient scaling off where it finds no GPU
    patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    # parameters on a GPU are of a type that torch's optimizers update by lists; so are fake ones
    types = [*torch_optimizer._foreach_supported_types, FakeTensor]
    patch.setattr(torch_optimizer, "_foreach_supported_types", types)
    # Module.to would swap fake parameters, which fails; real ones are given new data
    patch.setattr(torch.utils, "swap_tensors", lambda old, new: setattr(old, "data", new.detach()))


def fill_in_gradients(patch: pytest.MonkeyPatch) -> None:
    """Backward passes give the parameters that a loss depends on gradients like themselves.

    torch has no backward pass for fake tensors on ``cuda``: it would ask for a stream.
    """
    patch.setattr(Tensor, "backward", _fill)
    patch.setattr(torch.autograd, "grad", _made_up)


class _Generator(torch.Generator):
    """On the CPU, whatever device it is asked for; fake tensors take it on any."""

    def __new__(cls, device: object = None) -> _Generator:
        return super().__new__(cls)


def _leaves(loss: Tensor) -> set[Tensor]:
    """The tensors that a backward pass from ``loss`` would give gradients."""
    actual, seen, waiting = set(), set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            actual.add(node.variable)
        waiting += [following for following, _ in node.next_functions]
    return actual


def _fill(loss: Tensor) -> None:
    for leaf in _leaves(loss):
        leaf.grad = torch.empty_like(leaf)


def _made_up(
    loss: Tensor, inputs: Sequence[Tensor], allow_unused: bool = False
) -> tuple[Tensor | None, ...]:
    reached = _leaves(loss)
    return tuple(torch.empty_like(each) if each in reached else None for each in inputs)
