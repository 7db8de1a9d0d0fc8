"""8-bit products are summed exactly on every processor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oraclezoo.compression.compact import compact
from oraclezoo.onnx_export import runtime
from oraclezoo.onnx_export.runtime import open_session

CHANNELS = 16
"""Enough for the kernels that layers of ordinary nets run on."""
FIRST, LATER = 127, 126
"""Weights: 255 * (127 + 127) does not fit in 16 bits; neither does 255 * (126 + 126)."""


def net(layers: int, *, shared: str = "zero points") -> bytes:
    """Return 1x1 convolutions in a row that average their inputs, for pixels of 255.

    All zero points share one tensor, and all weights too if ``shared`` is "weights", or no tensor
    is shared.
    """
    constants = {
        "scale": np.array(1, np.float32),
        "zero": np.array(0, np.uint8),
        "zeros": np.zeros(CHANNELS, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["pixels", "scale", "zero"], ["q0"]),
        helper.make_node("DequantizeLinear", ["q0", "scale", "zero"], ["x0"]),
    ]
    for at in range(layers):
        name = "w0" if shared == "weights" else f"w{at}"
        weight = FIRST if name == "w0" else LATER
        constants[name] = np.full((CHANNELS, CHANNELS, 1, 1), weight, np.int8)
        constants[f"{name}_scale"] = np.full(CHANNELS, 1 / (weight * CHANNELS), np.float32)
        zeros = "zeros" if shared != "nothing" else f"zeros{at}"
        constants[zeros] = np.zeros(CHANNELS, np.int8)
        nodes += [
            helper.make_node(
                "DequantizeLinear", [name, f"{name}_scale", zeros], [f"d{at}"], axis=0
            ),
            helper.make_node("Conv", [f"x{at}", f"d{at}"], [f"y{at}"]),
            helper.make_node("QuantizeLinear", [f"y{at}", "scale", "zero"], [f"q{at + 1}"]),
            helper.make_node("DequantizeLinear", [f"q{at + 1}", "scale", "zero"], [f"x{at + 1}"]),
        ]
    shape = ["n", CHANNELS, 4, 4]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def run(content: bytes) -> npt.NDArray[np.float32]:
    actual: npt.NDArray[np.float32] = open_session(content, 1).run(
        None, {"pixels": np.full((2, CHANNELS, 4, 4), 255, np.float32)}
    )[0]
    return actual


@pytest.mark.parametrize("shared", ["nothing", "zero points", "weights"])
@pytest.mark.parametrize("layers", [1, 3])
def test_sums_do_not_saturate(shared: str, layers: int) -> None:
    """The average of pixels of 255 is 255 after each layer."""
    assert (run(net(layers, shared=shared)) == 255).all()


@pytest.mark.skipif(
    runtime.has_fast_int8() is not False, reason="this processor's own sums do not saturate"
)
def test_the_net_would_saturate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the session option, the network does saturate on such a processor."""
    monkeypatch.setattr(runtime, "has_fast_int8", lambda: True)
    assert (run(net(1)) < 200).all()


def test_a_compacted_graph_is_computed_on_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its layers keep separate zero points; shared ones would make it run in float."""
    monkeypatch.setattr(runtime, "has_fast_int8", lambda: False)
    model = onnx.load_from_string(net(3, shared="nothing"))
    compact(model.graph)
    session = open_session(model.SerializeToString(), 1)
    options = session.get_session_options()
    assert options.get_session_config_entry(runtime.UNSIGNED) == "1"
    with pytest.raises(RuntimeError):  # no such entry
        options.get_session_config_entry(runtime.IN_FLOAT)
