"""Stacked models of one architecture with joint forward and backward passes and optimizer steps."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import Optimizer

Loss = Callable[[Tensor, Tensor], Tensor]
"""Loss function that maps logits ``(N, C)`` and labels ``(N,)`` to a scalar."""


class Stack:
    """S models of one architecture, whose parameters and buffers become views of stacked tensors.

    In-place updates of a model's parameters, by an optimizer or a checkpoint, also change the
    stacked tensors. Passes use :func:`torch.vmap`: convolutions become grouped convolutions, linear
    layers become batched matrix multiplications, and batch norm computes separate statistics for
    each model.

    Args:
        models: The models, all on the same device.
        loss: Loss function for a single model.
        autocast: Returns the context for a forward pass, e.g. for mixed precision.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        loss: Loss,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.models, self.loss, self.autocast = list(models), loss, autocast
        parameters = [dict(model.named_parameters()) for model in models]
        buffers = [dict(model.named_buffers()) for model in models]
        self.own = {name: [each[name] for each in parameters] for name in parameters[0]}
        self.parameters = {
            name: _bind(tensors).requires_grad_(tensors[0].requires_grad)
            for name, tensors in self.own.items()
        }
        self.buffers = {name: _bind([each[name] for each in buffers]) for name in buffers[0]}

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of each model on its images.

        Buffers are updated as in separate passes. Random layers such as dropout draw separate
        random numbers for each model, but not the same ones as in separate passes.

        Args:
            images: A batch for each model, float ``(S, N, 1, H, W)``.

        Returns:
            Logits ``(S, N, C)``.
        """
        stacked_pass = vmap(self._logits, randomness="different")
        result: Tensor = stacked_pass(self.parameters, self.buffers, images)
        return result

    def losses(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each model; see :meth:`logits`.

        Args:
            images: A batch for each model, float ``(S, N, 1, H, W)``.
            labels: Labels of the images, int64 ``(S, N)``.

        Returns:
            Losses ``(S,)``.
        """
        stacked_pass = vmap(self._loss, randomness="different")
        result: Tensor = stacked_pass(self.parameters, self.buffers, images, labels)
        return result

    def backward(self, losses: Tensor) -> None:
        """Compute the gradient of each parameter of each model.

        The gradient of a parameter that the loss does not depend on is None.

        Args:
            losses: Losses ``(S,)`` returned by :meth:`losses`.
        """
        trainable = {name: w for name, w in self.parameters.items() if w.requires_grad}
        grads = torch.autograd.grad(losses.sum(), list(trainable.values()), allow_unused=True)
        optional: tuple[Tensor | None, ...] = grads  # torch's type annotation omits None
        for name, grad in zip(trainable, optional, strict=True):
            parts: Sequence[Tensor | None] = [None] * len(self.models)
            if grad is not None:
                parts = _laid_out_as(self.parameters[name].detach(), grad).unbind()
            for parameter, part in zip(self.own[name], parts, strict=True):
                parameter.grad = part

    def is_bound(self) -> bool:
        """Return whether the parameters are still views of the stacked tensors.

        Returns:
            False if an optimizer has replaced a parameter.
        """
        return all(
            parameter.data_ptr() == part.data_ptr()
            for name, tensors in self.own.items()
            for parameter, part in zip(tensors, self.parameters[name].unbind(), strict=True)
        )

    def _logits(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor
    ) -> Tensor:
        with self.autocast():
            result: Tensor = functional_call(self.models[0], (parameters, buffers), (images,))
        return result

    def _loss(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        images: Tensor,
        labels: Tensor,
    ) -> Tensor:
        return self.loss(self._logits(parameters, buffers, images), labels)


def _bind(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors into one of shape ``(S, ...)``; each becomes a view of its slice."""
    first = tensors[0].detach()
    if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last):
        strides = first.stride()
    else:
        strides = torch.empty(first.shape, device="meta").stride()
    stacked = first.new_empty_strided((len(tensors), *first.shape), (first.numel(), *strides))
    for tensor, part in zip(tensors, stacked.unbind(), strict=True):
        part.copy_(tensor.detach())
        tensor.data = part
    return stacked


def _laid_out_as(weights: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient in the memory layout of the weights, which fused optimizers require."""
    if grad.stride() == weights.stride():
        return grad
    return torch.empty_strided(
        weights.shape, weights.stride(), dtype=grad.dtype, device=grad.device
    ).copy_(grad)


def refusal(models: Sequence[nn.Module], images: Tensor) -> str:
    """Return the reason why models cannot be stacked.

    Copies of the first two models run two forward passes in training mode, stacked and separately.
    Both ways must give the same logits and states, and afterwards the same logits in evaluation
    mode. Models that draw random numbers are compared in evaluation mode only.

    Args:
        models: The models, all of the same architecture.
        images: A batch for each of two models, ``(2, N, 1, H, W)``.

    Returns:
        The reason, or "" if they can be stacked.
    """
    separate, repeated = ([copy.deepcopy(m).train() for m in models[:2]] for _ in range(2))
    with torch.no_grad():
        logits = _passes(separate, images)
        if not all(map(_close, logits, _passes(repeated, images))):
            separate = [copy.deepcopy(model).eval() for model in models[:2]]
            logits = _passes(separate, images)
        stacked = [copy.deepcopy(m).train(separate[0].training) for m in models[:2]]
        stack = Stack(stacked, lambda logits, labels: logits.sum())
        try:
            stack.logits(images)
            vectorized = list(stack.logits(images))
            predicted = _passes([model.eval() for model in stacked], images)
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
            return f"its backbone cannot be vectorized ({str(error).strip().splitlines()[0][:120]})"
        expected = _passes([model.eval() for model in separate], images)
    states = [[v for m in each for v in m.state_dict().values()] for each in (separate, stacked)]
    pairs = zip(
        [*logits, *expected, *states[0]], [*vectorized, *predicted, *states[1]], strict=True
    )
    same = all(_close(one, other) for one, other in pairs)
    return "" if same else "its backbone gives different outputs when vectorized"


def _passes(models: Sequence[nn.Module], images: Tensor) -> list[Tensor]:
    """Return each model's logits in the second of two passes over that model's images."""
    return [[model(part) for _ in range(2)][1] for model, part in zip(models, images, strict=True)]


def _close(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors are equal up to float32 rounding."""
    return torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4)


class Merged:
    """A joint step for S identical optimizers that update each parameter independently.

    The parameters of all models are passed to one optimizer of the same class, which updates the S
    models in one call with batched operations. It shares the learning rate and other settings of
    the first optimizer, which are updated by that optimizer's scheduler.

    Args:
        optimizers: The optimizers, all of the same class and with equal settings.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = optimizers
        first = optimizers[0]
        self.one = object.__new__(type(first))
        # call the class's method, because a scheduler has wrapped ``step`` of the first instance
        self.one.__dict__.update({k: v for k, v in vars(first).items() if k != "step"})
        self.one.param_groups = [
            {**group, "params": [p for each in optimizers for p in each.param_groups[i]["params"]]}
            for i, group in enumerate(first.param_groups)
        ]
        self.one.state = defaultdict(dict)
        for each in optimizers:
            self.one.state.update(each.state)
            each._opt_called = True  # type: ignore[attr-defined]  # otherwise its scheduler warns

    def step(self) -> None:
        """Update the parameters of all models."""
        first = self.optimizers[0].param_groups
        for group, first_group in zip(self.one.param_groups, first, strict=True):
            group.update({key: value for key, value in first_group.items() if key != "params"})
        self.one.step()

    def give_back(self) -> None:
        """Copy the state back to the separate optimizers, e.g. to write a checkpoint."""
        for each in self.optimizers:
            for group in each.param_groups:
                for parameter in group["params"]:
                    if parameter in self.one.state:
                        each.state[parameter] = self.one.state[parameter]
