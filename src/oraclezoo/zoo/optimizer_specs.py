"""Specs of the built-in optimizers. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

_ALL = {
    "needs_closure": False,
    "train_eval": False,
    "separable": True,
    "takes": "all trainable parameters",
    "others": "none",
}


def _lr(default: float, help: str = "learning rate") -> Option:
    return Option("lr", "float", default, help, low=1e-8, high=100.0)


def _weight_decay(default: float, help: str) -> Option:
    return Option("weight_decay", "float", default, help, low=0.0, high=1.0)


_BETAS = Option(
    "betas",
    "floats",
    (0.9, 0.999),
    "two decay rates: of the mean of gradients and of the mean of their squares",
    low=0.0,
    high=0.999999,
)
_EPS = Option("eps", "float", 1e-8, "added to the denominator", low=1e-16, high=1.0)

OPTIMIZERS: tuple[Spec, ...] = (
    Spec(
        kind="optimizer",
        name="sgd",
        target="oraclezoo.zoo.optimizers:sgd",
        summary="stochastic gradient descent with (Nesterov) momentum",
        options=(
            _lr(0.1),
            Option("momentum", "float", 0.9, "momentum", low=0.0, high=0.9999),
            Option("nesterov", "bool", True, "Nesterov momentum; needs momentum above 0"),
            _weight_decay(5e-4, "L2 penalty, on all trainable parameters"),
        ),
        facts=_ALL,
        source="torch.optim.SGD; Sutskever et al. 2013",
    ),
    Spec(
        kind="optimizer",
        name="adam",
        target="oraclezoo.zoo.optimizers:adam",
        summary="Adam, with weight decay (if any) as an L2 penalty",
        options=(
            _lr(1e-3),
            _BETAS,
            _EPS,
            _weight_decay(0.0, "L2 penalty, on all trainable parameters"),
        ),
        facts=_ALL,
        source="torch.optim.Adam; Kingma and Ba 2015, arXiv:1412.6980",
    ),
    Spec(
        kind="optimizer",
        name="adamw",
        target="oraclezoo.zoo.optimizers:adamw",
        summary="Adam with decoupled weight decay, none on biases and norms",
        options=(
            _lr(2e-3),
            _BETAS,
            _EPS,
            _weight_decay(0.05, "decoupled, on weights of two or more dimensions"),
        ),
        facts=_ALL,
        source="torch.optim.AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101",
    ),
    Spec(
        kind="optimizer",
        name="muon",
        target="oraclezoo.zoo.muon:muon",
        summary="orthogonalised Nesterov momentum on convolutions and hidden layers, SGD elsewhere",
        options=(
            _lr(0.2, "learning rate of Muon's weights: length of a step relative to them"),
            Option("momentum", "float", 0.6, "momentum of Muon's weights", low=0.0, high=0.9999),
            Option(
                "ns_steps",
                "int",
                5,
                "Newton-Schulz iterations; fewer leave the update less orthogonal",
                low=1,
                high=12,
            ),
            _weight_decay(0.0, "decoupled, on weights of two or more dimensions"),
            Option(
                "sgd_lr",
                "float",
                0.3,
                "learning rate of the parameters that SGD updates; scheduled like lr",
                low=1e-8,
                high=100.0,
            ),
            Option(
                "sgd_momentum",
                "float",
                0.85,
                "Nesterov momentum of the parameters that SGD updates",
                low=0.0,
                high=0.9999,
            ),
        ),
        facts={
            "needs_closure": False,
            "train_eval": False,
            "separable": True,
            "takes": "weights of convolutions and of linear layers but the last",
            "others": "Nesterov SGD: biases, norms, embeddings, the last linear layer",
        },
        source="Jordan et al. 2024, Muon: https://kellerjordan.github.io/posts/muon/",
    ),
)
