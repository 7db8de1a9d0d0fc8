"""Pruning plans, which list the channels removed from each tensor and can be stored as JSON.

A pruned network is rebuilt from its spec and its plan; its graph need not be traced again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.errors import ResultError

SCHEMA = "oraclezoo/plan/1"

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

Place = tuple[str, int]
"""Name of a tensor, and the number of one of its dimensions."""


@dataclass(frozen=True)
class Plan:
    """Indices, in ascending order, that are removed along each tensor dimension of a network.

    ``sizes`` holds the lengths of the dimensions before pruning, ``attributes`` the attributes of
    the layers after pruning, and ``versions`` the versions of the libraries that made the plan.
    """

    removed: Mapping[Place, tuple[int, ...]]
    sizes: Mapping[Place, int]
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a model card entry; dimensions with equal indices share a cut."""
        cuts = [
            {"tensors": [list(place) for place in places], "of": of, "gone": list(indices)}
            for (indices, of), places in self._by_indices().items()
        ]
        attributes = {name: dict(values) for name, values in self.attributes.items()}
        return {
            "schema": SCHEMA,
            "cuts": cuts,
            "attributes": attributes,
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, document: object) -> Plan:
        """Parse the result of :meth:`to_json`. Raises ResultError if it is invalid."""
        try:
            return cls(**_read(document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultError(f"invalid pruning plan ({error})") from error

    def apply(self, module: nn.Module) -> nn.Module:
        """Prune a network that was built from its spec, in place, and return it.

        The network may be on device ``meta``.

        Raises:
            ResultError: The plan was made for a different network; ``module`` is then unusable.
        """
        tensors = _tensors(module)
        for (name, dim), size in self.sizes.items():
            if name not in tensors:
                raise ResultError(f"the pruning plan does not match the model: it has no {name}")
            length = tensors[name].shape[dim] if dim < tensors[name].ndim else None
            if length != size:
                raise ResultError(
                    f"the pruning plan does not match the model: dimension {dim} of {name} is "
                    f"{length}, the plan expects {size}"
                )
        attributes = _cut(module, self.removed)
        for name in {**attributes, **self.attributes}:
            if attributes.get(name) != self.attributes.get(name):
                raise ResultError(
                    f"the pruning plan does not match the model: {name} has "
                    f"{attributes.get(name)}, the plan expects {self.attributes.get(name)}"
                )
        return module

    def then(self, later: Plan) -> Plan:
        """Return this plan combined with a ``later`` plan for the network that it produces."""
        removed, sizes = dict(self.removed), {**later.sizes, **self.sizes}
        for place, indices in later.removed.items():
            before = set(self.removed.get(place, ()))
            remaining = [index for index in range(sizes[place]) if index not in before]
            removed[place] = tuple(sorted(before | {remaining[index] for index in indices}))
        attributes = {**self.attributes, **later.attributes}
        return Plan(removed, sizes, attributes, later.versions)

    def _by_indices(self) -> dict[tuple[tuple[int, ...], int], list[Place]]:
        places: dict[tuple[tuple[int, ...], int], list[Place]] = {}
        for place, indices in self.removed.items():
            places.setdefault((indices, self.sizes[place]), []).append(place)
        return places


def make(
    module: nn.Module, gone: Mapping[Place, Iterable[int]], versions: Mapping[str, str]
) -> Plan:
    """Remove the channels ``gone`` from ``module`` in place, and return the corresponding plan."""
    removed = {place: tuple(sorted(set(indices))) for place, indices in gone.items()}
    removed = {place: indices for place, indices in removed.items() if indices}
    tensors = _tensors(module)
    sizes = {(name, dim): tensors[name].shape[dim] for name, dim in removed}
    return Plan(removed, sizes, _cut(module, removed), versions)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _cut(module: nn.Module, removed: Mapping[Place, tuple[int, ...]]) -> dict[str, dict[str, Any]]:
    """Remove the channels, and return the new attributes of the layers, keyed by layer name."""
    tensors, kept = _tensors(module), dict[str, dict[int, list[int]]]()
    for (name, dim), indices in removed.items():
        without = set(indices)
        remaining = [index for index in range(tensors[name].shape[dim]) if index not in without]
        kept.setdefault(name, {})[dim] = remaining
    for name, dims in kept.items():
        _replace(module, name, _take(tensors[name], dims))
    return dict(_update_layers(module, {name.rpartition(".")[0] for name in kept}))


def _take(tensor: Tensor, kept: Mapping[int, list[int]]) -> Tensor:
    """Return a tensor with only the ``kept`` indices along the given dimensions."""
    part = tensor.detach()
    for dim, indices in kept.items():
        part = part.index_select(dim, torch.tensor(indices, device=part.device))
    return part.contiguous()


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    owner_name, _, leaf = name.rpartition(".")
    owner = module.get_submodule(owner_name)
    old = getattr(owner, leaf)
    if isinstance(old, nn.Parameter):
        setattr(owner, leaf, nn.Parameter(value, requires_grad=old.requires_grad))
    else:
        setattr(owner, leaf, value)


def _update_layers(module: nn.Module, touched: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Update the attributes of layers and attention modules to the sizes of their tensors."""
    for name, layer in module.named_modules():
        is_attention = any(f"{name}.{part}" in touched for part in ("qkv", "proj"))
        values = _attention(layer) if is_attention else _sizes(layer) if name in touched else {}
        for key, value in values.items():
            setattr(layer, key, tuple(value) if isinstance(value, list) else value)
        if values:
            yield name, values


def _sizes(layer: nn.Module) -> dict[str, Any]:
    """Return the layer attributes that are determined by the shapes of its weights."""
    if isinstance(layer, nn.Conv2d):
        outs, ins = layer.weight.shape[:2]
        if layer.groups == layer.in_channels and ins == 1 and layer.groups > 1:
            return {"in_channels": outs, "out_channels": outs, "groups": outs}
        return {"in_channels": ins * layer.groups, "out_channels": outs}
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.weight.shape[1], "out_features": layer.weight.shape[0]}
    if isinstance(layer, BATCH_NORMS):
        channels = layer.weight if layer.affine else layer.running_mean
        assert channels is not None
        return {"num_features": len(channels)}
    if isinstance(layer, nn.LayerNorm):
        return {"normalized_shape": list(layer.weight.shape)}
    if isinstance(layer, nn.GroupNorm):
        return {"num_channels": len(layer.weight)}
    if isinstance(layer, nn.PReLU):
        return {"num_parameters": len(layer.weight)}
    return {}


def _attention(layer: nn.Module) -> dict[str, Any]:
    """Return the widths and the scale of a timm attention, which its weights determine."""
    parts: Any = layer
    if not all(hasattr(layer, key) for key in ("num_heads", "head_dim", "attn_dim", "scale")):
        return {}
    width = parts.proj.weight.shape[1]
    head = width // parts.num_heads
    return {"attn_dim": width, "head_dim": head, "scale": head**-0.5}


def _read(document: Any) -> dict[str, Any]:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema is {document['schema']!r}, expected {SCHEMA!r}")
    removed: dict[Place, tuple[int, ...]] = {}
    sizes: dict[Place, int] = {}
    for cut in document["cuts"]:
        indices, of = tuple(cut["gone"]), cut["of"]
        if type(of) is not int or not all(type(index) is int for index in indices):
            raise ValueError("channel numbers must be integers")
        ordered = all(one < next_ for one, next_ in pairwise((-1, *indices, of)))
        if not ordered or not 0 < len(indices) < of:
            raise ValueError(
                f"a cut must list some, not all, of its {of} channels in ascending order"
            )
        for name, dim in cut["tensors"]:
            if type(name) is not str or type(dim) is not int or dim < 0 or (name, dim) in removed:
                raise ValueError(f"invalid or repeated tensor {name!r}, dimension {dim!r}")
            removed[name, dim], sizes[name, dim] = indices, of
    attributes = {str(key): dict(value) for key, value in document["attributes"].items()}
    versions = {str(key): str(value) for key, value in document["versions"].items()}
    return {"removed": removed, "sizes": sizes, "attributes": attributes, "versions": versions}
