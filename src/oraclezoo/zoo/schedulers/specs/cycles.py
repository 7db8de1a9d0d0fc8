"""Specs of cyclic schedulers. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.schedulers.specs.shared import FACTS, lr_min_ratio, number, scheduler, warmup

_CYCLE_MOMENTUM = Option(
    "cycle_momentum",
    "bool",
    False,
    "cycle momentum (or beta1) from 0.95 to 0.85 and back, inversely to the learning rate",
)


def _cycles(default: int) -> Option:
    return Option("cycles", "int", default, "number of cycles", low=1, high=100)


def _decay(default: float) -> Option:
    return number("decay", default, "peak of each cycle relative to the previous one", 0.0, 1.0)


CYCLES: tuple[Spec, ...] = (
    scheduler(
        "cosine-restarts",
        "cycles:CosineRestarts",
        "linear warm-up, then cosine annealing with warm restarts (SGDR)",
        "Loshchilov and Hutter 2017, arXiv:1608.03983; timm's CosineLRScheduler",
        _cycles(3),
        number("mult", 2.0, "length of each cycle relative to the previous one", 0.1, 10.0),
        _decay(1.0),
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "triangular",
        "cycles:Triangular",
        "triangular cyclical learning rate with decaying peaks",
        "Smith 2017, arXiv:1506.01186; torch.optim.lr_scheduler.CyclicLR",
        _cycles(4),
        _decay(0.5),
        number(
            "lr_min_ratio", 0.05, "minimum learning rate as a fraction of the optimizer's", 0.0, 1.0
        ),
    ),
    Spec(
        kind="scheduler",
        name="onecycle",
        target="oraclezoo.zoo.schedulers.onecycle:onecycle",
        summary="PyTorch's OneCycleLR over the whole training, with cosine annealing",
        options=(
            Option(
                "max_lr_ratio",
                "float",
                1.0,
                "peak as a multiple of the optimizer's learning rate",
                low=1e-6,
                high=1e4,
            ),
            Option(
                "pct_start",
                "float",
                0.3,
                "fraction of the steps that increase it",
                low=0.0,
                high=1.0,
            ),
            Option(
                "div_factor",
                "float",
                25.0,
                "peak divided by the initial learning rate",
                low=1.0,
                high=1e8,
            ),
            Option(
                "final_div_factor",
                "float",
                1e4,
                "initial divided by the final learning rate",
                low=1.0,
                high=1e8,
            ),
            _CYCLE_MOMENTUM,
        ),
        facts=FACTS,
        source="Smith and Topin 2018, arXiv:1708.07120; torch.optim.lr_scheduler.OneCycleLR",
    ),
    Spec(
        kind="scheduler",
        name="onecycle-restarts",
        target="oraclezoo.zoo.schedulers.onecycle:onecycle_restarts",
        summary="OneCycleLR as warm-up, then cosine annealing with warm restarts from the "
        "optimizer's learning rate",
        options=(
            Option(
                "lr_warmup_period", "int", 100, "steps of the one cycle", low=1, high=100_000_000
            ),
            Option(
                "lr_warmup_max",
                "float",
                3e-3,
                "peak of the one cycle for the first parameter group; others scale proportionally",
                low=1e-8,
                high=100.0,
            ),
            Option(
                "lr_half_period",
                "int",
                200,
                "steps of the first cosine period",
                low=1,
                high=100_000_000,
            ),
            Option(
                "lr_mult_period",
                "int",
                2,
                "length of each cosine period relative to the previous one",
                low=1,
                high=100,
            ),
            Option(
                "lr_min",
                "float",
                1e-5,
                "final learning rate of each cosine period, for the first parameter group; at most "
                "the optimizer's",
                low=0.0,
                high=100.0,
            ),
            _CYCLE_MOMENTUM,
        ),
        facts=FACTS,
        source="PyTorch's OneCycleLR (arXiv:1708.07120) and CosineAnnealingWarmRestarts "
        "(arXiv:1608.03983), joined by SequentialLR",
    ),
)
