"""Quantization: ranges, types, layers in float, and sensitivity scans."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from oraclezoo.compression.int8 import quantize
from oraclezoo.compression.int8 import scan as quantize_scan
from oraclezoo.errors import UsageError
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.runtime import open_session
from oraclezoo.onnx_export.shipped import Shipped

Pixels = npt.NDArray[np.uint8]


class Net(nn.Module):
    """Two convolutions and a classifier; the second convolution can be made sensitive."""

    def __init__(self, outlier: float) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.two.weight[:, 0, 0, 0] = outlier  # every output channel's own scale suffers

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.max_pool2d(nn.functional.gelu(self.one(images)), 2)
        maps = maps + nn.functional.gelu(self.two(maps))
        logits: torch.Tensor = self.head(maps.amax((2, 3)))
        return logits * 3


def exported(outlier: float = 0.1) -> bytes:
    """Return the ONNX file with preprocessing and softmax."""
    torch.manual_seed(0)
    module = Shipped(Net(outlier).eval(), 0.5, 0.3)
    return onnx_file.to_onnx(module, in_chans=1, image_size=8, card={"a": 1})


@pytest.fixture(scope="module")
def images() -> Pixels:
    """Return 64 noise images."""
    return np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)


def feeds(images: Pixels) -> Iterator[dict[str, Pixels]]:
    """Return batches of 16."""
    return ({"images": images[start : start + 16]} for start in range(0, len(images), 16))


def classify(model: onnx.ModelProto | bytes, images: Pixels) -> npt.NDArray[np.float32]:
    """Return the probabilities of a graph."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    actual: npt.NDArray[np.float32] = open_session(content).run(None, {"images": images})[0]
    return actual


def test_weights_are_int8_by_channel_and_activations_uint8(images: Pixels) -> None:
    """Each convolution has one scale per output channel; the file passes the checker."""
    model = quantize.to_int8(quantize.prepare(exported(), feeds(images)))
    onnx_file.checked(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = [
        tensors[n.input[2]].data_type
        for n in model.graph.node
        if n.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]
    assert set(kinds) == {TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32}
    acting = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert {tensors[n.input[2]].data_type for n in acting} == {TensorProto.UINT8}
    weights = [t for t in tensors.values() if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    assert len(weights) == 2
    for tensor in weights:
        scale = tensors[tensor.name.replace("_quantized", "_scale")]
        assert numpy_helper.to_array(scale).shape == (8,)


def test_preprocessing_and_what_follows_the_last_layer_stay_in_float(images: Pixels) -> None:
    """Neither logits nor preprocessing are quantized."""
    prepared = quantize.prepare(exported(), feeds(images))
    operators = {node.name: node.op_type for node in prepared.model.graph.node}
    assert sorted(operators[name] for name in prepared.outside) == sorted(
        ["Unsqueeze", "Cast", "Mul", "Sub", "Mul", "Softmax"]
    )
    model = quantize.to_int8(prepared)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    (scaling,) = (n for n in model.graph.node if makers.get(n.input[0]) == "Gemm")
    assert scaling.op_type == "Mul"
    assert len(np.unique(classify(model, images))) > 200


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_every_calibration_keeps_the_predictions(images: Pixels, calibration: str) -> None:
    """Probabilities on the calibration images change little."""
    content = exported()
    prepared = quantize.prepare(content, feeds(images), calibration)
    before, after = classify(content, images), classify(quantize.to_int8(prepared), images)
    assert quantize_scan.divergence(before, after) < 0.02
    assert (before.argmax(1) == after.argmax(1)).mean() > 0.9


def test_minmax_covers_what_percentile_cuts_off(images: Pixels) -> None:
    """One outlier widens the range of minmax only."""
    bright = np.concatenate([images // 8, np.full((1, 8, 8), 255, np.uint8)])
    ranges = {
        name: quantize.prepare(exported(), feeds(bright), name).ranges
        for name in ("minmax", "percentile")
    }
    (first,) = (name for name in ranges["minmax"].data if name.startswith("sub"))
    high = {name: float(np.ravel(actual[first].highest)[0]) for name, actual in ranges.items()}
    assert high["minmax"] == pytest.approx((1 - 0.5) / 0.3)
    assert high["percentile"] <= high["minmax"]


def test_a_scan_finds_the_layer_that_suffers_and_spares_it(images: Pixels) -> None:
    """The convolution with outlier weights is the most sensitive and stays in float."""
    content = exported(outlier=60.0)
    prepared = quantize.prepare(content, feeds(images))
    reference = classify(content, images)
    layers = quantize_scan.scan(prepared, reference, lambda model: classify(model, images))
    assert len(layers) == 3
    assert layers[0].divergence >= layers[1].divergence >= layers[2].divergence
    whole = quantize_scan.choose(
        prepared,
        reference,
        lambda model: classify(model, images),
        quantize_scan.Limits(1e9),
    )
    assert (whole.keep_float, whole.layers) == ((), ()), "nothing to spare, so no scan"
    spared = quantize_scan.choose(
        prepared,
        reference,
        lambda model: classify(model, images),
        quantize_scan.Limits(whole.divergence / 2),
    )
    assert spared.keep_float[0] == layers[0].name
    assert spared.divergence < whole.divergence
    dear = {node.name: node for node in spared.model.graph.node}[layers[0].name]
    makers = {output: node.op_type for node in spared.model.graph.node for output in node.output}
    assert makers.get(dear.input[1]) is None, "its weights are constants in float, as they were"


def test_one_layer_at_least_is_quantized(images: Pixels) -> None:
    """With a limit of zero, only the least sensitive layer is quantized."""
    content = exported()
    prepared = quantize.prepare(content, feeds(images))
    chosen = quantize_scan.choose(
        prepared,
        classify(content, images),
        lambda model: classify(model, images),
        quantize_scan.Limits(0.0),
    )
    assert len(chosen.keep_float) == len(prepared.layers) - 1
    assert chosen.keep_float == tuple(layer.name for layer in chosen.layers[:-1])


def test_what_serves_float_layers_alone_stays_in_float_with_them(images: Pixels) -> None:
    """An addition before a float layer stays in float; one before a quantized layer does not."""
    prepared = quantize.prepare(exported(), feeds(images))
    first, _, head = prepared.layers

    def rounded(keep_float: list[str]) -> set[str]:
        graph = quantize.to_int8(prepared, keep_float=keep_float).graph
        makers = {output: node.op_type for node in graph.node for output in node.output}
        return {
            node.op_type
            for node in graph.node
            if all(makers.get(name) == "DequantizeLinear" for name in node.input)
        }

    assert {"Conv", "Add", "Gemm"} <= rounded([])
    assert {"Conv", "Add", "Gemm"} <= rounded([first])
    assert "Conv" in rounded([head])
    assert not {"Add", "Gemm"} & rounded([head])


def test_fp16_halves_the_file_and_keeps_types_outside(images: Pixels) -> None:
    """Input stays uint8 and output float32; preprocessing is as exact as before."""
    content = exported()
    half = quantize.to_fp16(content)
    small = onnx_file.checked(half)
    kinds = {t.data_type for t in half.graph.initializer if len(t.dims) == 4}
    assert kinds == {TensorProto.FLOAT16}
    assert np.allclose(classify(small, images), classify(content, images), atol=5e-3)


def test_reduced_range_uses_seven_bits(images: Pixels) -> None:
    """For processors whose sums of 8-bit products saturate."""
    prepared = quantize.prepare(exported(), feeds(images))
    for reduce_range, most in ((False, 127), (True, 64)):
        model = quantize.to_int8(prepared, reduce_range=reduce_range)
        weights = [
            numpy_helper.to_array(tensor)
            for tensor in model.graph.initializer
            if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 4
        ]
        assert max(int(np.abs(w.astype(int)).max()) for w in weights) in (most - 1, most)


def test_names_are_matched_or_refused(images: Pixels) -> None:
    """A pattern without a match lists the layers; unknown calibrations are rejected."""
    assert quantize.matching(["conv_1", "conv_2", "head"], ["conv*", "head"]) == (
        "conv_1",
        "conv_2",
        "head",
    )
    with pytest.raises(UsageError, match="no layer matches 'x\\*'; the layers are conv_1, head"):
        quantize.matching(["conv_1", "head"], ["x*"])
    with pytest.raises(UsageError, match="calibration is 'mean'"):
        quantize.prepare(exported(), feeds(images), "mean")
