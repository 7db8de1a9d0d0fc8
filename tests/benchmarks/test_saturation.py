"""Exact sums equal ONNX Runtime's in float, and saturating pairs are counted."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from oraclezoo.onnx_export.runtime import IN_FLOAT

Script = Callable[[str], ModuleType]


def net(weights: np.ndarray) -> onnx.ModelProto:
    """Return a padded 3x3 convolution between two quantizations with non-zero zero points."""
    channels = weights.shape[0]
    constants = {
        "given": np.array(0.1, np.float32),
        "given_zero": np.array(7, np.uint8),
        "w": weights,
        "w_scale": np.linspace(0.001, 0.002, channels, dtype=np.float32),
        "w_zero": np.zeros(channels, np.int8),
        "b": np.arange(channels, dtype=np.int32) * 500,
        "b_scale": np.linspace(0.0001, 0.0002, channels, dtype=np.float32),
        "made": np.array(0.3, np.float32),
        "made_zero": np.array(120, np.uint8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "given", "given_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "given", "given_zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale"], ["bf"], axis=0),
        helper.make_node("Conv", ["x", "wf", "bf"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["y", "made", "made_zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "made", "made_zero"], ["out"]),
    ]
    shape = ["n", weights.shape[1], 6, 5]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", channels, 6, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_exact_sums_are_those_of_float(script: Script) -> None:
    """Quantized outputs agree, including padding, zero points and biases."""
    saturation = script("saturation")
    generator = np.random.default_rng(0)
    model = net(generator.integers(-127, 128, (5, 3, 3, 3), dtype=np.int8))
    (layer,) = saturation.layers(model)
    images = generator.uniform(0, 24, (4, 3, 6, 5)).astype(np.float32)
    arguments, result = saturation.session(model, IN_FLOAT, ("q", "r")).run(
        ["q", "r"], {"images": images}
    )
    sums = layer.columns(arguments).astype(np.int64) @ layer.weights.T
    actual = layer.rounded(sums).reshape(4, 6, 5, 5).transpose(0, 3, 1, 2)
    difference = np.abs(actual.astype(int) - result)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.99
    assert len(np.unique(result)) > 50


def test_pairs_that_can_saturate_are_counted(script: Script) -> None:
    """Weights of equal sign add up, those of opposite sign do not, nor does a single last one."""
    saturation = script("saturation")
    weights = np.zeros((2, 1, 3, 3), np.int8)
    weights[0].flat[:4] = 127, 127, 127, -127
    weights[1].flat[:] = 64
    weights[1].flat[-1] = -127
    (layer,) = saturation.layers(net(weights))
    limits = layer.pair_limits()
    assert limits.tolist() == [
        [255 * 254, 255 * 127, 0, 0, 0],
        [255 * 128, 255 * 128, 255 * 128, 255 * 128, 255 * 127],
    ]
    assert (limits > saturation.HIGHEST).sum() == 1
