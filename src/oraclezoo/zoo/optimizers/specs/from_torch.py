"""Specs of PyTorch's optimizers. No heavy imports."""

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

_MODULE = "oraclezoo.zoo.optimizers.torch_optimizers"


def _torch(
    name: str, algorithm: str, summary: str, source: str, *options: Option, **fixed: Any
) -> Spec:
    """Return the spec of a class in torch.optim; ``fixed`` holds arguments that are not options."""
    return Spec(
        kind="optimizer",
        name=name,
        target=f"{_MODULE}:from_torch",
        summary=summary,
        options=options,
        facts=facts(),
        source=f"torch.optim.{algorithm}; {source}",
        fixed={"algorithm": algorithm, **fixed},
    )


FROM_TORCH: tuple[Spec, ...] = (
    Spec(
        kind="optimizer",
        name="sgd",
        target=f"{_MODULE}:sgd",
        summary="stochastic gradient descent with (Nesterov) momentum",
        options=(
            lr(0.1),
            momentum(0.9),
            flag("nesterov", True, "Nesterov momentum; needs momentum above 0"),
            *decay(5e-4, PENALTY, norms=True),
        ),
        facts=facts(),
        source="torch.optim.SGD; Sutskever et al. 2013",
    ),
    Spec(
        kind="optimizer",
        name="adam",
        target=f"{_MODULE}:adam",
        summary="Adam, with weight decay (if any) as an L2 penalty",
        options=(lr(1e-3), betas(0.9, 0.999), eps(1e-8), *decay(0.0, PENALTY, norms=True)),
        facts=facts(),
        source="torch.optim.Adam; Kingma and Ba 2015, arXiv:1412.6980",
    ),
    Spec(
        kind="optimizer",
        name="adamw",
        target=f"{_MODULE}:adamw",
        summary="Adam with decoupled weight decay, by default not on biases and norms",
        options=(lr(2e-3), betas(0.9, 0.999), eps(1e-8), *decay(0.05, DECOUPLED)),
        facts=facts(),
        source="torch.optim.AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101",
    ),
    _torch(
        "nadam",
        "NAdam",
        "Adam with Nesterov momentum and a momentum warm-up",
        "Dozat 2016; decoupled decay: arXiv:1711.05101",
        lr(2e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        number("momentum_decay", 4e-3, "rate of the momentum warm-up", 0.0, 1.0),
        *decay(0.05, DECOUPLED),
        decoupled_weight_decay=True,
    ),
    _torch(
        "radam",
        "RAdam",
        "Adam with a rectified adaptive learning rate in the first steps",
        "Liu et al. 2020, arXiv:1908.03265; decoupled decay: arXiv:1711.05101",
        lr(5e-3),
        betas(0.9, 0.999),
        eps(1e-8),
        *decay(0.05, DECOUPLED),
        decoupled_weight_decay=True,
    ),
    _torch(
        "rmsprop",
        "RMSprop",
        "gradients divided by the root of a running average of their squares",
        "Tieleman and Hinton 2012, Lecture 6.5; centered: Graves 2013, arXiv:1308.0850",
        lr(1e-3),
        number("alpha", 0.99, "decay rate of the running average of squares", 0.0, 0.999999),
        eps(1e-8),
        momentum(0.9),
        flag("centered", False, "normalize by an estimate of the variance instead"),
        *decay(0.0, PENALTY),
    ),
    _torch(
        "adagrad",
        "Adagrad",
        "gradients divided by the root of the sum of all past squares",
        "Duchi et al. 2011",
        lr(0.02),
        number("lr_decay", 0.0, "learning rate decay: lr / (1 + steps * lr_decay)", 0.0, 1.0),
        number("initial_accumulator_value", 0.0, "initial value of the sums of squares", 0.0, 10.0),
        eps(1e-10),
        *decay(0.0, PENALTY),
    ),
    _torch(
        "adadelta",
        "Adadelta",
        "updates scaled by the ratio of running averages of squared updates and gradients",
        "Zeiler 2012, arXiv:1212.5701",
        lr(1.0, "factor on the update that the method computes"),
        number("rho", 0.9, "decay rate of both running averages", 0.0, 0.999999),
        eps(1e-6, "added under both roots; determines the size of the first updates"),
        *decay(0.0, PENALTY),
    ),
    _torch(
        "adamax",
        "Adamax",
        "Adam with an exponentially decayed infinity norm of the gradients",
        "Kingma and Ba 2015, arXiv:1412.6980",
        lr(4e-3),
        betas(0.9, 0.999, content="of the gradient and of its infinity norm"),
        eps(1e-8),
        *decay(0.0, PENALTY),
    ),
    _torch(
        "adafactor",
        "Adafactor",
        "relative step sizes and second moments factored by row and column",
        "Shazeer and Stern 2018, arXiv:1804.04235",
        lr(0.05, "maximum relative step size, with inverse square root decay"),
        number("beta2_decay", -0.8, "exponent of the second-moment decay over steps", -5.0, 0.0),
        number("d", 1.0, "root mean square at which updates are clipped", 1e-3, 100.0),
        *decay(0.0, DECOUPLED),
    ),
)
