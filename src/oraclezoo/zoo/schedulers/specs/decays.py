"""Specs of schedulers that rise once at most, then fall. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.schedulers.specs.shared import lr_min_ratio, number, scheduler, warmup

_GAMMA = number("gamma", 0.1, "what the learning rate is multiplied by at each step down", 0.0, 1.0)


def _share(name: str, default: float, help: str) -> Option:
    return number(name, default, help, 0.0, 1.0)


DECAYS: tuple[Spec, ...] = (
    scheduler(
        "constant",
        "closed_form:Constant",
        "the optimizer's learning rate throughout, after a warm-up if there is one",
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
        "linear warm-up, then half a cosine to the last step",
        "Loshchilov and Hutter 2017, arXiv:1608.03983",
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "wsd",
        "closed_form:WSD",
        "linear warm-up, then stable, then decay (linear, 1-sqrt or cosine) to the last step",
        "Hu et al. 2024, arXiv:2404.06395; 1-sqrt: Haegele et al. 2024, arXiv:2405.18392",
        warmup(0.05),
        _share("decay", 0.4, "fraction of the steps, at the end, over which it falls"),
        Option(
            "shape",
            "str",
            "linear",
            "course of the fall; 1-sqrt falls fast at first, cosine slowly",
            choices=("linear", "1-sqrt", "cosine"),
        ),
        lr_min_ratio(),
    ),
    scheduler(
        "step",
        "decays:Step",
        "the learning rate, cut by a factor at equal distances",
        "torch.optim.lr_scheduler.StepLR, in parts of the training",
        number("every", 0.3, "fraction of the steps between two cuts", 0.01, 1.0),
        _GAMMA,
        warmup(),
    ),
    scheduler(
        "multistep",
        "decays:MultiStep",
        "the learning rate, cut by a factor at chosen points of the training",
        "He et al. 2016, arXiv:1512.03385; torch.optim.lr_scheduler.MultiStepLR",
        Option(
            "milestones",
            "floats",
            (0.5, 0.75),
            "fractions of the steps at which it is cut, rising",
            low=0.0,
            high=1.0,
        ),
        _GAMMA,
        warmup(),
    ),
    scheduler(
        "exponential",
        "decays:Exponential",
        "linear warm-up, then a constant factor a step",
        "torch.optim.lr_scheduler.ExponentialLR, by its end",
        number(
            "lr_end_ratio", 0.01, "last learning rate, as a fraction of the optimizer's", 1e-8, 1.0
        ),
        warmup(),
    ),
    scheduler(
        "polynomial",
        "decays:Polynomial",
        "linear warm-up, then a power of the part of the training that is left",
        "torch.optim.lr_scheduler.PolynomialLR; Chen et al. 2017, arXiv:1606.00915",
        number("power", 2.0, "the power; 1 is a line", 0.1, 10.0),
        warmup(),
        lr_min_ratio(),
    ),
    scheduler(
        "inverse-sqrt",
        "decays:InverseSqrt",
        "linear warm-up, then one over the root of the steps taken; needs no end",
        "Vaswani et al. 2017, arXiv:1706.03762",
        warmup(0.1),
    ),
    scheduler(
        "tanh",
        "decays:Tanh",
        "linear warm-up, then a fall in the shape of a hyperbolic tangent",
        "Hsueh et al. 2019, arXiv:1806.01593; timm's TanhLRScheduler",
        number("lower", -6.0, "where on the tangent it begins: the lower, the longer flat", -20, 0),
        number("upper", 3.0, "where it ends: the higher, the longer flat at the end", 0, 20),
        warmup(),
        lr_min_ratio(),
    ),
    Spec(
        kind="scheduler",
        name="plateau",
        target="oraclezoo.zoo.schedulers.plateau:plateau",
        summary="the learning rate, cut by a factor when the validation loss has ceased to fall",
        options=(
            number("factor", 0.3, "what it is multiplied by at each cut", 0.01, 0.99),
            _share("patience", 0.1, "fraction of the epochs without a lower loss that is waited"),
            _share("threshold", 1e-3, "part of itself by which a loss must be lower to count"),
            _share("cooldown", 0.0, "fraction of the epochs after a cut that are not counted"),
            number("lr_min_ratio", 1e-3, "lowest, as a fraction of the optimizer's", 0.0, 1.0),
        ),
        facts={"metric": True},
        source="torch.optim.lr_scheduler.ReduceLROnPlateau",
    ),
)
