"""Coupled channels, checked against torch-pruning and against masked channels."""

from __future__ import annotations

import copy

import pytest
import torch
import torch_pruning
from torch import nn

from helpers import prune_nets
from helpers.prune_nets import IMAGE, NETS, groups_of, net
from oraclezoo.compression.channels.choose import choose, places
from oraclezoo.compression.channels.coupled import Group, coupled
from oraclezoo.compression.channels.importance import score
from oraclezoo.compression.channels.plan import make

PER_NET = pytest.mark.parametrize("key", NETS)
CONVOLUTIONAL = ("lenet5", "oraclenet", "oraclenet-deep", "resnet18", "mobilenetv3", "efficientnet")


def random_choice(groups: tuple[Group, ...], round_to: int = 8) -> tuple[tuple[int, ...], ...]:
    scores = score("random", nn.Identity(), groups, (), 0)
    return choose(groups, scores, 0.4, scope="uniform", round_to=round_to)


@PER_NET
def test_a_cut_net_still_classifies(key: str) -> None:
    """Shapes are consistent, all classes stay, and the selected channels are gone."""
    cut, groups = net(key), groups_of(key)
    before = sum(parameter.numel() for parameter in cut.parameters())
    plan = make(cut, places(groups.groups, random_choice(groups.groups)), {})
    assert plan.removed
    logits = cut(torch.randn(2, 1, 28, 28))
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()
    assert sum(parameter.numel() for parameter in cut.parameters()) < 0.9 * before


@pytest.mark.parametrize("key", [key for key in NETS if key not in ("vit", "grouped")])
def test_the_same_channels_cut_by_torch_pruning_leave_the_same_net(key: str) -> None:
    """Tensors and logits are bit-identical."""
    own, reference, groups = net(key), net(key), groups_of(key)
    choice = random_choice(groups.groups)
    make(own, places(groups.groups, choice), {})
    reference.requires_grad_(True)
    graph = torch_pruning.DependencyGraph().build_dependency(reference, IMAGE, verbose=False)
    names = dict(reference.named_modules())
    for group, channels in zip(groups.groups, choice, strict=True):
        layer = names[group.name]
        pruner = graph.get_pruner_of_module(layer)
        graph.get_pruning_group(layer, pruner.prune_out_channels, list(channels)).prune()
    state = reference.state_dict()
    assert {k: v.shape for k, v in own.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    assert all(torch.equal(value, state[k]) for k, value in own.state_dict().items())
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(own(images), reference(images))


@pytest.mark.parametrize("key", CONVOLUTIONAL)
def test_channels_that_nobody_listens_to_can_go_without_a_trace(key: str) -> None:
    """Channels whose outgoing weights are zero do not affect the logits."""
    whole, groups = net(key), groups_of(key)
    choice = random_choice(groups.groups)
    removed = places(groups.groups, choice)
    tensors = dict(whole.named_parameters())
    readers = {cut.place for group in groups.groups for cut in group.cuts if cut.kind == "in"}
    with torch.no_grad():
        for name, dim in readers:
            tensors[name].index_fill_(dim, torch.tensor(sorted(removed[name, dim])).long(), 0.0)
    cut = copy.deepcopy(whole)
    make(cut, removed, {})
    images = torch.randn(4, 1, 28, 28)
    assert torch.allclose(cut(images), whole(images), rtol=1e-4, atol=1e-4)


def test_heads_lose_the_same_dimensions_everywhere() -> None:
    """q, k, v and projection of a ViT agree, and the attention's sizes are updated."""
    cut, groups = net("vit"), groups_of("vit")
    heads = [group for group in groups.groups if group.name.endswith("attn.qkv")]
    assert [group.size for group in heads] == [64, 64]
    choice = tuple((1, 2, 40) if group in heads else () for group in groups.groups)
    plan = make(cut, places(groups.groups, choice), {})
    attention = cut.get_submodule("blocks.0.attn")
    assert (attention.head_dim, attention.attn_dim, attention.num_heads) == (61, 183, 3)
    assert attention.scale == 61**-0.5
    assert plan.attributes["blocks.0.attn"] == {
        "attn_dim": 183,
        "head_dim": 61,
        "scale": 61**-0.5,
    }
    whole = net("vit")
    with torch.no_grad():  # dimensions that hold nothing change no product but its scale
        for block in (0, 1):
            part = whole.get_submodule(f"blocks.{block}.attn")
            rows = [64 * i + d for i in range(9) for d in (1, 2, 40)]
            part.qkv.weight[rows] = 0.0
            part.qkv.bias[rows] = 0.0
            part.fused_attn, part.scale = False, 61**-0.5
    again = copy.deepcopy(whole)
    make(again, places(groups.groups, choice), {})
    images = torch.randn(2, 1, 28, 28)
    assert torch.allclose(again(images), whole(images), rtol=1e-4, atol=1e-5)
    for block in (0, 1):
        again.get_submodule(f"blocks.{block}.attn").fused_attn = True
    assert torch.allclose(again(images), whole(images), rtol=1e-4, atol=1e-5)


def test_frozen_layers_and_the_classifier_stay_whole() -> None:
    """Whitening and classifier have reasons; a trainable first layer is pruned."""
    assert groups_of("oraclenet").whole == {
        "head": "the classifier's outputs are the classes",
        "whiten": "whiten is frozen",
    }
    assert set(groups_of("oraclenet-deep").whole) == {"head"}


def test_attention_of_unknown_form_is_left_alone() -> None:
    """Attention with norms inside the heads stays whole, with a reason."""
    result = prune_nets.REGISTRY.create(
        "backbone", "timm/vit_base_patch16_xp_224", in_chans=1, num_classes=10, image_size=32
    )
    actual = coupled(result, torch.zeros(1, 1, 32, 32))
    assert "not supported" in actual.whole["blocks.0.in_proj"]


def test_finding_groups_leaves_the_net_as_it_was() -> None:
    """Weights, requires_grad and mode do not change."""
    network = net("oraclenet").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    coupled(network, IMAGE)
    assert network.training
    assert not network.get_parameter("whiten.weight").requires_grad
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
