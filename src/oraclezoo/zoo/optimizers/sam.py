"""Sharpness-aware minimisation: descend by the gradient of the worst place nearby."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from oraclezoo.errors import UsageError
from oraclezoo.zoo.optimizers.torch_optimizers import NamedParameters, adamw, sgd, trainable

_EPS = 1e-12  # added to a norm, so that a gradient of zero moves nothing


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
    """:class:`SAM` around SGD with Nesterov momentum, or AdamW with ``momentum`` as its beta1."""
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
    """Around an optimizer: of the weights w with gradient g, the step is taken by the gradient at

        w + rho * g / |g|                     or, adaptive, at
        w + rho * |w| * |w| * g / | |w| g |   (products and |w| element by element)

    the norm being that of all parameters together. Foret et al. 2021, arXiv:2010.01412; adaptive:
    Kwon et al. 2021, arXiv:2102.11600. The closure is called twice a step, and running averages of
    batch norms move in both passes. Parameter groups and state are those of the inner optimizer;
    between steps the weights are where it has left them.
    """

    def __init__(self, inner: Optimizer, *, rho: float, adaptive: bool = False) -> None:
        self.inner, self.rho, self.adaptive = inner, rho, adaptive
        super().__init__(inner.param_groups, inner.defaults)
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the closure's loss at the weights as they were. Raises UsageError without one.

        The closure clears the gradients, computes the loss and its gradients, and returns the loss.
        """
        if closure is None:
            raise UsageError("sam needs a closure: step(closure)")
        with torch.enable_grad():
            loss = closure()
        weights = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        before = [p.clone() for p in weights]
        torch._foreach_add_(weights, self._away(weights))
        with torch.enable_grad():
            closure()
        torch._foreach_copy_(weights, before)
        self.inner.step()
        return loss

    def _away(self, weights: list[torch.Tensor]) -> list[torch.Tensor]:
        """From each weight to where the loss is about the worst within reach."""
        gradients = [p.grad for p in weights if p.grad is not None]
        sizes = torch._foreach_abs(weights)
        scaled = torch._foreach_mul(gradients, sizes) if self.adaptive else gradients
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(scaled)))
        away = torch._foreach_mul(scaled, sizes) if self.adaptive else scaled
        return list(torch._foreach_mul(away, self.rho / (norm + _EPS)))

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What :meth:`state_dict` gave."""
        self.inner.load_state_dict(state_dict)
        self._share()
