"""Specs of timm's optimizers. No heavy imports."""

from __future__ import annotations

from typing import Any

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.optimizers.specs.shared import (
    DECOUPLED,
    PENALTY,
    betas,
    decay,
    eps,
    facts,
    flag,
    lr,
    momentum,
    number,
)

_CAUTION = flag(
    "caution", False, "cautious updates: mask components that oppose the gradient; arXiv:2411.16085"
)
_WD_RATIO = number(
    "wd_ratio", 0.1, "weight decay of scale-invariant weights, relative to weight_decay", 0.0, 1.0
)
_DELTA = number("delta", 0.1, "cosine below which a weight counts as scale-invariant", 0.0, 1.0)


def _timm(
    name: str,
    summary: str,
    source: str,
    *options: Option,
    algorithm: str = "",
    separable: bool = True,
    **fixed: Any,
) -> Spec:
    """Return the spec of a timm optimizer; ``fixed`` holds arguments that are not options."""
    algorithm = algorithm or name
    return Spec(
        kind="optimizer",
        name=name,
        target="oraclezoo.zoo.optimizers.timm_optimizers:from_timm",
        summary=summary,
        options=options,
        facts=facts(separable=separable),
        source=f"timm.optim '{algorithm}'; {source}",
        fixed={"algorithm": algorithm, **fixed},
    )


FROM_TIMM: tuple[Spec, ...] = (
    _timm(
        "nadamw",
        "AdamW with Nesterov momentum, as in the AlgoPerf baselines",
        "Dozat 2016; Loshchilov and Hutter 2019, arXiv:1711.05101",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "cadamw",
        "AdamW with cautious updates: components that oppose the gradient are masked",
        "Liang et al. 2024, arXiv:2411.16085",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "lion",
        "sign of an interpolated momentum as the update",
        "Chen et al. 2023, arXiv:2302.06675",
        lr(1e-3),
        betas(0.9, 0.99, content="of the momentum in the update and of the stored momentum"),
        _CAUTION,
        *decay(0.1, DECOUPLED),
    ),
    _timm(
        "lamb",
        "Adam with layer-wise adaptive learning rates (trust ratio)",
        "You et al. 2020, arXiv:1904.00962",
        lr(0.01),
        betas(0.9, 0.999),
        eps(1e-6),
        number("max_grad_norm", 1.0, "global gradient norm at which to clip", 1e-3, 1e6),
        flag("trust_clip", False, "clip the trust ratio at 1"),
        _CAUTION,
        *decay(0.02, "this times the weight is added to Adam's update before scaling"),
        separable=False,  # computes a norm over all gradients
    ),
    _timm(
        "lars",
        "momentum SGD with layer-wise adaptive learning rates (trust ratio)",
        "You et al. 2017, arXiv:1708.03888",
        lr(4.0),
        momentum(0.9),
        flag("nesterov", True, "Nesterov momentum; needs momentum above 0"),
        number(
            "trust_coeff", 1e-3, "trust coefficient: update norm relative to weight norm", 1e-6, 1.0
        ),
        flag("trust_clip", False, "clip the trust ratio at 1"),
        eps(1e-8),
        *decay(1e-4, PENALTY),
    ),
    _timm(
        "adan",
        "adaptive Nesterov momentum from gradient differences",
        "Xie et al. 2022, arXiv:2208.06677",
        lr(5e-3),
        betas(
            0.98,
            0.92,
            0.99,
            content="of gradients, of their differences and of squares",
        ),
        eps(1e-8),
        _CAUTION,
        *decay(0.02, "proximal weight decay: weights are divided by 1 + lr times this"),
        separable=False,  # counts steps per group
        no_prox=False,
    ),
    _timm(
        "adopt",
        "Adam whose second moment excludes the current gradient, with clipped updates",
        "Taniguchi et al. 2024, arXiv:2411.02853",
        lr(2e-3),
        betas(0.9, 0.9999),
        eps(1e-6),
        number("clip_exp", 0.333, "updates are clipped at step ** clip_exp", 0.0, 1.0),
        _CAUTION,
        *decay(0.05, DECOUPLED),
        decoupled=True,
    ),
    _timm(
        "mars",
        "AdamW on variance-reduced gradients",
        "Yuan et al. 2024, arXiv:2411.10438",
        lr(3e-3),
        betas(0.9, 0.99),
        eps(1e-8),
        number("gamma", 0.025, "weight of the difference from the previous gradient", 0.0, 1.0),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    Spec(
        kind="optimizer",
        name="kron",
        target="oraclezoo.zoo.optimizers.timm_optimizers:kron",
        summary="PSGD: momentum with an online Kronecker-factored preconditioner",
        options=(
            lr(1e-3),
            momentum(0.9),
            number("precond_lr", 0.1, "learning rate of the preconditioner", 1e-6, 1.0),
            *decay(0.05, DECOUPLED),
        ),
        facts=facts(separable=False),  # draws random numbers in the order of the parameters
        source="timm.optim 'kron'; Li 2015, arXiv:1512.04202; Pooladzandi and Li 2024, "
        "arXiv:2402.04553",
    ),
    _timm(
        "laprop",
        "Adam that averages normalized gradients instead of normalizing the average",
        "Ziyin et al. 2020, arXiv:2002.04839",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-15),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "adabelief",
        "Adam normalized by the deviation of gradients from their running average",
        "Zhuang et al. 2020, arXiv:2010.07468",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-16),
        *decay(0.05, DECOUPLED),
        rectify=False,
    ),
    _timm(
        "adamp",
        "AdamW that projects out radial updates of scale-invariant weights",
        "Heo et al. 2021, arXiv:2006.08217",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        _DELTA,
        _WD_RATIO,
        flag("nesterov", False, "Nesterov momentum"),
        _CAUTION,
        *decay(0.02, DECOUPLED),
    ),
    _timm(
        "sgdp",
        "SGD that projects out radial updates of scale-invariant weights",
        "Heo et al. 2021, arXiv:2006.08217",
        lr(0.1),
        momentum(0.9),
        flag("nesterov", True, "Nesterov momentum"),
        eps(1e-8),
        _DELTA,
        _WD_RATIO,
        _CAUTION,
        *decay(5e-4, "decoupled weight decay, scaled by lr / (1 - momentum)"),
    ),
    _timm(
        "novograd",
        "momentum of gradients normalized per layer",
        "Ginsburg et al. 2019, arXiv:1905.11286",
        lr(0.03),
        betas(0.95, 0.98, content="of the momentum and of the squared norm"),
        eps(1e-8),
        *decay(1e-3, "this times the weight is added to the normalized gradient"),
    ),
    _timm(
        "madgrad",
        "dual averaging with a cube-root denominator",
        "Defazio and Jelassi 2021, arXiv:2101.11075",
        lr(2e-3),
        momentum(0.9),
        eps(1e-6),
        *decay(0.0, DECOUPLED),
        decoupled_decay=True,
    ),
)
