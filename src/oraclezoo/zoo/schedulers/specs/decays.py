"""Specs of schedulers that decay the learning rate after an optional warm-up. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.schedulers.specs.shared import lr_min_ratio, number, scheduler, warmup

_GAMMA = number("gamma", 0.1, "multiplier of the learning rate at each reduction", 0.0, 1.0)


def _fraction(name: str, default: float, help: str) -> Option:
    return number(name, default, help, 0.0, 1.0)


DECAYS: tuple[Spec, ...] = (
    scheduler(
        "constant",
        "closed_form:Constant",
        "constant learning rate, after an optional linear warm-up",
        "-",
        warmup(later=True),
    ),
    scheduler(
        "linear",
        "closed_form:Linear",
        "linear warm-up, then linear decay to the last step",
        "Defazio et al. 2023, arXiv:2310.07831",
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "cosine",
        "closed_form:Cosine",
        "linear warm-up, then cosine decay to the last step",
        "Loshchilov and Hutter 2017, arXiv:1608.03983",
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "wsd",
        "closed_form:WSD",
        "warmup-stable-decay: linear warm-up, constant, then decay to the last step",
        "Hu et al. 2024, arXiv:2404.06395; 1-sqrt: Haegele et al. 2024, arXiv:2405.18392",
        warmup(0.05),
        _fraction("decay", 0.4, "fraction of the steps, at the end, with decay"),
        Option(
            "shape",
            "str",
            "linear",
            "shape of the decay; 1-sqrt starts fast, cosine slowly",
            choices=("linear", "1-sqrt", "cosine"),
        ),
        lr_min_ratio(),
    ),
    scheduler(
        "step",
        "decays:Step",
        "step decay at regular intervals",
        "torch.optim.lr_scheduler.StepLR, with the interval as a fraction of the training",
        number("every", 0.3, "fraction of the steps between reductions", 0.01, 1.0),
        _GAMMA,
        warmup(),
    ),
    scheduler(
        "multistep",
        "decays:MultiStep",
        "step decay at given milestones",
        "He et al. 2016, arXiv:1512.03385; torch.optim.lr_scheduler.MultiStepLR",
        Option(
            "milestones",
            "floats",
            (0.5, 0.75),
            "fractions of the steps at which to reduce it, increasing",
            low=0.0,
            high=1.0,
        ),
        _GAMMA,
        warmup(),
    ),
    scheduler(
        "exponential",
        "decays:Exponential",
        "linear warm-up, then exponential decay",
        "torch.optim.lr_scheduler.ExponentialLR, parametrised by the final learning rate",
        number(
            "lr_end_ratio", 0.01, "final learning rate as a fraction of the optimizer's", 1e-8, 1.0
        ),
        warmup(),
    ),
    scheduler(
        "polynomial",
        "decays:Polynomial",
        "linear warm-up, then polynomial decay",
        "torch.optim.lr_scheduler.PolynomialLR; Chen et al. 2017, arXiv:1606.00915",
        number("power", 2.0, "exponent; 1 is linear decay", 0.1, 10.0),
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "inverse-sqrt",
        "decays:InverseSqrt",
        "linear warm-up, then inverse square root decay, independent of the training's length",
        "Vaswani et al. 2017, arXiv:1706.03762",
        warmup(0.1),
    ),
    scheduler(
        "tanh",
        "decays:Tanh",
        "linear warm-up, then hyperbolic tangent decay",
        "Hsueh et al. 2019, arXiv:1806.01593; timm's TanhLRScheduler",
        number(
            "lower", -6.0, "tanh argument at the start; lower keeps the rate high longer", -20, 0
        ),
        number("upper", 3.0, "tanh argument at the end; higher stays low longer", 0, 20),
        warmup(),
        lr_min_ratio(),
    ),
    Spec(
        kind="scheduler",
        name="plateau",
        target="oraclezoo.zoo.schedulers.plateau:plateau",
        summary="reduce on plateau: multiply by a factor when the validation loss stops improving",
        options=(
            number("factor", 0.3, "multiplier at each reduction", 0.01, 0.99),
            _fraction("patience", 0.1, "fraction of the epochs to wait for an improvement"),
            _fraction("threshold", 1e-3, "minimum relative improvement of the loss"),
            _fraction("cooldown", 0.0, "fraction of the epochs ignored after a reduction"),
            number("lr_min_ratio", 1e-3, "minimum as a fraction of the optimizer's", 0.0, 1.0),
        ),
        facts={"metric": True},
        source="torch.optim.lr_scheduler.ReduceLROnPlateau",
    ),
)
