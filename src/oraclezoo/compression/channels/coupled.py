"""Coupled channels: tensor slices that must be pruned together, found by torch-pruning.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, arXiv:2301.12900.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

from torch import Tensor, nn

from oraclezoo.compression.channels.plan import BATCH_NORMS, Place
from oraclezoo.errors import UsageError


@dataclass(frozen=True)
class Cut:
    """A tensor dimension whose indices are removed together with the channels of a group.

    Index ``i`` is removed with channel ``roots[i]`` of the group; -1 marks an index that does not
    belong to the group. ``layer`` is the type of the layer that owns the tensor, and ``kind`` is
    the role of the dimension: out, in, norm or scale.
    """

    place: Place
    roots: tuple[int, ...]
    layer: str
    kind: str


@dataclass(frozen=True)
class Group:
    """A group of ``size`` channels; a channel is removed from all layers of the group or from none.

    ``name`` is the layer at which the trace found the group.
    """

    name: str
    size: int
    cuts: tuple[Cut, ...]

    @property
    def shape(self) -> tuple[tuple[str, str], ...]:
        """Layer types and dimension roles in the group; isomorphic groups have the same shape."""
        return tuple((cut.layer, cut.kind) for cut in self.cuts)


@dataclass(frozen=True)
class Coupled:
    """A network's groups, and the layers that are not pruned, each with the reason."""

    groups: tuple[Group, ...]
    whole: dict[str, str]


class _LeaveWholeError(Exception):
    """Raised if a group cannot be pruned; the message is the reason."""


def coupled(module: nn.Module, image: Tensor) -> Coupled:
    """Find the coupled channels of a network by a forward pass on ``image`` ``(1, C, H, W)``.

    The classifier's outputs, frozen layers, and groups that contain a layer of an unsupported type
    are not pruned. The module is not changed.

    Raises:
        UsageError: The module cannot be traced.
    """
    import torch_pruning

    net = copy.deepcopy(module).eval()
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    net.requires_grad_(True)  # torch-pruning traces the autograd graph
    last = _last_layers(net, image)
    groups, whole = list[Group](), dict[str, str]()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(net, image, verbose=False)
            traced = list(graph.get_all_groups())
    except Exception as error:  # tracing an unknown network can raise errors of any type
        text = " ".join(str(error).split())[:120]
        raise UsageError(
            f"cannot trace this backbone for pruning ({type(error).__name__}: {text})"
        ) from error
    names: dict[Any, str] = {layer: name for name, layer in net.named_modules()}
    names |= {parameter: name for name, parameter in net.named_parameters()}
    for members in traced:
        name = names[members[0].dep.target.module]
        try:
            groups.append(_group(name, members, graph, names, net, frozen, last))
        except _LeaveWholeError as reason:
            whole[name] = str(reason)
    return Coupled(tuple(groups), whole)


def _last_layers(net: nn.Module, image: Tensor) -> set[str]:
    """Return the layers whose output reaches the logits without passing through another layer."""
    layer_of: dict[Any, str] = {}

    def record(name: str) -> Any:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.grad_fn is not None:
                layer_of[output.grad_fn] = name

        return hook

    hooks = [
        layer.register_forward_hook(record(name))
        for name, layer in net.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    step: Any = net(image).grad_fn
    for handle in hooks:
        handle.remove()
    last, ahead = set[str](), [step]
    while ahead:
        step = ahead.pop()
        if step in layer_of:
            last.add(layer_of[step])
        elif step is not None:
            ahead += [before for before, _ in step.next_functions]
    return last


def _group(
    name: str,
    members: Any,
    graph: Any,
    names: dict[Any, str],
    net: nn.Module,
    frozen: set[str],
    last: set[str],
) -> Group:
    """Convert a torch-pruning group to tensor dimensions and indices. Raises _LeaveWholeError."""
    parts: list[tuple[nn.Module, str, str, list[int], list[int]]] = []
    for number, (dependency, indices) in enumerate(members):
        layer, roots = dependency.target.module, members[number].root_idxs
        is_out = graph.is_out_channel_pruning_fn(dependency.handler)
        if layer not in names:
            continue  # operations without weights
        if any(root is None for root in roots):
            raise _LeaveWholeError(f"its channels cannot be traced to {names[layer]}")
        kind = _kind(layer, is_out)
        if kind == "out" and names[layer] in last:
            raise _LeaveWholeError("the classifier's outputs are the classes")
        parts.append((layer, names[layer], kind, list(indices), list(roots)))
    for layer, where, kind, _, _ in parts:
        own = _own(layer, where)
        if kind != "in" and own and all(each in frozen for each in own):
            raise _LeaveWholeError(f"{where} is frozen")
    size = len(members[0].idxs)
    attention = _attention(parts, net)
    if attention is not None:
        return attention
    period = size
    for layer, where, kind, indices, roots in parts:
        blocks = _blocks(layer, kind)
        if blocks > 1:
            if indices != roots or len(indices) != size:
                raise _LeaveWholeError(f"the channel groups of {where} are mixed with others")
            period = gcd(period, size // blocks)
    cuts: dict[Place, Cut] = {}
    for layer, where, kind, indices, roots in parts:
        for place, length in _places(layer, where, kind, graph):
            folded = [-1] * length
            for index, root in zip(indices, roots, strict=True):
                folded[index % length] = root % period
            cut = Cut(place, tuple(folded), type(layer).__name__, kind)
            if place in cuts and cuts[place] != cut:
                raise _LeaveWholeError(f"{where} is used in more than one way")
            cuts[place] = cut
    return Group(name, period, tuple(cuts.values()))


def _own(layer: Any, name: str) -> list[str]:
    """Return the names of a layer's parameters, or the name itself if ``layer`` is a parameter."""
    if isinstance(layer, nn.Parameter):
        return [name]
    return [f"{name}.{key}" for key, _ in layer.named_parameters(recurse=False)]


def _kind(layer: Any, is_out: bool) -> str:
    if isinstance(layer, nn.Parameter):
        return "scale"
    if isinstance(layer, (nn.Conv2d, nn.Linear)) and not _is_depthwise(layer):
        return "out" if is_out else "in"
    return "norm"


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.out_channels > 1


def _blocks(layer: Any, kind: str) -> int:
    """Return the number of equally sized groups of channels that a layer treats separately."""
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    if isinstance(layer, nn.Conv2d) and kind in ("in", "out"):
        return layer.groups
    return 1


def _places(layer: Any, name: str, kind: str, graph: Any) -> Iterator[tuple[Place, int]]:
    """Yield the tensor dimensions that index a layer's channels, with their lengths."""
    if isinstance(layer, nn.Parameter):
        dim = graph.module2node[layer].pruning_dim
        yield (name, dim), layer.shape[dim]
        return
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) != 1:
        raise _LeaveWholeError(f"{name} normalizes over more than channels")
    if _is_depthwise(layer) and layer.in_channels != layer.out_channels:
        raise _LeaveWholeError(f"{name} is neither depthwise nor plain")
    known = (nn.Conv2d, nn.Linear, *BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.PReLU)
    if not isinstance(layer, known):
        if any(True for _ in layer.parameters()):
            raise _LeaveWholeError(f"{name} is a {type(layer).__name__}, which is not supported")
        return
    if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
        return
    dim = 1 if kind == "in" else 0
    own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
    lengths = {key: tensor.shape[dim] for key, tensor in own.items() if tensor.ndim > dim}
    for key, length in lengths.items():
        if length != lengths.get("weight", length) and length > 1:
            raise _LeaveWholeError(f"{name}.{key} and its weight have different sizes")
        if key == "weight" or length > 1:
            yield (f"{name}.{key}", dim), length


def _attention(parts: list[Any], net: nn.Module) -> Group | None:
    """Return the group for a timm attention: the head width, which all heads, q, k and v share."""
    for layer, where, kind, *_ in parts:
        around = where.rpartition(".")[0]
        form: Any = net.get_submodule(around)
        if kind != "out" or not hasattr(form, "num_heads") or layer is getattr(form, "proj", None):
            continue
        if not _is_plain(form) or layer is not form.qkv:
            raise _LeaveWholeError(f"{where} belongs to an attention that is not supported")
        head = form.head_dim
        cuts = [
            Cut((f"{where}.{key}", 0), tuple(i % head for i in range(len(tensor))), "qkv", "out")
            for key, tensor in layer.named_parameters()
        ]
        roots = tuple(i % head for i in range(form.attn_dim))
        cuts.append(Cut((f"{around}.proj.weight", 1), roots, "proj", "in"))
        return Group(where, head, tuple(cuts))
    return None


def _is_plain(form: Any) -> bool:
    """Return whether a module is a timm attention with one qkv matrix and without norms or gate."""
    needs = ("qkv", "proj", "head_dim", "attn_dim", "scale", "q_norm", "k_norm", "norm")
    if not all(hasattr(form, key) for key in needs) or getattr(form, "gate", None) is not None:
        return False
    if any(True for key in ("q_norm", "k_norm", "norm") for _ in getattr(form, key).parameters()):
        return False
    return bool(
        form.attn_dim == form.num_heads * form.head_dim == form.proj.in_features
        and form.qkv.out_features == 3 * form.attn_dim
    )
