"""Nets to prune in tests: every build of layer that pruning knows, at 28 pixels."""

from __future__ import annotations

import functools

import torch
from torch import nn

from oraclezoo.compression.channels.coupled import Coupled, coupled
from oraclezoo.plugins.registry import build_registry

IMAGE = torch.zeros(1, 1, 28, 28)
REGISTRY = build_registry()

OWN: dict[str, tuple[str, dict[str, object]]] = {
    "lenet5": ("lenet5", {}),
    "oraclenet": ("oraclenet", {}),
    "oraclenet-wide-flat": ("oraclenet", {"width": 0.5, "depth": 0}),
    "oraclenet-deep": ("oraclenet", {"width": 0.5, "depth": 2, "whiten": False}),
}
TIMM: dict[str, tuple[str, dict[str, object]]] = {
    "resnet18": ("resnet18", {}),
    "mobilenetv3": ("mobilenetv3_small_100", {}),
    "efficientnet": ("efficientnet_b0", {}),
    "convnext": ("convnext_atto", {}),
    "vit": ("vit_tiny", {"depth": 2}),
    "grouped": ("timm/regnetx_002", {}),
}
NETS = {**OWN, **TIMM, "dense": ("", {})}


class Dense(nn.Module):
    """Layers that read what all before them wrote, side by side; with group norm and PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 24, 3, padding=1)
        self.norm, self.act = nn.BatchNorm2d(40), nn.PReLU(40)
        self.third, self.groups = nn.Conv2d(40, 32, 3, stride=2), nn.GroupNorm(4, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = self.act(self.norm(torch.cat([x, self.second(x.relu())], 1)))
        logits: torch.Tensor = self.head(self.groups(self.third(x)).relu().mean((2, 3)))
        return logits


def net(key: str, seed: int = 0) -> nn.Module:
    """A fresh net; its norms' scales and statistics are random, as if it were trained."""
    name, options = NETS[key]
    torch.manual_seed(seed)
    shape = {"in_chans": 1, "num_classes": 10, "image_size": 28}
    output: nn.Module = REGISTRY.create("backbone", name, **shape, **options) if name else Dense()
    for layer in output.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.LayerNorm)) and layer.weight is not None:
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            nn.init.normal_(layer.running_mean, std=0.1)
    return output.eval()


@functools.cache
def groups_of(key: str) -> Coupled:
    """The coupled channels of a net."""
    return coupled(net(key), IMAGE)
