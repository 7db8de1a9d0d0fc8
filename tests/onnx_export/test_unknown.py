"""The detector of unknown characters in PyTorch and in ONNX files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from helpers.bands import band_graph
from oraclezoo.errors import ResultError
from oraclezoo.onnx_export.detector import Detector
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.onnx_export.tempering import divide_logits
from oraclezoo.onnx_export.unknown import attach, detach

SCALE = {"mean": 0.2, "std": 0.3}


def detector(classes: int = 4) -> Detector:
    """Return a detector with random weights, rounded as they are stored."""
    torch.manual_seed(0)
    return Detector.from_bytes(Detector(classes).to_bytes(), classes)


def pictures(count: int, size: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)


def opened(content: bytes, size: int = 16) -> OnnxClassifier:
    return OnnxClassifier(content, image_size=size, classes=4, **SCALE)


def test_weights_survive_saving() -> None:
    """A second rounding to int8 changes no bit, and other weights are refused."""
    first = detector()
    again = Detector.from_bytes(first.to_bytes(), 4)
    assert again.to_bytes() == first.to_bytes()
    images = torch.from_numpy(pictures(3, 28))
    assert torch.equal(again.scores(images), first.scores(images))
    with pytest.raises(ValueError, match="do not match its layers"):
        Detector.from_bytes(first.to_bytes(), 5)


@pytest.mark.parametrize("size", [16, 64])
def test_the_graph_gets_a_second_output(size: int) -> None:
    """It equals PyTorch's scores; the probabilities stay, and a batch may be empty."""
    plain = band_graph(size=size).SerializeToString()
    content = attach(plain, detector(), **SCALE, card={})
    net, images = opened(content, size), pictures(5, size)
    probabilities, scores = net.outputs(images)
    assert scores is not None
    assert np.array_equal(probabilities, opened(plain, size).probabilities(images))
    expected = detector().scores(torch.from_numpy(images)).numpy()
    assert scores == pytest.approx(expected, abs=1e-5)
    none = net.outputs(images[:0])[1]
    assert none is not None
    assert none.shape == (0,)
    assert opened(plain, size).outputs(images)[1] is None


def test_scores_that_are_not_one_for_each_image_are_refused() -> None:
    """As many as the file likes, or values that are no scores, are not believed."""
    content = attach(band_graph().SerializeToString(), detector(), **SCALE, card={})
    for name, *operands in (
        ("Concat", "scores", "scores"),
        ("Sub", "scores", "two"),
        ("Log", "no"),
    ):
        graph = onnx.load_from_string(content)
        two = onnx.numpy_helper.from_array(np.array(2, np.float32), "two")
        no = onnx.numpy_helper.from_array(np.array([-1], np.float32), "no")
        graph.graph.initializer.extend([two, no])
        for node in graph.graph.node:
            node.output[:] = ["scores" if each == "unknown" else each for each in node.output]
        axis = {"axis": 0} if name == "Concat" else {}
        graph.graph.node.append(onnx.helper.make_node(name, operands, ["unknown"], **axis))
        with pytest.raises(ResultError, match="the scores of unknown"):
            opened(graph.SerializeToString()).outputs(pictures(3, 16))


def test_a_detector_is_replaced_and_removed() -> None:
    """Removing it gives the graph before; attaching it twice gives one output."""
    plain = detach(band_graph().SerializeToString(), {})
    once = attach(plain, detector(), **SCALE, card={})
    assert attach(once, detector(), **SCALE, card={}) == once
    graph, bare = (onnx.load_from_string(each).graph for each in (plain, detach(once, {})))
    assert [node.name for node in graph.node] == [node.name for node in bare.node]
    assert [each.name for each in bare.output] == ["probabilities"]
    assert len(bare.initializer) == len(graph.initializer)


def test_a_temperature_does_not_change_the_scores() -> None:
    """Calibration keeps the detector in the graph."""
    content = attach(band_graph().SerializeToString(), detector(), **SCALE, card={})
    warm, images = opened(divide_logits(content, 2.0, {})), pictures(4, 16)
    probabilities, scores = opened(content).outputs(images)
    actual = warm.outputs(images)
    assert np.array_equal(actual[1], scores)
    assert not np.allclose(actual[0], probabilities)
