"""Folding of batch norm after pooling."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from oraclezoo.onnx_export import onnx_file


class Pooled(nn.Module):
    """Convolution, max-pooling, batch norm and flattening."""

    def __init__(self, scales: list[float], read_between: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, len(scales), 3), nn.BatchNorm2d(len(scales))
        self.read_between = read_between
        with torch.no_grad():
            self.norm.weight.copy_(torch.tensor(scales))
            self.norm.bias.uniform_(-1, 1)
            self.norm.running_mean.uniform_(-1, 1)
            self.norm.running_var.uniform_(0.5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = torch.max_pool2d(self.conv(images), 2)
        normed = self.norm(pooled)
        return (normed + pooled if self.read_between else normed).amax((2, 3))


@pytest.mark.parametrize(
    ("scales", "read_between", "norms"),
    [
        ([0.5, 2.0], False, 0),
        ([0.5, -2.0], False, 1),
        ([0.5, 2.0], True, 1),
        ([0.5, 0.0], False, 1),
    ],
    ids=["positive", "negative", "read elsewhere", "zero"],
)
def test_a_norm_after_pooling_goes_into_the_convolution_where_that_is_exact(
    scales: list[float], read_between: bool, norms: int
) -> None:
    """Folding needs positive scales and no other reader; outputs equal eager's in any case."""
    torch.manual_seed(0)
    net = Pooled(scales, read_between).eval()
    content = onnx_file.to_onnx(net, in_chans=1, image_size=10, card={})
    actual = Counter(node.op_type for node in onnx.load_from_string(content).graph.node)
    assert actual["BatchNormalization"] == norms
    images = torch.randn(5, 1, 10, 10)
    (logits,) = onnxruntime.InferenceSession(content).run(None, {"images": images.numpy()})
    assert np.allclose(logits, net(images).detach().numpy(), atol=1e-5)
