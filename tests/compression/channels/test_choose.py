"""Selection of channels: blocks, scopes, scores, and strength for a target."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.prune_nets import groups_of, net
from oraclezoo.choices import IMPORTANCES, SCOPES
from oraclezoo.compression.channels.choose import LEAST, choose
from oraclezoo.compression.channels.coupled import Group, coupled
from oraclezoo.compression.channels.importance import score
from oraclezoo.compression.channels.strength import find
from oraclezoo.errors import UsageError
from oraclezoo.measure import size

STRENGTHS = st.floats(0, 1)


def made(*sizes: int) -> tuple[Group, ...]:
    return tuple(Group(f"layer{number}", size, ()) for number, size in enumerate(sizes))


def random_scores(groups: tuple[Group, ...], seed: int = 0) -> list[torch.Tensor | None]:
    return score("random", nn.Identity(), groups, (), seed)


@given(
    sizes=st.lists(st.integers(1, 100), min_size=1, max_size=4),
    strengths=st.tuples(STRENGTHS, STRENGTHS),
    scope=st.sampled_from(SCOPES),
    round_to=st.sampled_from((1, 4, 8)),
)
def test_more_strength_takes_the_same_and_more(
    sizes: list[int], strengths: tuple[float, float], scope: str, round_to: int
) -> None:
    """Strength 0 removes nothing; groups keep a multiple of the block, and at least a tenth."""
    groups = made(*sizes)
    scores = random_scores(groups)
    weak, strong = (
        choose(groups, scores, strength, scope=scope, round_to=round_to)
        for strength in sorted(strengths)
    )
    for size_, less, more in zip(sizes, weak, strong, strict=True):
        assert set(less) <= set(more) <= set(range(size_))
        stays = size_ - len(more)
        assert stays == size_ or stays % round_to == 0
        assert stays >= LEAST * size_
        assert stays > 0
    assert not any(choose(groups, scores, 0.0, scope=scope, round_to=round_to))


def test_scopes_rank_within_and_across_layers() -> None:
    """A global ranking removes the weak layer, a uniform one half of each.

    Layers without scores stay whole.
    """
    groups = made(16, 16, 16)
    scores = [torch.linspace(0.1, 0.2, 16), torch.linspace(5, 6, 16), None]
    whole = choose(groups, scores, 0.5, scope="global", round_to=2)
    assert [len(each) for each in whole] == [14, 0, 0]
    even = choose(groups, scores, 0.5, scope="uniform", round_to=2)
    assert [len(each) for each in even] == [8, 8, 0]
    assert even[0] == tuple(range(8))


def test_isomorphic_layers_are_ranked_among_themselves() -> None:
    """MLP widths of a ViT are not ranked with heads or the residual stream."""
    groups = groups_of("vit")
    scores = [torch.full((group.size,), 1.0 + group.size) for group in groups.groups]
    choice = choose(groups.groups, scores, 0.5, scope="isomorphic", round_to=8)
    parts = {group.name: len(removed) for group, removed in zip(groups.groups, choice, strict=True)}
    assert parts["blocks.0.mlp.fc1"] + parts["blocks.1.mlp.fc1"] > 600
    assert parts["blocks.0.attn.qkv"] + parts["blocks.1.attn.qkv"] > 40
    assert parts["blocks.1.mlp.fc2"] > 70


@pytest.mark.parametrize("method", [method for method in IMPORTANCES if method != "random"])
def test_a_channel_that_does_nothing_is_the_first_to_go(method: str) -> None:
    """A channel with zero weights has the lowest score in all measures."""
    module, groups = net("oraclenet"), groups_of("oraclenet")
    tensors = dict(module.named_parameters())
    with torch.no_grad():
        for cut in groups.groups[0].cuts:
            if cut.place[0] in tensors:
                tensors[cut.place[0]].index_fill_(cut.place[1], torch.tensor([17]), 0.0)
    batches = [(torch.randn(8, 1, 28, 28), torch.arange(8))]
    scores = score(method, module, groups.groups, batches, 0)[0]
    assert scores is not None
    assert scores.argmin() == 17
    assert (scores >= 0).all()


def test_magnitude_weighs_each_layer_by_its_own_mean() -> None:
    """A layer with weights a thousand times larger does not dominate the scores."""
    net_ = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net_[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None].sqrt())
        net_[2].weight.copy_(1e3 * torch.tensor([4.0, 3.0, 2.0, 1.0]).sqrt())
    (group,) = coupled(net_, torch.zeros(1, 3)).groups
    (scores,) = score("magnitude", net_, (group,), (), 0)
    assert scores is not None
    assert torch.allclose(scores, torch.ones(4, dtype=torch.float64))


def test_taylor_foretells_the_change_of_the_loss() -> None:
    """Scores are squared changes of the loss by a small weight, relative to the mean."""
    torch.manual_seed(0)
    net_ = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    images, labels = torch.randn(40, 5), torch.arange(40) % 3
    with torch.no_grad():
        net_[2].weight.mul_(1e-3)
    (group,) = coupled(net_, torch.zeros(1, 5)).groups
    only_read = Group(group.name, 6, tuple(cut for cut in group.cuts if cut.kind == "in"))
    (scores,) = score("taylor", net_, (only_read,), [(images, labels)], 0)
    assert scores is not None
    changes = []
    with torch.no_grad():
        before = F.cross_entropy(net_(images), labels)
        for channel in range(6):
            kept = net_[2].weight[:, channel].clone()
            net_[2].weight[:, channel] = 0
            changes.append(float(F.cross_entropy(net_(images), labels) - before) ** 2)
            net_[2].weight[:, channel] = kept
    expected = torch.tensor(changes, dtype=torch.float64)
    assert torch.allclose(scores, expected / expected.mean(), rtol=0.05, atol=0.02)


def test_bn_scale_has_nothing_to_say_of_nets_without_batch_norm() -> None:
    """Groups without batch norm have no score."""
    assert score("bn-scale", net("lenet5"), groups_of("lenet5").groups, (), 0) == [None] * 3


def test_random_is_the_same_at_one_seed_only() -> None:
    """Random scores are reproducible by seed."""
    groups = made(64)
    first, again, other = (random_scores(groups, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)  # type: ignore[arg-type]  # random scores everything
    assert not torch.equal(first, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_weakest_pruning_that_meets_the_target(scope: str) -> None:
    """One block less would miss the target; the network is not changed."""
    module, groups = net("resnet18"), groups_of("resnet18")
    before = size.macs(module, in_chans=1, image_size=28)
    calls = []

    def cost(cut: nn.Module) -> float:
        calls.append(size.macs(cut, in_chans=1, image_size=28) / before)
        return calls[-1]

    best = find(
        module,
        groups.groups,
        random_scores(groups.groups),
        target=0.5,
        cost=cost,
        scope=scope,
        round_to=8,
    )
    assert 0.47 < best.cost <= 0.5
    assert size.macs(module, in_chans=1, image_size=28) == before
    assert len(calls) == len(set(calls))  # each structure once


def test_a_target_out_of_reach_says_how_far_it_goes() -> None:
    """Frozen layers and the minimum of a tenth limit the reachable cost."""
    module, groups = net("oraclenet"), groups_of("oraclenet")
    before = size.parameters(module)
    with pytest.raises(UsageError, match=r"0\.0001 cannot be reached: .* reaches 0\.0"):
        find(
            module,
            groups.groups,
            random_scores(groups.groups),
            target=1e-4,
            cost=lambda cut: size.parameters(cut) / before,
            scope="uniform",
            round_to=8,
        )
