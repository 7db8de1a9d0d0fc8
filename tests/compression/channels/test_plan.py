"""Pruning plans as JSON: application and errors."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import nn

from helpers.prune_nets import NETS, groups_of, net
from oraclezoo.compression.channels.choose import choose, places
from oraclezoo.compression.channels.importance import score
from oraclezoo.compression.channels.plan import Plan, make
from oraclezoo.errors import ResultError


def cut(key: str, strength: float = 0.3, seed: int = 0) -> tuple[nn.Module, Plan]:
    """Return a pruned network and its plan."""
    module, groups = net(key), groups_of(key)
    scores = score("random", module, groups.groups, (), seed)
    choice = choose(groups.groups, scores, strength, scope="uniform", round_to=4)
    return module, make(module, places(groups.groups, choice), {"torch": "x"})


@pytest.mark.parametrize("key", NETS)
def test_a_fresh_net_cut_by_the_plan_takes_the_weights_and_gives_the_same(key: str) -> None:
    """Logits are bit-identical after a JSON round trip, and layers have their new sizes."""
    before, plan = cut(key)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    fresh = again.apply(net(key, seed=1))
    fresh.load_state_dict(before.state_dict())
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(fresh(images), before(images))
    assert repr(fresh) == repr(before)
    frozen = [name for name, p in before.named_parameters() if not p.requires_grad]
    assert [name for name, p in fresh.named_parameters() if not p.requires_grad] == frozen


def test_the_outline_of_a_net_is_cut_without_memory() -> None:
    """Plans apply on device ``meta``, where models are checked before they are built."""
    before, plan = cut("mobilenetv3")
    with torch.device("meta"):
        outline = plan.apply(net("mobilenetv3")).state_dict()
    shapes = {key: value.shape for key, value in before.state_dict().items()}
    assert {key: value.shape for key, value in outline.items()} == shapes


@pytest.mark.parametrize("key", ["lenet5", "oraclenet", "vit", "grouped"])
def test_two_plans_make_one(key: str) -> None:
    """The second plan's indices are translated to the unpruned network."""
    from oraclezoo.compression.channels.coupled import coupled

    once, first = cut(key)
    groups = coupled(once, torch.zeros(1, 1, 28, 28)).groups
    scores = score("random", once, groups, (), 7)
    choice = choose(groups, scores, 0.3, scope="global", round_to=2)
    twice = copy.deepcopy(once)
    second = make(twice, places(groups, choice), {})
    both = first.then(second).apply(net(key))
    state = both.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in twice.state_dict().items())
    assert repr(both) == repr(twice)


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    first = {**document["cuts"][0], **changes}
    return {**document, "cuts": [first, *document["cuts"][1:]]}


GOOD = cut("lenet5")[1].to_json()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        "plan",
        {**GOOD, "schema": "oraclezoo/plan/9"},
        {**GOOD, "cuts": {}},
        {**GOOD, "cuts": [3]},
        {**GOOD, "attributes": 3},
        {**GOOD, "versions": None},
        {key: value for key, value in GOOD.items() if key != "cuts"},
        changed(GOOD, gone=[]),
        changed(GOOD, gone=[2, 1]),
        changed(GOOD, gone=[1, 1]),
        changed(GOOD, gone=[-1, 1]),
        changed(GOOD, gone=[0, 10**12]),
        changed(GOOD, gone=[True]),
        changed(GOOD, gone=["1"]),
        changed(GOOD, of=1.5),
        changed(GOOD, of=0),
        changed(GOOD, tensors=[["conv1.weight"]]),
        changed(GOOD, tensors=[["conv1.weight", -1]]),
        changed(GOOD, tensors=[[3, 0]]),
        changed(GOOD, tensors=2 * GOOD["cuts"][0]["tensors"]),
    ],
)
def test_a_broken_plan_is_one_clear_error(document: object) -> None:
    """Any invalid JSON raises a one-line error."""
    with pytest.raises(ResultError, match=r"(the|invalid) pruning plan"):
        Plan.from_json(document).apply(net("lenet5"))


@pytest.mark.parametrize("key", ["lenet5", "oraclenet-wide-flat", "resnet18"])
def test_a_plan_of_another_net_does_not_fit(key: str) -> None:
    """A tensor is missing or has another size."""
    with pytest.raises(ResultError, match="the pruning plan does not match"):
        cut(key)[1].apply(net("oraclenet"))


def test_attributes_that_do_not_follow_from_the_cuts_are_refused() -> None:
    """Attributes that contradict the cuts are rejected."""
    document = copy.deepcopy(GOOD)
    document["attributes"]["conv1"]["out_channels"] += 1
    with pytest.raises(ResultError, match="does not match the model: conv1 has"):
        Plan.from_json(document).apply(net("lenet5"))
    del document["attributes"]["conv1"]
    with pytest.raises(ResultError, match="does not match"):
        Plan.from_json(document).apply(net("lenet5"))
