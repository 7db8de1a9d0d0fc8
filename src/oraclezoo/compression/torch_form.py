"""Form: how torch runs a net in fewer bits than its weights have on disk: bf16, fp16, or int8.

int8 is torchao's: weights by output channel, activations by row as they come (dynamic), in linear
layers only; all else is in ``rest``. torchao is imported when such a net is made, not before.
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
"""Of torchao: the one that an int8 net is made by."""

MULTIPLE = 16
"""Features in and out of an integer product on CUDA are multiples of 8, and 16 at least."""
ROWS = 32
"""Rows that an integer product on CUDA has at least: cuBLAS takes none of 16 or fewer."""


@dataclass(frozen=True)
class Form:
    """``precision`` bf16, fp16 or int8; ``rest``, of what is not int8, bf16 or fp32.

    For bf16 and fp16 the rest is the same. ``compile``: torch.compile ``on``, ``off``, or ``auto``,
    which is on CUDA alone. ``versions`` of torch and, for int8, torchao that it was made with.
    """

    precision: str
    rest: str
    compile: str
    versions: dict[str, str]

    @classmethod
    def make(cls, precision: str, compile: str, device: torch.device) -> Self:
        """A form for a device. Raises UsageError for unknown words, or for int8 without torchao.

        What is not int8 is bf16 on CUDA; elsewhere float32, since few processors gain by bf16.
        """
        for what, value, known in (
            ("precision", precision, TORCH_PRECISIONS),
            ("compile", compile, COMPILE),
        ):
            if value not in known:
                raise UsageError(
                    f"{what} is '{value}'; with backend torch it must be one of {', '.join(known)}"
                )
        versions = {"torch": str(torch.__version__)}
        rest = precision
        if precision == "int8":
            versions["torchao"] = str(_torchao().__version__)
            rest = "bf16" if device.type == "cuda" else "fp32"
        return cls(precision, rest, compile, versions)

    @classmethod
    def from_json(cls, entry: Any) -> Self:
        """The form that a card's entry states. Raises ValueError for any other content."""
        try:
            made = cls(entry["precision"], entry["rest"], entry["compile"], dict(entry["versions"]))
            int8 = made.precision == "int8"
            fits = (
                made.to_json() == entry
                and made.precision in TORCH_PRECISIONS
                and made.compile in COMPILE
                and made.rest in (("bf16", "fp32") if int8 else (made.precision,))
                and made.versions.keys() == ({"torch", "torchao"} if int8 else {"torch"})
                and all(isinstance(value, str) for value in made.versions.values())
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its card's entry on its form is {entry!r}") from error
        if not fits:
            raise ValueError(f"its card's entry on its form is {entry!r}")
        return made

    def to_json(self) -> dict[str, Any]:
        """The card's entry."""
        named = {"config": CONFIG} if self.precision == "int8" else {}
        return {
            "backend": "torch",
            "precision": self.precision,
            "rest": self.rest,
            "compile": self.compile,
            **named,
            "versions": self.versions,
        }

    def compiles(self, device: torch.device) -> bool:
        """Whether a net in this form is compiled on a device."""
        return self.compile == "on" or (self.compile == "auto" and device.type == "cuda")

    def applied(self, net: nn.Module) -> nn.Module:
        """A copy of a float32 net in this form, on the net's device: float32 in, float32 out.

        Batch norm's parameters and statistics stay float32, which fp16's range may not hold.
        Raises UsageError for int8 without torchao.
        """
        device, dtype = next(net.parameters()).device, DTYPES[self.rest]
        made = copy.deepcopy(net).eval().requires_grad_(False).to(dtype)
        for module in made.modules():
            if isinstance(module, _BatchNorm):
                module.float()
        made = made.to(memory_format=torch.channels_last)
        return _InForm(_to_int8(made, device) if self.precision == "int8" else made, dtype)


class _InForm(nn.Module):
    """Images float32 -> logits float32, with ``dtype`` between."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images.to(self.dtype))
        return logits.float()


def compiled(net: nn.Module, device: torch.device) -> nn.Module:
    """``net`` compiled for each batch size it meets; on CUDA with CUDA graphs."""
    mode = "reduce-overhead" if device.type == "cuda" else None
    made: nn.Module = torch.compile(net, mode=mode, dynamic=False)  # type: ignore[assignment]  # of a module it is one
    return made


class InSizes(nn.Module):
    """A net that is only given batches of a few ``sizes``, so that it is compiled for few.

    Images ``(N, ...)`` are filled up with zeros to the next size; what comes of these is dropped.
    """

    def __init__(self, net: nn.Module, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.net, self.sizes = net, sizes
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        count = len(images)
        size = next((size for size in self.sizes if size >= count), count)
        filled = torch.cat([images, images.new_zeros(size - count, *images.shape[1:])])
        logits: Tensor = self.net(filled.to(memory_format=torch.channels_last))
        return logits[:count]


def weighted_layers(net: nn.Module) -> int:
    """How many convolutions and linear layers there are."""
    return sum(isinstance(module, (nn.Linear, _ConvNd)) for module in net.modules())


@torch.inference_mode()
def int8_macs(net: nn.Module, images: Tensor) -> dict[str, int]:
    """Multiply-accumulates of a pass that int8 takes over, by the name of the layer.

    Those of linear layers; ``net`` is the float one.
    """
    found: dict[str, int] = {}
    handles = []
    for name, module in net.named_modules():
        if _is_linear(module):

            def note(layer: Any, given: Any, logits: Tensor, name: str = name) -> None:
                found[name] = found.get(name, 0) + logits.numel() * int(layer.in_features)

            handles.append(module.register_forward_hook(note))
    try:
        net(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _is_linear(module: nn.Module) -> bool:
    # attention reads its projection's weight itself
    return isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)


def _to_int8(net: nn.Module, device: torch.device) -> nn.Module:
    """The linear layers of ``net`` in torchao's int8, in place; on CUDA padded as it needs."""
    torchao = _torchao().quantization
    if device.type == "cuda":
        padded = {old: _Padded(old) for old in net.modules() if isinstance(old, nn.Linear)}
        padded = {old: new for old, new in padded.items() if _is_linear(old)}
        for parent in list(net.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear) and child in padded:
                    setattr(parent, name, padded[child])
    # its own settings of the compiler are for the process, also for what is not int8
    config = getattr(torchao, CONFIG)(set_inductor_config=False)
    torchao.quantize_(net, config, filter_fn=lambda module, name: _is_linear(module))
    return net


class _Padded(nn.Module):
    """A linear layer of sizes that CUDA's integer product takes, filled up with zeros.

    ``(..., in)`` -> ``(..., out)``. Zeros change neither the products nor the scale of a row, which
    is that of its largest value.
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

    def forward(self, given: Tensor) -> Tensor:
        rows = given.flatten(0, -2)
        missing = max(0, ROWS - rows.shape[0])
        filled = F.pad(rows, (0, self.linear.in_features - rows.shape[1], 0, missing))
        found: Tensor = self.linear(filled)[: rows.shape[0], : self.out_features]
        return found.reshape(*given.shape[:-1], self.out_features)


def _torchao() -> Any:
    logger = logging.getLogger("torch.utils._pytree")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of how torchao registers itself
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
