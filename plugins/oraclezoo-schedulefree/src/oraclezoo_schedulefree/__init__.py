"""Schedule-free optimizers for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"

_SOURCE = "Defazio et al. 2024, arXiv:2405.15682; the package schedulefree"
_FACTS = {
    "needs_closure": False,
    "train_eval": True,
    "separable": False,
    "takes": "all trainable parameters",
    "others": "none",
}


def _lr(default: float) -> Option:
    return Option("lr", "float", default, "constant learning rate", low=1e-8, high=100.0)


_WARMUP = Option(
    "warmup_steps",
    "int",
    0,
    "number of steps of linear warm-up",
    low=0,
    high=100_000_000,
)
_BETAS = Option(
    "betas",
    "floats",
    (0.9, 0.999),
    "interpolation between training point and average, and decay rate of squared gradients",
    low=1e-6,
    high=0.999999,
)
_EPS = Option("eps", "float", 1e-8, "added to the denominator", low=1e-16, high=1.0)
_AVERAGE = (
    Option("r", "float", 0.0, "exponent of the step in the averaging weights", low=0.0, high=10.0),
    Option(
        "weight_lr_power",
        "float",
        2.0,
        "exponent of the largest learning rate so far in the averaging weights",
        low=0.0,
        high=10.0,
    ),
)


def _weight_decay(help: str) -> Option:
    return Option("weight_decay", "float", 0.0, help, low=0.0, high=1.0)


@hookimpl
def oraclezoo_optimizers() -> list[Spec]:
    """Return schedule-free SGD, AdamW and RAdam."""
    decoupled = _weight_decay("weight decay, for weights with two or more dimensions")
    return [
        Spec(
            kind="optimizer",
            name="sgd-schedulefree",
            target="oraclezoo_schedulefree.optimizers:sgd",
            summary="schedule-free SGD: evaluates an average of its trajectory",
            options=(
                _lr(1.0),
                Option(
                    "momentum",
                    "float",
                    0.9,
                    "interpolation between training point and average",
                    low=1e-6,
                    high=0.9999,
                ),
                _weight_decay("L2 penalty on all trainable parameters"),
                _WARMUP,
                *_AVERAGE,
            ),
            facts=_FACTS,
            source=_SOURCE,
        ),
        Spec(
            kind="optimizer",
            name="adamw-schedulefree",
            target="oraclezoo_schedulefree.optimizers:adamw",
            summary="schedule-free AdamW: evaluates an average of its trajectory",
            options=(_lr(2.5e-3), _BETAS, _EPS, decoupled, _WARMUP, *_AVERAGE),
            facts=_FACTS,
            source=_SOURCE,
        ),
        Spec(
            kind="optimizer",
            name="radam-schedulefree",
            target="oraclezoo_schedulefree.optimizers:radam",
            summary="schedule-free RAdam: evaluates an average of its trajectory; no warm-up",
            options=(_lr(2.5e-3), _BETAS, _EPS, decoupled, *_AVERAGE),
            facts=_FACTS,
            source=_SOURCE,
        ),
    ]
