"""Exported files: self-contained, any batch size, no local paths, clear errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from oraclezoo.card import CARD_KEY
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.pt2 import load_pt2, to_pt2
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.onnx_export.shipped import Shipped, Tempered

MEAN, STD = 0.3, 0.4
CARD = {"classes": ["a", "乙"]}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Return a classifier of 6x6 images with two classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 2)).eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return a few more images than fit into one batch."""
    return np.random.default_rng(0).integers(0, 256, (259, 6, 6), dtype=np.uint8)


def opened(content: bytes, **changes: int) -> OnnxClassifier:
    """Return a classifier that runs the file."""
    return OnnxClassifier(
        content, **{"image_size": 6, "classes": 2, "mean": MEAN, "std": STD, **changes}
    )


@pytest.mark.parametrize("whole", [True, False])
def test_both_signatures_give_eager_s_probabilities(
    net: nn.Module, images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], whole: bool
) -> None:
    """uint8 to probabilities, or standardized float32 to logits; both include the temperature."""
    classifier = Tempered(net, 2.0)
    module = Shipped(classifier, MEAN, STD) if whole else classifier
    content = onnx_file.to_onnx(module, in_chans=1, image_size=6, card=CARD)
    actual = opened(content)
    assert actual.preprocesses == whole
    standardized = (torch.from_numpy(images)[:, None] / 255 - MEAN) / STD
    expected = (net(standardized) / 2).softmax(1).detach().numpy()
    assert np.allclose(actual.probabilities(images), expected, atol=1e-6)
    assert actual.probabilities(images[:0]).shape == (0, 2)


def test_the_file_states_its_opset_and_card_and_nothing_of_the_machine(net: nn.Module) -> None:
    """The file has weights and card inside, and no stack traces with paths."""
    content = onnx_file.to_onnx(net, in_chans=1, image_size=6, card=CARD, opset=18)
    model = onnx.load_from_string(content)
    assert [entry.version for entry in model.opset_import] == [18]
    assert opened(content).card == CARD
    assert [entry.key for entry in model.metadata_props] == [CARD_KEY]
    assert str(Path(__file__).parents[2]).encode() not in content
    assert all(tensor.data_location == 0 for tensor in model.graph.initializer)
    again = onnx_file.to_onnx(net, in_chans=1, image_size=6, card=CARD, opset=18)
    assert again == content, "the same model gives the same bytes"


def test_a_pt2_file_carries_card_and_weights(net: nn.Module) -> None:
    """It agrees with the module at another batch size than it was traced with."""
    content = to_pt2(net, in_chans=1, image_size=6, card=CARD)
    images = torch.randn(7, 1, 6, 6)
    assert torch.equal(load_pt2(content)(images), net(images))
    import io

    extra = {CARD_KEY: ""}
    torch.export.load(io.BytesIO(content), extra_files=extra)
    assert json.loads(extra[CARD_KEY]) == CARD
    with pytest.raises(ResultError, match="cannot be read by torch"):
        load_pt2(content[: len(content) // 2])


def test_a_module_that_cannot_be_exported_says_why() -> None:
    """One line has the innermost reason, not the exporter's pages."""

    class Branches(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sum((1, 2, 3)) if images.sum() > 0 else images.mean((1, 2, 3))

    for make in (onnx_file.to_onnx, to_pt2):
        with pytest.raises(UsageError, match="cannot be exported") as caught:
            make(Branches(), in_chans=1, image_size=6, card={})
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="opset 5"):
        onnx_file.to_onnx(Branches(), in_chans=1, image_size=6, card={}, opset=5)


def test_foreign_and_broken_files_are_refused_in_one_line(net: nn.Module) -> None:
    """Other inputs, sizes or classes, truncated files and missing files."""
    content = onnx_file.to_onnx(net, in_chans=1, image_size=6, card=CARD)
    foreign = onnx.load_from_string(content)
    foreign.graph.input[0].name = foreign.graph.node[0].input[0] = "pixels"
    broken = (content[: len(content) // 2], b"", b"not ONNX")
    for arguments, changes in (
        (foreign.SerializeToString(), {}),
        (content, {"image_size": 7}),
        (content, {"classes": 3}),
        *((part, {}) for part in broken),
    ):
        with pytest.raises(ResultError, match="the ONNX file") as caught:
            opened(arguments, **changes)
        assert "\n" not in str(caught.value)
