"""Check model sizes against the recipe's backbone, built without allocating memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from oraclezoo.errors import OracleZooError
from oraclezoo.publish.claim import Claim, Unchecked
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.variants import Variant

if TYPE_CHECKING:
    from torch import nn

    from oraclezoo.plugins.registry import Registry

COUNT_ON_CPU = 50_000_000
"""Maximum number of parameters of a model that is built in memory to count its operations."""

BYTES_A_PARAMETER = {"int8": (0.5, 4.0), "fp16": (1.0, 4.0), "fp32": (2.0, 6.0)}
"""Minimum and maximum bytes per parameter in an ONNX file; batch norm is fused into weights."""

OVERSHOOT = 4.0
"""Factor by which pruning may fall below its target: small networks lose whole channel blocks."""

GRAPH_BYTES = 2**20
"""Maximum number of bytes in an ONNX file other than weights."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters, bytes of weights and buffers, and multiply-accumulates (None if unknown)."""

    parameters: int
    weight_bytes: int
    macs: int | None


def sizes(claim: Claim) -> Iterator[str]:
    """Yield sizes that differ from the sizes of the recipe's backbone."""
    stated, recipe = claim.result.model, claim.recipe
    if stated is None:
        yield Unchecked("none stated; measuring them failed")
        return
    built = None if recipe is None else built_sizes(claim, recipe)
    if recipe is None or built is None:
        missing = claim.missing
        reason = (
            f"{', '.join(missing)} not installed" if missing else "the backbone cannot be built"
        )
        yield Unchecked(reason)
        return
    steps = recipe.compress.steps
    variant = Variant.parse(steps) if steps else Variant()
    yield from _parameters(stated.parameters, built, variant)
    yield from _macs(claim, recipe, stated.macs, variant)
    if not steps and stated.size_bytes != built.weight_bytes:
        yield f"model.size_bytes is {stated.size_bytes}; the recipe gives {built.weight_bytes}"
    if steps:
        low, high = (stated.parameters * factor for factor in BYTES_A_PARAMETER[variant.precision])
        if not low <= stated.size_bytes <= high + GRAPH_BYTES:
            yield (
                f"model.size_bytes is {stated.size_bytes}; {steps} of {stated.parameters} "
                f"parameters gives {low:.0f} to {high + GRAPH_BYTES:.0f}"
            )
    yield from _memory(claim, built)


def _parameters(stated: int, built: Sizes, variant: Variant) -> Iterator[str]:
    if variant.left is None and stated != built.parameters:
        yield f"model.parameters is {stated}; the recipe gives {built.parameters}"
    if variant.left is not None:
        # operations grow with the product of a layer's input and output channels, and so do
        # parameters, unless one of the two is not pruned: then with the square of the operations
        least = built.parameters * (variant.left / 100) ** 2 / OVERSHOOT
        if not least <= stated < built.parameters:
            yield (
                f"model.parameters is {stated}; {variant} of {built.parameters} leaves more than "
                f"{least:.0f} and not all"
            )


def _macs(claim: Claim, recipe: Recipe, stated: int, variant: Variant) -> Iterator[str]:
    counts = {
        macs * count
        for macs in _countings(claim, recipe, stated, variant)
        for count in views(recipe)
    }
    if not counts:
        yield Unchecked("multiply-accumulates of this backbone cannot be counted")
    elif variant.left is None and stated not in counts:
        listed = " or ".join(map(str, sorted(counts)))
        yield f"model.macs is {stated}; the recipe gives {listed}"
    elif variant.left is not None:
        least = min(counts) * variant.left / 100 / OVERSHOOT
        if not least <= stated <= max(counts) * (variant.left + 1) / 100:
            yield f"model.macs is {stated}; {variant} keeps {variant.left}% of {max(counts)}"


def views(recipe: Recipe) -> set[int]:
    """Return the possible numbers of views per image; some data sets do not allow mirrored ones."""
    shifts = 5 if recipe.evaluate.shifts else 1
    return {shifts, 2 * shifts} if recipe.evaluate.flip else {shifts}


def _memory(claim: Claim, built: Sizes) -> Iterator[str]:
    hardware = claim.result.hardware
    most = hardware.device_memory_bytes or hardware.memory_bytes
    for score in claim.result.seeds:
        peak = score.peak_memory_bytes
        if peak is not None and peak < 2 * 4 * built.parameters:
            yield f"seed {score.seed}: {peak} bytes do not hold the weights and their gradients"
        if peak is not None and 0 < most < peak:
            yield f"seed {score.seed}: {peak} bytes of memory on a machine with {most}"


def built_sizes(claim: Claim, recipe: Recipe) -> Sizes | None:
    """Return the sizes of a recipe's backbone, or None if it cannot be built."""
    return _sizes(claim.registry, *_shape(claim, recipe), "meta")


def _countings(claim: Claim, recipe: Recipe, stated: int, variant: Variant) -> set[int]:
    """Return the possible MAC counts of one view; torch does not count attention on the CPU."""
    shape = _shape(claim, recipe)
    built = _sizes(claim.registry, *shape, "meta")
    assert built is not None
    counts = set() if built.macs is None else {built.macs}
    explained = any(macs * count == stated for macs in counts for count in views(recipe))
    if not explained and variant.left is None and built.parameters <= COUNT_ON_CPU:
        real = _sizes(claim.registry, *shape, "cpu")
        counts |= {real.macs} if real is not None and real.macs is not None else set()
    return counts


def _shape(claim: Claim, recipe: Recipe) -> tuple[str, str, int, int]:
    options = json.dumps(dict(recipe.backbone.options), sort_keys=True)
    track = claim.result.track
    return recipe.backbone.name, options, track.classes, track.image_size


@lru_cache(maxsize=64)
def _sizes(
    registry: Registry, name: str, options: str, classes: int, image_size: int, device: str
) -> Sizes | None:
    import torch

    from oraclezoo.measure import size

    chosen = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in json.loads(options).items()
    }
    if "pretrained" in chosen:  # a check must not download anything
        chosen["pretrained"] = False
    shape = {"in_chans": 1, "num_classes": classes, "image_size": image_size}
    try:
        with torch.device(device), torch.random.fork_rng([]):
            module: nn.Module = registry.create("backbone", name, **shape, **chosen)
            tensors = module.state_dict().values()
            weight_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            parameters = size.parameters(module)
            return Sizes(parameters, weight_bytes, _count(module, image_size))
    except (OracleZooError, RuntimeError, NotImplementedError, ValueError):
        return None


def _count(module: nn.Module, image_size: int) -> int | None:
    from oraclezoo.measure import size

    try:
        return size.macs(module, in_chans=1, image_size=image_size)
    except Exception:  # a backbone may use operations that the meta device does not support
        return None
