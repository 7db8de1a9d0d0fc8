"""Low-precision forms in PyTorch: bf16, fp16 and int8."""

from __future__ import annotations

import builtins
import copy
from typing import Any

import pytest
import torch
from torch import nn

from oraclezoo.compression import torch_form
from oraclezoo.compression.torch_form import DTYPES, Form, InSizes, int8_macs, weighted_layers
from oraclezoo.errors import UsageError

CPU = torch.device("cpu")


class Net(nn.Module):
    """A network with each kind of layer that forms treat differently.

    Sizes are no multiples of 8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5)
        self.hidden, self.head = nn.Linear(5, 19), nn.Linear(19, 3, bias=False)
        self.dtypes: list[torch.dtype] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.conv(images)).relu()
        self.dtypes.append(maps.dtype)
        logits: torch.Tensor = self.head(self.hidden(maps.flatten(2).transpose(1, 2)).amax(1))
        return logits


@pytest.fixture
def net() -> nn.Module:
    """Return a network with batch norm statistics beyond the range of fp16."""
    torch.manual_seed(0)
    network = Net().eval()
    network.norm.running_var[0] = 1e6
    return network


@pytest.fixture
def images() -> torch.Tensor:
    """Return six images of 8 x 8."""
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def close(found: torch.Tensor, wanted: torch.Tensor, share: float) -> bool:
    """Return whether logits differ by at most a share of the largest."""
    return bool((found - wanted).abs().max() <= share * wanted.abs().max())


@pytest.mark.parametrize(("precision", "share"), [("bf16", 0.02), ("fp16", 2e-3)])
@torch.inference_mode()
def test_half_precision_runs_between_float32(
    net: Net, images: torch.Tensor, precision: str, share: float
) -> None:
    """Logits are float32 and close to the original's, which is not changed."""
    state, expected = copy.deepcopy(net.state_dict()), net(images)
    network: Any = Form.make(precision, "off", CPU).applied(net)
    actual = network(images)
    assert actual.dtype == torch.float32
    assert network.net.dtypes[-1] == DTYPES[precision]
    assert not torch.equal(actual, expected)
    assert close(actual, expected, share)
    assert network.net.norm.running_var.dtype == torch.float32
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())


@torch.inference_mode()
def test_int8_is_of_linear_layers_alone(net: Net, images: torch.Tensor) -> None:
    """Convolutions use the precision of the rest, float32 on a CPU."""
    pytest.importorskip("torchao")
    form = Form.make("int8", "off", CPU)
    assert form.rest == "fp32"
    network: Any = form.applied(net)
    actual, expected = network(images), net(images)
    assert not torch.equal(actual, expected)
    assert close(actual, expected, 0.03)
    kinds = {
        name: type(network.net.get_submodule(name).weight) for name in ("conv", "hidden", "head")
    }
    assert kinds["conv"] is nn.Parameter
    assert kinds["hidden"] is kinds["head"] is not nn.Parameter


@torch.inference_mode()
def test_padding_to_what_cuda_takes_changes_nothing(net: Net, images: torch.Tensor) -> None:
    """Zero rows and features give the same logits, with products of multiples of 16."""
    pytest.importorskip("torchao")
    form = Form.make("int8", "off", CPU)
    plain = form.applied(net)(images)
    padded = torch_form._to_int8(copy.deepcopy(net), torch.device("cuda"))
    seen = []
    for module in padded.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(
                lambda layer, given, logits: seen.append((*given[0].shape, logits.shape[1]))
            )
    assert torch.allclose(padded(images), plain, atol=1e-6)
    assert seen == [(6 * 36, 16, 32), (32, 32, 16)]


def test_which_macs_int8_takes_over_is_counted(net: Net, images: torch.Tensor) -> None:
    """MACs are counted per layer; layers with and without weights are distinguished."""
    assert int8_macs(net, images[:1]) == {"hidden": 36 * 5 * 19, "head": 19 * 3}
    assert weighted_layers(net) == 3
    assert int8_macs(nn.Conv2d(1, 2, 3), images) == {}
    attention = nn.MultiheadAttention(4, 2)
    assert not any(torch_form._is_linear(module) for module in attention.modules())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_an_entry_is_read_back_as_it_was_written(precision: str) -> None:
    """On CUDA, the rest of int8 is bf16, and auto compiles."""
    form = Form.make(precision, "auto", CPU)
    assert Form.from_json(form.to_json()) == form
    assert not form.compiles(CPU)
    assert form.compiles(torch.device("cuda"))
    assert Form.make(precision, "on", CPU).compiles(CPU)
    assert not Form.make(precision, "off", CPU).compiles(torch.device("cuda"))


def test_int8_leaves_the_rest_to_bf16_on_cuda() -> None:
    """The card records it, so that it holds wherever the model is loaded."""
    pytest.importorskip("torchao")
    form = Form.make("int8", "auto", torch.device("cuda"))
    assert form.rest == "bf16"
    assert Form.from_json(form.to_json()) == form


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "int4"},
        {"rest": "fp32"},
        {"compile": "maybe"},
        {"backend": "jax"},
        {"config": "Int4WeightOnlyConfig"},
        {"further": 1},
        {"versions": {}},
        {"versions": {"torch": 2}},
        {"versions": "2.9"},
        {"precision": ["bf16"]},
        None,
    ],
)
def test_an_entry_that_says_something_else_is_none(change: dict[str, Any] | None) -> None:
    """Unknown values are rejected."""
    entry = Form.make("bf16", "auto", CPU).to_json()
    with pytest.raises(ValueError, match="the card has an invalid form entry"):
        Form.from_json(None if change is None else {**entry, **change})


@pytest.mark.parametrize("wrong", [("int4", "auto"), ("bf16", "maybe")])
def test_unknown_words_are_told(wrong: tuple[str, str]) -> None:
    """The error lists the valid names."""
    with pytest.raises(UsageError, match="it must be one of"):
        Form.make(*wrong, CPU)


def test_without_torchao_int8_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 and fp16 do not need torchao."""
    whole = builtins.__import__

    def absent(name: str, *details: Any, **more: Any) -> Any:
        if name.split(".")[0] == "torchao":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return whole(name, *details, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"pip install 'oraclezoo\[torchao\]'"):
        Form.make("int8", "off", CPU)
    Form.make("fp16", "off", CPU)


def test_batches_are_filled_up_to_few_sizes() -> None:
    """Padding is dropped from the output for one, five, and more images than the largest size."""
    sizes = []

    class Doubles(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            return 2 * images.flatten(1)

    net = InSizes(Doubles(), (1, 4))
    for count in (1, 3, 4, 6):
        images = torch.randn(count, 1, 2, 2)
        assert torch.equal(net(images), 2 * images.flatten(1))
    assert sizes == [1, 4, 4, 6]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["bf16", "fp16", "int8"])
@pytest.mark.parametrize("count", [1, 6])
@torch.inference_mode()
def test_forms_run_on_cuda(net: Net, images: torch.Tensor, precision: str, count: int) -> None:
    """This includes single images, which cuBLAS's integer product does not accept."""
    if precision == "int8":
        pytest.importorskip("torchao")
    device = torch.device("cuda")
    values = images[:count].to(device)
    network = Form.make(precision, "off", device).applied(net.to(device))
    assert close(network(values), net(values), 0.05)
