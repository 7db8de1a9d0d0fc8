"""What 16-bit sums of 8-bit products do to the bundled int8 models on processors without VNNI.

Validation images of oracle-mnist-3k, never test images. Three sessions read them: ONNX Runtime by
default, with unsigned weights, and in float (oraclezoo.onnx_export.runtime). For some of the
images, each layer is also computed on integers, once with exact sums and once with pairs added in
16 bits, and both are compared with what the default session made of the same input.

    python benchmarks/saturation.py --data-dir FOLDER [--images 20] [--json] [--out FILE]

Two minutes. On a processor with VNNI the default session is exact, and only the bound says what
other processors do. benchmarks/measurements/saturation.json is what ``--out`` wrote.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from _measured import Figures, emit, positive, spread
from onnx import TensorProto, helper, numpy_helper

import oraclezoo as oz
from oraclezoo.measure import hardware
from oraclezoo.onnx_export.runtime import IN_FLOAT, UNSIGNED, has_fast_int8
from oraclezoo.serving.names import locate

SCHEMA = "oraclezoo/saturation/1"
TRACK = "oracle-mnist-3k"
MODELS = ("oraclenet_n", "oraclenet_s", "oraclenet_b")
PLAIN = "default"
ROUNDS = 15
LOWEST, HIGHEST = -(2**15), 2**15 - 1

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """A rounded layer: names of its 8-bit input and output (empty if in float), and its constants.

    ``weights`` int32 ``(O, K)``, K in the order in which the kernels sum: places of the window, and
    at each place the input channels. ``window`` is its height and width; both are 1 in a product.
    """

    given: str
    made: str
    weights: npt.NDArray[np.int32]
    bias: npt.NDArray[np.int32]
    scale: npt.NDArray[np.float32]
    zero_given: int
    zero_made: int
    window: tuple[int, int]
    pads: tuple[int, int, int, int]

    def pair_limits(self) -> npt.NDArray[np.int64]:
        """Largest sum, without its sign, that each pair of products can reach, ``(O, K / 2)``."""
        pairs = _pairs(self.weights)
        most = np.maximum(pairs, 0).sum(-1), np.maximum(-pairs, 0).sum(-1)
        return 255 * np.maximum(*most).astype(np.int64)

    def columns(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Windows of a batch ``(N, C, H, W)`` as rows ``(N * H' * W', K)``."""
        top, left, bottom, right = self.pads
        edges = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(images, edges, constant_values=self.zero_given)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window, (2, 3))
        ordered = windows.transpose(0, 2, 3, 4, 5, 1)  # images, places, window, channels
        return ordered.reshape(-1, self.weights.shape[1]).astype(np.int32)

    def rounded(self, sums: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Sums of products ``(P, O)`` as 8-bit output."""
        corrected = sums - self.zero_given * self.weights.sum(1) + self.bias
        values = np.rint(corrected.astype(np.float32) * self.scale) + self.zero_made
        return np.clip(values, 0, 255).astype(np.uint8)


def _pairs(values: Array) -> Array:
    """The last axis by twos; one that is left over has 0 beside it."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], -1)
    return values.reshape(*values.shape[:-1], -1, 2)


def layers(model: onnx.ModelProto) -> Iterator[Layer]:
    """The rounded convolutions and products of a graph with rounding nodes (QDQ)."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        source, weighted = maker[node.input[0]], maker[node.input[1]]
        if {source.op_type, weighted.op_type} != {"DequantizeLinear"}:
            continue
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if set(attributes.get("strides", [1])) != {1} or attributes.get("group", 1) != 1:
            raise ValueError(f"{node.op_type} {node.name}: strides and groups are not covered")
        weights = constants[weighted.input[0]].astype(np.int32)
        if node.op_type == "Gemm":
            weights = (weights if attributes.get("transB") else weights.T)[:, :, None, None]
        outputs = len(weights)
        after = [each for each in graph.node if node.output[0] in each.input]
        rounding = after[0] if after[0].op_type == "QuantizeLinear" else None
        bias = constants[maker[node.input[2]].input[0]] if len(node.input) > 2 else 0
        scale = constants[source.input[1]] * constants[weighted.input[1]]
        yield Layer(
            given=source.input[0],
            made=rounding.output[0] if rounding else "",
            weights=weights.transpose(0, 2, 3, 1).reshape(outputs, -1),
            bias=np.broadcast_to(np.asarray(bias, np.int32), outputs),
            scale=scale / constants[rounding.input[1]] if rounding else scale,
            zero_given=int(constants[source.input[2]]),
            zero_made=int(constants[rounding.input[2]]) if rounding else 0,
            window=(weights.shape[2], weights.shape[3]),
            pads=tuple(attributes.get("pads", (0, 0, 0, 0))),
        )


def separate(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with a separate copy of each constant per reader, as UNSIGNED requires."""
    separated = onnx.ModelProto()
    separated.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for at, node in enumerate(separated.graph.node):
        for position, name in enumerate(node.input):
            if name in constants:
                copy = separated.graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = node.input[position] = f"{name}_of_{at}_{position}"
    return separated


def session(model: onnx.ModelProto, option: str, outputs: tuple[str, ...] = ()) -> Any:
    """A session with an option, or none for PLAIN; 8-bit tensors ``shown`` are outputs too."""
    graph = separate(model)
    for name in outputs:
        graph.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UINT8, None))
    import onnxruntime  # after oraclezoo, which turns its telemetry off

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if option != PLAIN:
        options.add_session_config_entry(option, "1")
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def measure(name: str, images: npt.NDArray[np.uint8], labels: Array, some: int) -> Figures:
    """What the three sessions make of the images, and one layer after another."""
    model = onnx.load(locate(name) / "model.onnx")
    ways = (PLAIN, UNSIGNED, IN_FLOAT)
    sessions = {way: session(model, way) for way in ways}
    outputs_by_way = {way: each.run(None, {"images": images})[0] for way, each in sessions.items()}
    exact = outputs_by_way[IN_FLOAT]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, each in sessions.items():
            start = time.perf_counter()
            each.run(None, {"images": images[:1]})
            times[way].append(1000 * (time.perf_counter() - start))
    rows = [
        {
            "session": way,
            "accuracy": round(float((outputs_by_way[way].argmax(1) == labels).mean()), 4),
            "other_predictions": int((outputs_by_way[way].argmax(1) != exact.argmax(1)).sum()),
            "largest_difference": round(float(np.abs(outputs_by_way[way] - exact).max()), 6),
            "ms_batch_1": spread(times[way], 3),
        }
        for way in ways
    ]
    sample = images[np.linspace(0, len(images) - 1, some).astype(int)]
    return {"model": name, "sessions": rows, "layers": by_layer(model, sample)}


def by_layer(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> list[Figures]:
    """What each layer's pairs can reach by its weights, and what they do on the images."""
    known = list(layers(model))
    names = tuple(dict.fromkeys(name for x in known for name in (x.given, x.made) if name))
    outputs = session(model, PLAIN, names).run(list(names), {"images": images})
    tensors = dict(zip(names, outputs, strict=True))
    return [_layer(layer, tensors) for layer in known]


def _layer(layer: Layer, tensors: Mapping[str, Array]) -> Figures:
    limits = layer.pair_limits()
    figures: Figures = {
        "window": list(layer.window),
        "weights": list(layer.weights.shape),
        "largest_sum": int(limits.max()),
        "pairs": int(limits.size),
        "pairs_that_can": int((limits > HIGHEST).sum()),
        "channels_that_can": int((limits > HIGHEST).any(1).sum()),
        "channels": len(limits),
    }
    inputs = tensors[layer.given]
    columns = layer.columns(inputs if inputs.ndim == 4 else inputs[:, :, None, None])
    exact = np.empty((len(columns), len(limits)), np.int64)
    clipped = np.empty_like(exact)
    saturated = 0
    for channel, weights in enumerate(layer.weights):
        sums = _pairs(columns * weights).sum(-1, dtype=np.int32)
        short = np.clip(sums, LOWEST, HIGHEST)
        exact[:, channel], clipped[:, channel] = sums.sum(1), short.sum(1)
        saturated += int((sums != short).sum())
    figures["values"] = exact.size
    figures["pairs_that_did"] = saturated / (limits.size * len(columns))
    figures["values_that_did"] = float((exact != clipped).mean())
    if layer.made:
        output = tensors[layer.made]
        rows = output.transpose(0, 2, 3, 1).reshape(-1, len(limits))
        for what, sums in (("exact", exact), ("in_16_bits", clipped)):
            figures[f"as_computed_{what}"] = float((layer.rounded(sums) == rows).mean())
    return figures


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="the folder of Oracle-MNIST's files")
    parser.add_argument("--images", type=positive, default=20, help="images seen layer by layer")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="write that document to a file as well")
    return parser.parse_args(arguments)


def main(arguments: argparse.Namespace) -> None:
    """Measure and tell."""
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    part = dataset.split("validation")
    images = np.asarray(part.images)
    models = [measure(name, images, part.labels, arguments.images) for name in MODELS]
    data = {
        "track": TRACK,
        "split": "validation",
        "images": len(images),
        "images_by_layer": arguments.images,
        "sums_in_32_bits": has_fast_int8(),
        "hardware": hardware.describe(torch.device("cpu")),
        "libraries": hardware.libraries(),
        "models": models,
    }
    if not emit(SCHEMA, data, arguments):
        print(json.dumps(models, indent=1))


if __name__ == "__main__":
    main(parse())
