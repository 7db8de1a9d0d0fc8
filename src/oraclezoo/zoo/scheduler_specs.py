"""Specs of the built-in schedulers. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

_FACTS = {"metric": False}

_WARMUP = Option(
    "warmup",
    "float",
    0.0,
    "fraction of the steps over which the learning rate rises linearly",
    low=0.0,
    high=1.0,
)
_LR_MIN_RATIO = Option(
    "lr_min_ratio",
    "float",
    0.0,
    "last learning rate, as a fraction of the optimizer's",
    low=0.0,
    high=1.0,
)
_CYCLE_MOMENTUM = Option(
    "cycle_momentum",
    "bool",
    False,
    "move momentum (or beta1) from 0.95 to 0.85 and back, against the learning rate",
)

SCHEDULERS: tuple[Spec, ...] = (
    Spec(
        kind="scheduler",
        name="constant",
        target="oraclezoo.zoo.schedulers:Constant",
        summary="the optimizer's learning rate throughout",
        facts=_FACTS,
        source="-",
    ),
    Spec(
        kind="scheduler",
        name="linear",
        target="oraclezoo.zoo.schedulers:Linear",
        summary="linear warm-up, then linear decay to the last step",
        options=(_WARMUP, _LR_MIN_RATIO),
        facts=_FACTS,
        source="Defazio et al. 2023, arXiv:2310.07831",
    ),
    Spec(
        kind="scheduler",
        name="cosine",
        target="oraclezoo.zoo.schedulers:Cosine",
        summary="linear warm-up, then half a cosine to the last step",
        options=(_WARMUP, _LR_MIN_RATIO),
        facts=_FACTS,
        source="Loshchilov and Hutter 2017, arXiv:1608.03983",
    ),
    Spec(
        kind="scheduler",
        name="wsd",
        target="oraclezoo.zoo.schedulers:WSD",
        summary="linear warm-up, then stable, then decay (linear or 1-sqrt) to the last step",
        options=(
            Option(
                "warmup",
                "float",
                0.05,
                "fraction of the steps over which the learning rate rises linearly",
                low=0.0,
                high=1.0,
            ),
            Option(
                "decay",
                "float",
                0.4,
                "fraction of the steps, at the end, over which the learning rate falls",
                low=0.0,
                high=1.0,
            ),
            Option(
                "shape",
                "str",
                "linear",
                "course of the fall; 1-sqrt falls fast at first",
                choices=("linear", "1-sqrt"),
            ),
            _LR_MIN_RATIO,
        ),
        facts=_FACTS,
        source="Hu et al. 2024, arXiv:2404.06395; 1-sqrt: Haegele et al. 2024, arXiv:2405.18392",
    ),
    Spec(
        kind="scheduler",
        name="onecycle",
        target="oraclezoo.zoo.onecycle:onecycle",
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
        facts=_FACTS,
        source="Smith and Topin 2018, arXiv:1708.07120; torch.optim.lr_scheduler.OneCycleLR",
    ),
    Spec(
        kind="scheduler",
        name="onecycle-restarts",
        target="oraclezoo.zoo.onecycle:onecycle_restarts",
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
        facts=_FACTS,
        source="torch's OneCycleLR (arXiv:1708.07120) and CosineAnnealingWarmRestarts "
        "(arXiv:1608.03983), joined by SequentialLR",
    ),
)
