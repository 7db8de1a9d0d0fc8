"""Specs of timm's optimizers. Imports light."""

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

_CAUTION = flag("caution", False, "leave out what points against the gradient; arXiv:2411.16085")
_WD_RATIO = number(
    "wd_ratio", 0.1, "decay of scale-invariant weights, as a part of weight_decay", 0.0, 1.0
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
    """The spec of an optimizer by timm's name; ``fixed`` are arguments that are no options."""
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
        "AdamW with Nesterov momentum, as the AlgoPerf baselines have it",
        "Dozat 2016; Loshchilov and Hutter 2019, arXiv:1711.05101",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "cadamw",
        "AdamW that leaves out what points against the gradient",
        "Liang et al. 2024, arXiv:2411.16085",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "lion",
        "the sign of a momentum, so that every weight moves by the learning rate",
        "Chen et al. 2023, arXiv:2302.06675",
        lr(1e-3),
        betas(0.9, 0.99, what="of the gradient in the step and of the momentum that is kept"),
        _CAUTION,
        *decay(0.1, DECOUPLED),
    ),
    _timm(
        "lamb",
        "Adam with each layer's step scaled to the length of its weights",
        "You et al. 2020, arXiv:1904.00962",
        lr(0.01),
        betas(0.9, 0.999),
        eps(1e-6),
        number("max_grad_norm", 1.0, "length to which all gradients together are cut", 1e-3, 1e6),
        flag("trust_clip", False, "scale no layer's step up"),
        _CAUTION,
        *decay(0.02, "added to Adam's step before it is scaled"),
        separable=False,  # one norm over all gradients
    ),
    _timm(
        "lars",
        "momentum SGD with each layer's step scaled to the length of its weights",
        "You et al. 2017, arXiv:1708.03888",
        lr(4.0),
        momentum(0.9),
        flag("nesterov", True, "Nesterov momentum; needs momentum above 0"),
        number("trust_coeff", 1e-3, "length of a step relative to the weights, at lr 1", 1e-6, 1.0),
        flag("trust_clip", False, "scale no layer's step up"),
        eps(1e-8),
        *decay(1e-4, PENALTY),
    ),
    _timm(
        "adan",
        "Nesterov momentum by differences of gradients, in an adaptive step",
        "Xie et al. 2022, arXiv:2208.06677",
        lr(5e-3),
        betas(
            0.98,
            0.92,
            0.99,
            what="of the means of gradients, of their differences and of squares",
        ),
        eps(1e-8),
        _CAUTION,
        *decay(0.02, "weights are divided by 1 + lr times this, after the step"),
        separable=False,  # it counts steps by group
        no_prox=False,
    ),
    _timm(
        "adopt",
        "Adam whose mean of squares leaves the present gradient out, with clipped updates",
        "Taniguchi et al. 2024, arXiv:2411.02853",
        lr(2e-3),
        betas(0.9, 0.9999),
        eps(1e-6),
        number("clip_exp", 0.333, "updates are clipped at the step to this power", 0.0, 1.0),
        _CAUTION,
        *decay(0.05, DECOUPLED),
        decoupled=True,
    ),
    _timm(
        "mars",
        "AdamW on gradients that a difference to the last one makes less noisy",
        "Yuan et al. 2024, arXiv:2411.10438",
        lr(3e-3),
        betas(0.9, 0.99),
        eps(1e-8),
        number("gamma", 0.025, "weight of the difference to the last gradient", 0.0, 1.0),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    Spec(
        kind="optimizer",
        name="kron",
        target="oraclezoo.zoo.optimizers.timm_optimizers:kron",
        summary="PSGD: momentum preconditioned by Kronecker factors that are fitted as it goes",
        options=(
            lr(1e-3),
            momentum(0.9),
            number("precond_lr", 0.1, "learning rate of the preconditioner", 1e-6, 1.0),
            *decay(0.05, DECOUPLED),
        ),
        facts=facts(separable=False),  # its random numbers are drawn in the order of parameters
        source="timm.optim 'kron'; Li 2015, arXiv:1512.04202; Pooladzandi and Li 2024, "
        "arXiv:2402.04553",
    ),
    _timm(
        "laprop",
        "Adam that takes the mean after dividing by the root of the squares, not before",
        "Ziyin et al. 2020, arXiv:2002.04839",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-15),
        _CAUTION,
        *decay(0.05, DECOUPLED),
    ),
    _timm(
        "adabelief",
        "Adam that divides by how far gradients are from their mean, not by how large they are",
        "Zhuang et al. 2020, arXiv:2010.07468",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-16),
        *decay(0.05, DECOUPLED),
        rectify=False,
    ),
    _timm(
        "adamp",
        "AdamW without the part of a step that only makes scale-invariant weights longer",
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
        "SGD without the part of a step that only makes scale-invariant weights longer",
        "Heo et al. 2021, arXiv:2006.08217",
        lr(0.1),
        momentum(0.9),
        flag("nesterov", True, "Nesterov momentum"),
        eps(1e-8),
        _DELTA,
        _WD_RATIO,
        _CAUTION,
        *decay(5e-4, "weights shrink by lr times this, divided by 1 - momentum"),
    ),
    _timm(
        "novograd",
        "momentum of gradients divided by the running norm of each layer's",
        "Ginsburg et al. 2019, arXiv:1905.11286",
        lr(0.03),
        betas(0.95, 0.98, what="of the momentum and of the squared norm"),
        eps(1e-8),
        *decay(1e-3, "added to the divided gradient, times the weight"),
    ),
    _timm(
        "madgrad",
        "dual averaging with a cube root of the sum of squares",
        "Defazio and Jelassi 2021, arXiv:2101.11075",
        lr(2e-3),
        momentum(0.9),
        eps(1e-6),
        *decay(0.0, DECOUPLED),
        decoupled_decay=True,
    ),
)
