"""The network is invariant under its group."""

from __future__ import annotations

import pytest
import torch
from oraclezoo_gcnn.groups import IDENTITY, elements, inverse, multiply
from oraclezoo_gcnn.net import GCNN, GroupConv

from oraclezoo.errors import UsageError

ORDERS = {"mirror": 2, "p4": 4, "p4m": 8}


def net(group: str, **options: object) -> GCNN:
    """Build a small network with non-trivial batch norm statistics."""
    torch.manual_seed(0)
    network = GCNN(in_chans=1, num_classes=10, image_size=28, group=group, width=4, **options)  # type: ignore[arg-type]  # options vary
    with torch.no_grad():
        network.train()(torch.randn(16, 1, 28, 28))
    return network.eval()


def transforms(group: str) -> list[torch.Tensor]:
    """Return an image under each element of the group."""
    image = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    turns = range(1 if group == "mirror" else 4)
    actual = [torch.rot90(image, quarter, (2, 3)) for quarter in turns]
    return actual if group == "p4" else actual + [each.flip(3) for each in actual]


@pytest.mark.parametrize("group", ORDERS)
def test_the_elements_form_a_group(group: str) -> None:
    """The elements are closed, have inverses and the known order."""
    members = elements(group)
    assert len(set(members)) == ORDERS[group]
    assert all(multiply(a, b) in members for a in members for b in members)
    assert all(multiply(a, inverse(a)) == IDENTITY for a in members)


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("group", ORDERS)
def test_logits_do_not_change_under_the_group(group: str, pool: str) -> None:
    """Transformed images have equal logits."""
    images = transforms(group)
    assert len(images) == ORDERS[group]
    with torch.no_grad():
        logits = net(group, pool=pool)(torch.cat(images))
    assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-4)
    assert logits[0].std() > 1e-3


def test_what_is_not_in_the_group_changes_logits() -> None:
    """``mirror`` distinguishes a rotated image, and ``p4`` a mirrored one."""
    upright, mirrored = transforms("mirror")
    with torch.no_grad():
        for group, other in (("mirror", torch.rot90(upright, 1, (2, 3))), ("p4", mirrored)):
            both = net(group)(torch.cat([upright, other]))
            assert not torch.allclose(both[0], both[1], atol=1e-3)


@pytest.mark.parametrize("group", ORDERS)
def test_maps_turn_with_the_image(group: str) -> None:
    """Convolution commutes with mirroring and rotation, up to a permutation of group elements.

    For each transformation, some permutation satisfies this.
    """
    torch.manual_seed(0)
    order = ORDERS[group]
    lift, conv = GroupConv(1, 3, group, lifts=True), GroupConv(3, 2, group, lifts=False)
    image = transforms(group)[0]
    ways = [lambda x: x.flip(3)] if group != "p4" else []
    ways += [lambda x: torch.rot90(x, 1, (2, 3))] if group != "mirror" else []
    for way in ways:
        with torch.no_grad():
            moved = conv(lift(way(image))).view(2, order, 28, 28)
            still = way(conv(lift(image))).view(2, order, 28, 28)
        places = [
            [h for h in range(order) if torch.allclose(moved[:, g], still[:, h], atol=1e-4)]
            for g in range(order)
        ]
        assert sorted(places) == [[h] for h in range(order)]
        assert places != [[h] for h in range(order)]


def test_the_filters_are_shared() -> None:
    """p4m has eight feature maps per filter, but not eight times the weights."""
    conv = GroupConv(3, 2, "p4m", lifts=False)
    assert conv.weight.numel() == 2 * 3 * 8 * 9
    assert conv.filters().shape == (2 * 8, 3 * 8, 3, 3)


@pytest.mark.parametrize("size", [4, 27, 30])
def test_sizes_that_pool_unevenly_are_refused(size: int) -> None:
    """Unsupported image sizes raise a one-line error."""
    with pytest.raises(UsageError, match="a multiple of 4"):
        GCNN(in_chans=1, num_classes=10, image_size=size)
