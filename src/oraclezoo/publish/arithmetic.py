"""Check times for plausibility, against the minimum time for the arithmetic of a result.

The bound, which no machine reaches, is the number of floating-point operations divided by the peak
rate of the fastest processors of each kind. Published results take 3 to 160 times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oraclezoo.publish.claim import Claim
from oraclezoo.publish.sizes import built_sizes, views
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import Hardware

X86 = ("x86_64", "amd64")

PEAK_FLOPS: Mapping[str, Mapping[str, float]] = {
    "x86": {"fp32": 4e11, "half": 8e12, "int8": 1.6e13},
    "cpu": {"fp32": 2e12, "half": 1.6e13, "int8": 1.6e13},
    "gpu": {"fp32": 2e14, "half": 5e15, "int8": 1e16},
}
"""Peak operations per second of one x86 thread (two 512-bit multiply-add units or one AMX unit at
6 GHz), of one thread of any other processor (a shared matrix unit, as in Apple's), and of one GPU
(twice the data-sheet peak of the fastest GPU in 2025).
"""

PASSES = 2
"""Training passes included in the count: the forward pass and the gradients of the weights. The
gradients of the activations are excluded, because fast convolution algorithms save as much.
"""

CALIBRATION_MACS = 128 * 9 * (28 * 28 * 32 * 64 + 14 * 14 * 64 * 64)
"""Multiply-accumulates of one forward pass of :func:`oraclezoo.measure.hardware.calibrate`."""


def times(claim: Claim) -> Iterator[str]:
    """Yield training times, latencies and calibration times that are below the bound."""
    result = claim.result
    hardware = result.hardware
    kind = _kind(hardware)
    threads = 1 if kind == "gpu" else hardware.threads
    calibration = 2 * PASSES * CALIBRATION_MACS / (threads * PEAK_FLOPS[kind]["fp32"])
    if hardware.calibration_s is not None and hardware.calibration_s < calibration:
        yield (
            f"hardware.calibration_s is {hardware.calibration_s:.2g}; its arithmetic takes "
            f"{calibration:.2g} s or more"
        )
    if result.model is None:
        return
    precision = "half"  # the fastest precision, unless the recipe specifies one
    if claim.recipe is not None and claim.recipe.train.precision == "fp32":
        precision = "fp32"
    operations = 2 * PASSES * _training_macs(claim)
    bound = operations / (threads * PEAK_FLOPS[kind][precision])
    for score in result.seeds:
        if score.train_s is not None and score.train_s < bound:
            yield (
                f"seed {score.seed}: train_s is {score.train_s:.2g}; {operations:.2g} operations "
                f"take {bound:.2g} s or more"
            )
        if (score.compile_s or 0) > (score.train_s or 0):
            yield f"seed {score.seed}: compile_s is larger than train_s, which includes it"
    for index, row in enumerate(result.latency):
        kind = "gpu" if row.device != "cpu" else _cpu(hardware)
        each = {"fp32": "fp32", "int8": "int8"}.get(row.precision, "half")
        peak = PEAK_FLOPS[kind][each] * (1 if kind == "gpu" else row.threads)
        least_ms = 1000 * 2 * result.model.macs * row.batch_size / peak
        if row.p50_ms < least_ms:
            yield (
                f"latency[{index}]: p50_ms is {row.p50_ms:.2g}; {row.batch_size} images take "
                f"{least_ms:.2g} ms or more"
            )


def _kind(hardware: Hardware) -> str:
    return _cpu(hardware) if hardware.device == hardware.cpu else "gpu"


def _cpu(hardware: Hardware) -> str:
    return "x86" if hardware.platform.lower().endswith(X86) else "cpu"


def _training_macs(claim: Claim) -> int:
    """Return the multiply-accumulates of the forward passes in a recipe's own training."""
    recipe, track, model = claim.recipe, claim.result.track, claim.result.model
    if recipe is None or model is None:
        return 0
    budget = recipe.budget
    steps = (track.train + recipe.data.refit * track.validation) // budget.batch_size
    return budget.epochs * steps * budget.batch_size * _macs_an_image(claim, recipe, model.macs)


def _macs_an_image(claim: Claim, recipe: Recipe, stated: int) -> int:
    """Return the minimum MACs for one view of an image; a pruned model was trained unpruned."""
    pruned = recipe.compress.steps and Variant.parse(recipe.compress.steps).left is not None
    built = built_sizes(claim, recipe) if pruned else None
    if built is not None and built.macs is not None:
        return built.macs
    return stated // max(views(recipe))
