"""Low-precision variants of a float32 network in PyTorch: bf16, fp16 or int8.

Int8 is torchao's dynamic quantization of linear layers, with one scale per output channel for
weights and one per row for activations. All other layers use the precision ``rest``. torchao is
imported only when it is needed.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from oraclezoo.choices import COMPILE, TORCH_PRECISIONS
from oraclezoo.errors import UsageError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
CONFIG = "Int8DynamicActivationInt8WeightConfig"
"""Name of torchao's configuration for int8."""

MULTIPLE = 16
"""On CUDA, feature counts in an integer matrix multiplication are multiples of 8, at least 16."""
ROWS = 32
"""Minimum number of rows in an integer matrix multiplication on CUDA; cuBLAS needs over 16."""


@dataclass(frozen=True)
class Form:
    """Precision in which PyTorch runs a model: ``precision`` is bf16, fp16 or int8.

    With int8, ``rest`` is the precision of the layers that are not quantized: bf16 or fp32. With
    bf16 and fp16, it equals ``precision``. ``compile`` turns torch.compile ``on`` or ``off``;
    ``auto`` compiles on CUDA only. ``versions`` holds the versions of torch and, for int8, torchao
    with which the configuration was made.
    """

    precision: str
    rest: str
    compile: str
    versions: dict[str, str]

    @classmethod
    def make(cls, precision: str, compile: str, device: torch.device) -> Self:
        """Return a low-precision configuration for a device.

        With int8, layers that are not quantized use bf16 on CUDA and float32 elsewhere, since few
        CPUs are faster with bf16.

        Raises:
            UsageError: A name is unknown, or int8 is requested and torchao is not installed.
        """
        for name, value, known in (
            ("precision", precision, TORCH_PRECISIONS),
            ("compile", compile, COMPILE),
        ):
            if value not in known:
                raise UsageError(
                    f"{name} is '{value}'; with backend torch it must be one of {', '.join(known)}"
                )
        versions = {"torch": str(torch.__version__)}
        rest = precision
        if precision == "int8":
            versions["torchao"] = str(_torchao().__version__)
            rest = "bf16" if device.type == "cuda" else "fp32"
        return cls(precision, rest, compile, versions)

    @classmethod
    def from_json(cls, entry: Any) -> Self:
        """Parse the low-precision entry of a model's card. Raises ValueError if it is invalid."""
        try:
            form = cls(entry["precision"], entry["rest"], entry["compile"], dict(entry["versions"]))
            int8 = form.precision == "int8"
            fits = (
                form.to_json() == entry
                and form.precision in TORCH_PRECISIONS
                and form.compile in COMPILE
                and form.rest in (("bf16", "fp32") if int8 else (form.precision,))
                and form.versions.keys() == ({"torch", "torchao"} if int8 else {"torch"})
                and all(isinstance(value, str) for value in form.versions.values())
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the card has an invalid form entry: {entry!r}") from error
        if not fits:
            raise ValueError(f"the card has an invalid form entry: {entry!r}")
        return form

    def to_json(self) -> dict[str, Any]:
        """Return the low-precision entry for a model's card."""
        config = {"config": CONFIG} if self.precision == "int8" else {}
        return {
            "backend": "torch",
            "precision": self.precision,
            "rest": self.rest,
            "compile": self.compile,
            **config,
            "versions": self.versions,
        }

    def compiles(self, device: torch.device) -> bool:
        """Return whether networks with this configuration are compiled on a device."""
        return self.compile == "on" or (self.compile == "auto" and device.type == "cuda")

    def applied(self, net: nn.Module) -> nn.Module:
        """Return a low-precision copy of a float32 network, with float32 inputs and outputs.

        The copy is on the network's device. Batch norm's parameters and statistics stay in float32,
        because they may exceed the range of fp16.

        Raises:
            UsageError: The precision is int8 and torchao is not installed.
        """
        device, dtype = next(net.parameters()).device, DTYPES[self.rest]
        converted = copy.deepcopy(net).eval().requires_grad_(False).to(dtype)
        for module in converted.modules():
            if isinstance(module, _BatchNorm):
                module.float()
        converted = converted.to(memory_format=torch.channels_last)
        if self.precision == "int8":
            converted = _to_int8(converted, device)
        return _InForm(converted, dtype)


class _InForm(nn.Module):
    """Wrapper that gives a low-precision network float32 inputs and outputs."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images.to(self.dtype))
        return logits.float()


def compiled(net: nn.Module, device: torch.device) -> nn.Module:
    """Return ``net`` compiled separately for each batch size, with CUDA graphs on CUDA."""
    mode = "reduce-overhead" if device.type == "cuda" else None
    module: nn.Module = torch.compile(net, mode=mode, dynamic=False)  # type: ignore[assignment]  # compiles a module to a module
    return module


class InSizes(nn.Module):
    """Wrapper that limits a compiled network to a few batch ``sizes``, each compiled once.

    Batches ``(N, ...)`` are padded with zero images to the next larger size; the logits of the
    padding are discarded.
    """

    def __init__(self, net: nn.Module, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.net, self.sizes = net, sizes
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        count = len(images)
        size = next((size for size in self.sizes if size >= count), count)
        padded = torch.cat([images, images.new_zeros(size - count, *images.shape[1:])])
        logits: Tensor = self.net(padded.to(memory_format=torch.channels_last))
        return logits[:count]


def weighted_layers(net: nn.Module) -> int:
    """Return the number of convolutions and linear layers."""
    return sum(isinstance(module, (nn.Linear, _ConvNd)) for module in net.modules())


@torch.inference_mode()
def int8_macs(net: nn.Module, images: Tensor) -> dict[str, int]:
    """Return the number of multiply-accumulates that int8 would cover, keyed by layer name.

    These are counted for the linear layers of a float network in a forward pass on ``images``.
    """
    macs: dict[str, int] = {}
    handles = []
    for name, module in net.named_modules():
        if _is_linear(module):

            def count(layer: Any, inputs: Any, logits: Tensor, name: str = name) -> None:
                macs[name] = macs.get(name, 0) + logits.numel() * int(layer.in_features)

            handles.append(module.register_forward_hook(count))
    try:
        net(images)
    finally:
        for handle in handles:
            handle.remove()
    return macs


def _is_linear(module: nn.Module) -> bool:
    # attention uses the weight of its projection layer without calling the layer
    return isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)


def _to_int8(net: nn.Module, device: torch.device) -> nn.Module:
    """Convert the linear layers of ``net`` to int8 in place; on CUDA, pad them first."""
    torchao = _torchao().quantization
    if device.type == "cuda":
        padded = {old: _Padded(old) for old in net.modules() if isinstance(old, nn.Linear)}
        padded = {old: new for old, new in padded.items() if _is_linear(old)}
        for parent in list(net.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear) and child in padded:
                    setattr(parent, name, padded[child])
    # otherwise torchao would change the compiler settings of this process
    config = getattr(torchao, CONFIG)(set_inductor_config=False)
    torchao.quantize_(net, config, filter_fn=lambda module, name: _is_linear(module))
    return net


class _Padded(nn.Module):
    """A linear layer padded with zeros to sizes that CUDA's integer matmul accepts.

    Maps ``(..., in)`` to ``(..., out)``. The zeros change neither the outputs nor the scale of a
    row, which depends only on the row's largest absolute value.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, bias = linear.weight.detach(), linear.bias
        rows, columns = (-size % MULTIPLE for size in weight.shape)
        self.out_features = linear.out_features
        self.linear = nn.Linear(
            linear.in_features + columns,
            linear.out_features + rows,
            bias=bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        ).requires_grad_(False)
        self.linear.weight.copy_(F.pad(weight, (0, columns, 0, rows)))
        if bias is not None:
            self.linear.bias.copy_(F.pad(bias.detach(), (0, rows)))

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.flatten(0, -2)
        missing = max(0, ROWS - rows.shape[0])
        padded = F.pad(rows, (0, self.linear.in_features - rows.shape[1], 0, missing))
        outputs: Tensor = self.linear(padded)[: rows.shape[0], : self.out_features]
        return outputs.reshape(*inputs.shape[:-1], self.out_features)


def _torchao() -> Any:
    logger = logging.getLogger("torch.utils._pytree")
    level = logger.level
    logger.setLevel(logging.ERROR)  # torchao's registration logs a warning
    try:
        import torchao
        import torchao.quantization
    except ImportError as error:
        raise UsageError(
            f"int8 with torch needs torchao ({error}): pip install 'oraclezoo[torchao]'"
        ) from error
    finally:
        logger.setLevel(level)
    return torchao
