"""Specs of schedulers that go up and down. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.schedulers.specs.shared import FACTS, lr_min_ratio, number, scheduler, warmup

_CYCLE_MOMENTUM = Option(
    "cycle_momentum",
    "bool",
    False,
    "move momentum (or beta1) from 0.95 to 0.85 and back, against the learning rate",
)


def _cycles(default: int) -> Option:
    return Option("cycles", "int", default, "cycles that fill the training", low=1, high=100)


def _decay(default: float) -> Option:
    return number("decay", default, "height of each cycle's peak, relative to the last", 0.0, 1.0)


CYCLES: tuple[Spec, ...] = (
    scheduler(
        "cosine-restarts",
        "cycles:CosineRestarts",
        "linear warm-up, then cosines down, each from the top again (SGDR), to the last step",
        "Loshchilov and Hutter 2017, arXiv:1608.03983; timm's CosineLRScheduler",
        _cycles(3),
        number("mult", 2.0, "each cycle is this many times as long as the last", 0.1, 10.0),
        _decay(1.0),
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "triangular",
        "cycles:Triangular",
        "up in a line and down again, a few times, each time less high",
        "Smith 2017, arXiv:1506.01186; torch.optim.lr_scheduler.CyclicLR",
        _cycles(4),
        _decay(0.5),
        number(
            "lr_min_ratio", 0.05, "lowest learning rate, as a fraction of the optimizer's", 0.0, 1.0
        ),
    ),
    Spec(
        kind="scheduler",
        name="onecycle",
        target="oraclezoo.zoo.schedulers.onecycle:onecycle",
        summary="torch's OneCycleLR over the whole training: cosine up, cosine down",
        options=(
            Option(
                "max_lr_ratio",
                "float",
                1.0,
                "peak, as a multiple of the optimizer's learning rate",
                low=1e-6,
                high=1e4,
            ),
            Option("pct_start", "float", 0.3, "fraction of the steps that rise", low=0.0, high=1.0),
            Option(
                "div_factor",
                "float",
                25.0,
                "the first learning rate is the peak divided by this",
                low=1.0,
                high=1e8,
            ),
            Option(
                "final_div_factor",
                "float",
                1e4,
                "the last learning rate is the first divided by this",
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
        summary="a OneCycleLR first, then cosine annealing with warm restarts from the "
        "optimizer's learning rate",
        options=(
            Option(
                "lr_warmup_period", "int", 100, "steps of the one cycle", low=1, high=100_000_000
            ),
            Option(
                "lr_warmup_max",
                "float",
                3e-3,
                "peak of the one cycle, for the optimizer's first parameter group; the peaks of "
                "the others are in proportion",
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
                "each cosine period is this many times as long as the one before",
                low=1,
                high=100,
            ),
            Option(
                "lr_min",
                "float",
                1e-5,
                "learning rate that each cosine period falls to, for the first parameter group; "
                "at most the optimizer's",
                low=0.0,
                high=100.0,
            ),
            _CYCLE_MOMENTUM,
        ),
        facts=FACTS,
        source="torch's OneCycleLR (arXiv:1708.07120) and CosineAnnealingWarmRestarts "
        "(arXiv:1608.03983), joined by SequentialLR",
    ),
)
