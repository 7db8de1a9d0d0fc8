"""Specs of the optimizers implemented in this package. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.optimizers.specs.shared import (
    DECOUPLED,
    PENALTY,
    decay,
    facts,
    flag,
    lr,
    momentum,
    number,
)

OWN: tuple[Spec, ...] = (
    Spec(
        kind="optimizer",
        name="muon",
        target="oraclezoo.zoo.optimizers.muon:muon",
        summary="orthogonalised Nesterov momentum on convolutions and hidden layers, SGD elsewhere",
        options=(
            lr(0.2, "learning rate of the weights that Muon updates"),
            momentum(0.6, "momentum of the weights that Muon updates"),
            Option(
                "ns_steps",
                "int",
                5,
                "Newton-Schulz iterations; fewer make the update less orthogonal",
                low=1,
                high=12,
            ),
            *decay(0.0, DECOUPLED),
            number(
                "sgd_lr",
                0.3,
                "learning rate of the parameters that SGD updates; scheduled like lr",
                low=1e-8,
                high=100.0,
            ),
            number(
                "sgd_momentum",
                0.85,
                "Nesterov momentum of the parameters that SGD updates",
                low=0.0,
                high=0.9999,
            ),
        ),
        facts={
            **facts(),
            "takes": "weights of convolutions and of all linear layers except the last",
            "others": "Nesterov SGD: biases, norms, embeddings, the last linear layer",
        },
        source="Jordan et al. 2024, Muon: https://kellerjordan.github.io/posts/muon/",
    ),
    Spec(
        kind="optimizer",
        name="sam",
        target="oraclezoo.zoo.optimizers.sam:sam",
        summary="sharpness-aware minimization around SGD or AdamW; each step takes two passes, "
        "both of which count as examples",
        options=(
            Option("base", "str", "sgd", "base optimizer", choices=("sgd", "adamw")),
            lr(0.1),
            momentum(0.9, "Nesterov momentum of sgd, or beta1 of adamw"),
            number("rho", 0.05, "radius of the neighborhood", 0.0, 10.0),
            flag("adaptive", False, "scale the neighborhood by the weights (ASAM)"),
            *decay(5e-4, f"{PENALTY}; adamw: {DECOUPLED}"),
        ),
        facts=facts(separable=False, needs_closure=True),
        source="Foret et al. 2021, arXiv:2010.01412; adaptive: Kwon et al. 2021, arXiv:2102.11600",
    ),
)
