"""Sharpness-aware minimization (SAM and ASAM)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from oraclezoo.errors import UsageError
from oraclezoo.zoo.optimizers.torch_optimizers import NamedParameters, adamw, sgd, trainable

_EPS = 1e-12  # added to a norm so that a zero gradient gives a zero perturbation


def sam(
    named_parameters: NamedParameters,
    *,
    base: str = "sgd",
    lr: float = 0.1,
    momentum: float = 0.9,
    rho: float = 0.05,
    adaptive: bool = False,
    weight_decay: float = 5e-4,
    decay_norms: bool = False,
) -> SAM:
    """Return :class:`SAM` with SGD (with Nesterov momentum) or AdamW as the base optimizer.

    Args:
        named_parameters: Names and parameters of the model; frozen ones are skipped.
        base: The base optimizer: ``sgd`` or ``adamw``.
        lr: Learning rate.
        momentum: Nesterov momentum of SGD, or beta1 of AdamW.
        rho: Radius of the neighborhood in which SAM maximizes the loss.
        adaptive: Whether to scale the neighborhood by the weights (ASAM).
        weight_decay: Weight decay of the base optimizer.
        decay_norms: Whether to decay biases and one-dimensional parameters too.

    Raises:
        UsageError: The model has no trainable parameters.
    """
    parameters = trainable(named_parameters)
    inner: Optimizer
    if base == "sgd":
        inner = sgd(
            parameters,
            lr=lr,
            momentum=momentum,
            nesterov=momentum > 0,
            weight_decay=weight_decay,
            decay_norms=decay_norms,
        )
    else:
        inner = adamw(
            parameters,
            lr=lr,
            betas=(momentum, 0.999),
            weight_decay=weight_decay,
            decay_norms=decay_norms,
        )
    return SAM(inner, rho=rho, adaptive=adaptive)


class SAM(Optimizer):
    """SAM: steps a base optimizer with the gradient at perturbed weights.

    The perturbed weights are::

        w + rho * g / |g|                     (SAM)
        w + rho * |w| * |w| * g / | |w| g |   (ASAM; products and |w| are elementwise)

    where w is the vector of all weights and g its gradient. SAM is from Foret et al. 2021,
    arXiv:2010.01412; the adaptive variant, ASAM, is from Kwon et al. 2021, arXiv:2102.11600. Each
    step calls the closure twice, and both passes update the running statistics of batch norm.
    Parameter groups and state are shared with the base optimizer; between steps the weights are
    unperturbed.
    """

    def __init__(self, inner: Optimizer, *, rho: float, adaptive: bool = False) -> None:
        self.inner, self.rho, self.adaptive = inner, rho, adaptive
        super().__init__(inner.param_groups, inner.defaults)
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step and return the closure's loss at the unperturbed weights.

        Args:
            closure: Function that zeroes the gradients, computes the loss, backpropagates and
                returns the loss.

        Raises:
            UsageError: The closure is missing.
        """
        if closure is None:
            raise UsageError("sam requires a closure: step(closure)")
        with torch.enable_grad():
            loss = closure()
        weights = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        before = [p.clone() for p in weights]
        torch._foreach_add_(weights, self._perturbation(weights))
        with torch.enable_grad():
            closure()
        torch._foreach_copy_(weights, before)
        self.inner.step()
        return loss

    def _perturbation(self, weights: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the ascent step to approximately the maximum loss within radius ``rho``."""
        gradients = [p.grad for p in weights if p.grad is not None]
        sizes = torch._foreach_abs(weights)
        scaled = torch._foreach_mul(gradients, sizes) if self.adaptive else gradients
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(scaled)))
        ascent = torch._foreach_mul(scaled, sizes) if self.adaptive else scaled
        return list(torch._foreach_mul(ascent, self.rho / (norm + _EPS)))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base optimizer."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state returned by :meth:`state_dict`."""
        self.inner.load_state_dict(state_dict)
        self._share()
