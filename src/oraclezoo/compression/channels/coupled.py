"""Coupled channels: which parts of a net's tensors go together, by torch-pruning's graph.

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
    """How one dimension of a tensor hangs on a group: index ``i`` goes with root ``roots[i]``.

    -1 stands for an index that another group, or none, decides. ``layer`` is the type of the layer
    that holds the tensor, ``kind`` what the dimension is to it: out, in, norm or scale.
    """

    place: Place
    roots: tuple[int, ...]
    layer: str
    kind: str


@dataclass(frozen=True)
class Group:
    """``size`` channels that exist once or more; each goes everywhere or nowhere.

    ``name`` is the layer that the group is found by, ``shape`` alike for groups of the same build.
    """

    name: str
    size: int
    cuts: tuple[Cut, ...]

    @property
    def shape(self) -> tuple[tuple[str, str], ...]:
        """The layers along the group, without their names: isomorphic groups have it in common."""
        return tuple((cut.layer, cut.kind) for cut in self.cuts)


@dataclass(frozen=True)
class Coupled:
    """The groups of a net, and for each layer that is left whole the reason."""

    groups: tuple[Group, ...]
    whole: dict[str, str]


class _LeaveWholeError(Exception):
    """A group that is not to be touched, and why."""


def coupled(module: nn.Module, image: Tensor) -> Coupled:
    """The groups of ``module``, found by one forward pass over ``image`` ``(1, C, H, W)``.

    Left whole are the classifier's outputs, layers whose weights are frozen, and what hangs on a
    layer of unknown form. The module is untouched. Raises UsageError if it cannot be traced.
    """
    import torch_pruning

    net = copy.deepcopy(module).eval()
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    net.requires_grad_(True)  # the graph is autograd's
    last = _last_layers(net, image)
    groups, whole = list[Group](), dict[str, str]()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(net, image, verbose=False)
            found = list(graph.get_all_groups())
    except Exception as error:  # whatever it meets in a net it does not know
        text = " ".join(str(error).split())[:120]
        raise UsageError(
            f"this backbone cannot be traced for pruning ({type(error).__name__}: {text})"
        ) from error
    names: dict[Any, str] = {layer: name for name, layer in net.named_modules()}
    names |= {parameter: name for name, parameter in net.named_parameters()}
    for each in found:
        name = names[each[0].dep.target.module]
        try:
            groups.append(_group(name, each, graph, names, net, frozen, last))
        except _LeaveWholeError as reason:
            whole[name] = str(reason)
    return Coupled(tuple(groups), whole)


def _last_layers(net: nn.Module, image: Tensor) -> set[str]:
    """The layers whose output is the logits, or becomes them without another layer."""
    seen: dict[Any, str] = {}

    def note(name: str) -> Any:
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.grad_fn is not None:
                seen[output.grad_fn] = name

        return hook

    hooks = [
        layer.register_forward_hook(note(name))
        for name, layer in net.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    step: Any = net(image).grad_fn
    for each in hooks:
        each.remove()
    last, ahead = set[str](), [step]
    while ahead:
        step = ahead.pop()
        if step in seen:
            last.add(seen[step])
        elif step is not None:
            ahead += [before for before, _ in step.next_functions]
    return last


def _group(
    name: str,
    found: Any,
    graph: Any,
    names: dict[Any, str],
    net: nn.Module,
    frozen: set[str],
    last: set[str],
) -> Group:
    """A group of torch-pruning's as tensors and indices. Raises _LeaveWholeError."""
    parts: list[tuple[nn.Module, str, str, list[int], list[int]]] = []
    for number, (dependency, indices) in enumerate(found):
        layer, roots = dependency.target.module, found[number].root_idxs
        is_out = graph.is_out_channel_pruning_fn(dependency.handler)
        if layer not in names:
            continue  # an operation without weights
        if any(root is None for root in roots):
            raise _LeaveWholeError(f"its channels cannot be followed to {names[layer]}")
        kind = _kind(layer, is_out)
        if kind == "out" and names[layer] in last:
            raise _LeaveWholeError("the classifier's outputs are the classes")
        parts.append((layer, names[layer], kind, list(indices), list(roots)))
    for layer, where, kind, _, _ in parts:
        own = _own(layer, where)
        if kind != "in" and own and all(each in frozen for each in own):
            raise _LeaveWholeError(f"{where} is frozen")
    size = len(found[0].idxs)
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
    """Names of a layer's parameters, or of the parameter itself."""
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
    """Into how many channel groups of one size a layer's channels fall."""
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    if isinstance(layer, nn.Conv2d) and kind in ("in", "out"):
        return layer.groups
    return 1


def _places(layer: Any, name: str, kind: str, graph: Any) -> Iterator[tuple[Place, int]]:
    """The tensors, their dimensions and lengths, in which a layer's channels are."""
    if isinstance(layer, nn.Parameter):
        dim = graph.module2node[layer].pruning_dim
        yield (name, dim), layer.shape[dim]
        return
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) != 1:
        raise _LeaveWholeError(f"{name} normalises over more than channels")
    if _is_depthwise(layer) and layer.in_channels != layer.out_channels:
        raise _LeaveWholeError(f"{name} is neither depthwise nor plain")
    known = (nn.Conv2d, nn.Linear, *BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.PReLU)
    if not isinstance(layer, known):
        if any(True for _ in layer.parameters()):
            raise _LeaveWholeError(f"{name} is a {type(layer).__name__}, of unknown form")
        return
    if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
        return
    dim = 1 if kind == "in" else 0
    own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
    lengths = {key: tensor.shape[dim] for key, tensor in own.items() if tensor.ndim > dim}
    for key, length in lengths.items():
        if length != lengths.get("weight", length) and length > 1:
            raise _LeaveWholeError(f"{name}.{key} has another size than its weight")
        if key == "weight" or length > 1:
            yield (f"{name}.{key}", dim), length


def _attention(parts: list[Any], net: nn.Module) -> Group | None:
    """The widths of the heads of timm's attention, which all heads and q, k and v share."""
    for layer, where, kind, *_ in parts:
        around = where.rpartition(".")[0]
        form: Any = net.get_submodule(around)
        if kind != "out" or not hasattr(form, "num_heads") or layer is getattr(form, "proj", None):
            continue
        if not _is_plain(form) or layer is not form.qkv:
            raise _LeaveWholeError(f"{where} is of an attention of unknown form")
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
    """Whether it is timm's attention with one matrix for q, k and v, and nothing in between."""
    needs = ("qkv", "proj", "head_dim", "attn_dim", "scale", "q_norm", "k_norm", "norm")
    if not all(hasattr(form, key) for key in needs) or getattr(form, "gate", None) is not None:
        return False
    if any(True for key in ("q_norm", "k_norm", "norm") for _ in getattr(form, key).parameters()):
        return False
    return bool(
        form.attn_dim == form.num_heads * form.head_dim == form.proj.in_features
        and form.qkv.out_features == 3 * form.attn_dim
    )
