"""Importance of channels, based on weights or on the gradient of the loss.

Each group has a float64 tensor ``(size,)`` of scores, or None if the method cannot score the group.
Channels with higher scores are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.choices import IMPORTANCES
from oraclezoo.compression.channels.coupled import Cut, Group
from oraclezoo.compression.channels.plan import BATCH_NORMS
from oraclezoo.errors import UsageError, nearest

Batches = Iterable[tuple[Tensor, Tensor]]
"""Batches of standardized images ``(N, C, H, W)`` and labels, int64 ``(N,)``."""

Scores = list[Tensor | None]


def score(
    method: str, module: nn.Module, groups: tuple[Group, ...], batches: Batches, seed: int
) -> Scores:
    """Score the channels of ``groups``; taylor uses ``batches``, random uses ``seed``.

    - magnitude: sum of a channel's squared weights relative to the layer's mean, averaged over the
      layers of the group (Li et al. 2017, arXiv:1608.08710; applied to groups as in
      arXiv:2301.12900)
    - bn-scale: absolute value of the channel's scale in batch norm (Liu et al. 2017,
      arXiv:1708.06519)
    - taylor: squared first-order change of the loss if the channel's weights were set to zero,
      averaged over batches, relative to the group's mean (Molchanov et al. 2019, arXiv:1906.10771)
    - lamp: magnitude divided by the sum of all magnitudes that are at least as large (Lee et al.
      2021, arXiv:2010.07611)
    - random: random scores, as a baseline

    ``oraclezoo.choices.IMPORTANCES`` lists the names. Raises UsageError for any other name.
    """
    if method == "taylor":
        return _taylor(module, groups, batches)
    if method == "random":
        generator = torch.Generator().manual_seed(seed)
        return [torch.rand(g.size, generator=generator, dtype=torch.float64) for g in groups]
    tensors = dict(module.named_parameters())
    if method == "bn-scale":
        return [_bn_scale(module, tensors, group) for group in groups]
    scores = [_mean_share(group, _weights(group, tensors), _squares(tensors)) for group in groups]
    if method == "magnitude":
        return scores
    if method == "lamp":
        return [_lamp(values) for values in scores]
    raise UsageError(f"unknown importance measure '{method}'{nearest(method, IMPORTANCES)}")


def _weights(group: Group, tensors: Mapping[str, Tensor]) -> list[Cut]:
    """Return the cuts for a group's weights, norm scales and layer scales, but not for biases."""
    return [
        cut
        for cut in group.cuts
        if cut.place[0] in tensors and not cut.place[0].endswith((".bias", "pos_embed"))
    ]


def _squares(tensors: Mapping[str, Tensor]) -> Callable[[Cut], Tensor]:
    def squares(cut: Cut) -> Tensor:
        return _sum_others(tensors[cut.place[0]].detach().double().square(), cut.place[1])

    return squares


def _sum_others(tensor: Tensor, dim: int) -> Tensor:
    """Sum over all dimensions except one."""
    return tensor.movedim(dim, 0).reshape(tensor.shape[dim], -1).sum(1)


def _to_roots(group: Group, cut: Cut, values: Tensor) -> Tensor:
    """Sum the values of all indices that belong to the same channel of the group."""
    roots = torch.tensor(cut.roots, device=values.device)
    assigned = roots >= 0
    total = torch.zeros(group.size, dtype=values.dtype, device=values.device)
    return total.index_add(0, roots[assigned], values[assigned])


def _mean_share(group: Group, cuts: list[Cut], of: Callable[[Cut], Tensor]) -> Tensor | None:
    """Return each channel's value divided by the mean of the cut, averaged over cuts."""
    shares = []
    for cut in cuts:
        values = _to_roots(group, cut, of(cut)).cpu()
        if values.sum() > 0:
            shares.append(values / values.mean())
    return torch.stack(shares).mean(0) if shares else None


def _bn_scale(module: nn.Module, tensors: Mapping[str, Tensor], group: Group) -> Tensor | None:
    cuts = [
        cut
        for cut in group.cuts
        if cut.place[0].endswith(".weight")
        and isinstance(module.get_submodule(cut.place[0].rpartition(".")[0]), BATCH_NORMS)
    ]
    return _mean_share(group, cuts, lambda cut: tensors[cut.place[0]].detach().double().abs())


def _lamp(scores: Tensor | None) -> Tensor | None:
    if scores is None:
        return None
    ascending, order = scores.sort(stable=True)
    not_smaller = ascending.flip(0).cumsum(0).flip(0)
    relative = torch.empty_like(scores)
    relative[order] = ascending / not_smaller
    return relative


def _taylor(module: nn.Module, groups: tuple[Group, ...], batches: Batches) -> Scores:
    net = copy.deepcopy(module).eval()
    tensors = dict(net.named_parameters())
    totals: list[Tensor | None] = [None] * len(groups)
    empty = True
    for images, labels in batches:
        net.zero_grad(set_to_none=True)
        F.cross_entropy(net(images).float(), labels).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        empty = False
        for number, group in enumerate(groups):
            parts = []
            for cut in _weights(group, tensors):
                name, dim = cut.place
                weight, grad = tensors[name].detach(), tensors[name].grad
                if grad is not None:
                    change = _sum_others(weight.double() * grad.double(), dim)
                    parts.append(_to_roots(group, cut, change).square().cpu())
            if parts:
                change, total = torch.stack(parts).mean(0), totals[number]
                totals[number] = change if total is None else total + change
    if empty:
        raise UsageError("importance taylor requires training images")
    return [None if total is None else total / (float(total.mean()) or 1.0) for total in totals]
