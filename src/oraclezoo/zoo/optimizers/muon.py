"""Muon: an optimizer that orthogonalizes momentum by Newton-Schulz iterations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from oraclezoo.zoo.optimizers.torch_optimizers import NamedParameters, trainable

_QUINTIC = (3.4445, -4.7750, 2.0315)  # from K. Jordan: steep at 0, then within 0.3 of 1
_EPS = 1e-7  # added to a norm so that a zero gradient gives a zero update


def muon(
    named_parameters: NamedParameters,
    *,
    lr: float = 0.2,
    momentum: float = 0.6,
    ns_steps: int = 5,
    weight_decay: float = 0.0,
    decay_norms: bool = False,
    sgd_lr: float = 0.3,
    sgd_momentum: float = 0.85,
) -> Muon:
    """Return an optimizer that uses Muon for hidden weights and Nesterov SGD for the rest.

    Muon updates parameters named ``...weight`` with two or more dimensions (convolutions and linear
    layers), except the last two-dimensional one, which belongs to the classifier. SGD updates the
    classifier, biases, normalization layers and all other parameters.

    Args:
        named_parameters: Names and parameters of the model; frozen ones are skipped.
        lr: Learning rate for the parameters that Muon updates.
        momentum: Momentum for the parameters that Muon updates.
        ns_steps: Number of Newton-Schulz iterations.
        weight_decay: Decoupled weight decay.
        decay_norms: Whether to decay one-dimensional parameters too.
        sgd_lr: Learning rate for the other parameters.
        sgd_momentum: Nesterov momentum for the other parameters.

    Raises:
        UsageError: The model has no trainable parameters.
    """
    parameters = trainable(named_parameters)
    hidden = [(name, p) for name, p in parameters if _is_hidden_weight(name, p)]
    linear = [p for _, p in hidden if p.ndim == 2]
    head = linear[-1] if linear else None
    matrices = [p for _, p in hidden if p is not head]
    ids = {id(p) for p in matrices}
    others = [p for _, p in parameters if id(p) not in ids]
    sgd = {"method": "sgd", "lr": sgd_lr, "momentum": sgd_momentum}
    groups: list[dict[str, Any]] = [
        {"params": matrices, "method": "muon", "lr": lr, "momentum": momentum},
        {"params": [p for p in others if p.ndim >= 2], **sgd},
        {
            "params": [p for p in others if p.ndim < 2],
            **sgd,
            "weight_decay": weight_decay if decay_norms else 0.0,
        },
    ]
    return Muon(
        [group for group in groups if group["params"]],
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        ns_steps=ns_steps,
    )


class Muon(Optimizer):
    """Muon for groups with ``method="muon"``, Nesterov SGD for groups with ``method="sgd"``.

    The update of a weight W of shape (out, ...), flattened to a matrix with ``out`` rows, with
    gradient G is::

        B <- momentum * B + G
        W <- (1 - lr * weight_decay) * W
        W <- W - lr * sqrt(max(1, rows / columns)) * orthogonalise(G + momentum * B)

    The Frobenius norm of the update is therefore about ``lr * sqrt(rows)``, whatever the norm of
    the gradient. From Keller Jordan et al., "Muon: An optimizer for hidden layers in neural
    networks", 2024. Weights are not renormalized after a step, because that would change the output
    of models without normalization layers.

    The state is one float buffer per parameter. Training resumed from a saved state is
    bit-identical to uninterrupted training.
    """

    def __init__(
        self,
        params: list[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
        ns_steps: int = 5,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "ns_steps": ns_steps,
            "method": "muon",
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; return the closure's loss, or None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            updates = self._nesterov(parameters, group["momentum"])
            if group["method"] == "muon":
                updates = _orthogonal_updates(updates, group["ns_steps"])
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])
        return loss

    def _nesterov(self, parameters: list[nn.Parameter], momentum: float) -> list[torch.Tensor]:
        """Add gradients to the buffers; return gradients plus ``momentum`` times the buffers."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        for p in parameters:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        buffers = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)
        return list(torch._foreach_add(gradients, buffers, alpha=momentum))


def orthogonalise(matrices: torch.Tensor, steps: int) -> torch.Tensor:
    """Return matrices with the same singular vectors, but singular values near 1.

    This is the Newton-Schulz iteration with K. Jordan's quintic: X <- aX + b(XX')X + c(XX')^2 X. It
    is computed on the smaller Gram matrix only: X is always the product of a matrix P and the
    initial X, and P and XX' are polynomials in the initial XX'. For a wide X this needs only a
    third of the arithmetic operations.

    Args:
        matrices: The matrices, floating-point ``(..., m, n)``.
        steps: Number of iterations.

    Returns:
        Matrices of the same shape and dtype; they are computed in float32, because the Gram matrix
        needs its precision.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).float()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + _EPS)
    gram = x @ x.mT
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    product = eye
    for step in range(steps):
        factor = a * eye + b * gram + c * (gram @ gram)
        product = factor @ product if step else factor
        if step + 1 < steps:
            gram = factor @ gram @ factor
    result: torch.Tensor = (product @ x).to(matrices.dtype)
    return result.mT if tall else result


def _orthogonal_updates(updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
    """Orthogonalize and scale each update, flattened to a matrix with one row per output."""
    same_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for index, update in enumerate(updates):
        same_shape[update.flatten(1).shape].append(index)
    results = list(updates)
    for (rows, columns), indices in same_shape.items():
        stack = torch.stack([updates[index].flatten(1) for index in indices])
        stack = orthogonalise(stack, steps) * max(1.0, rows / columns) ** 0.5
        for index, matrix in zip(indices, stack.unbind(), strict=True):
            results[index] = matrix.reshape(updates[index].shape)
    return results


def _is_hidden_weight(name: str, parameter: nn.Parameter) -> bool:
    """Return whether a parameter looks like the weight of a convolution or linear layer."""
    return name.rpartition(".")[2] == "weight" and parameter.ndim >= 2
