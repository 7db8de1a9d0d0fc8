"""Muon orthogonalises the updates of hidden weights; SGD updates the rest."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from oraclezoo.zoo.backbones.lenet import LeNet5
from oraclezoo.zoo.backbones.oraclenet import OracleNet
from oraclezoo.zoo.optimizers.muon import Muon, muon, orthogonalise

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_orthogonalised_matrices_have_singular_values_near_one(
    shape: tuple[int, int], seed: int, scale: float
) -> None:
    """Whatever their scale, directions of any weight come out within 0.65 to 1.25."""
    g = torch.Generator().manual_seed(seed)
    matrix = torch.randn(shape, generator=g)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    matrix = u @ torch.diag(s.clamp_min(0.02 * s.max())) @ v
    result = orthogonalise(matrix * scale, steps=5)
    assert result.shape == shape
    assert torch.linalg.svdvals(result).min() > 0.65
    assert torch.linalg.svdvals(result).max() < 1.25


def test_orthogonalising_keeps_the_singular_vectors() -> None:
    """The result is the matrix with its singular values replaced: U'XV is diagonal."""
    matrix = torch.randn(6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalise(matrix, steps=5) @ v.T
    assert (inner - torch.diag(inner.diagonal())).abs().max() < 1e-4


@settings(max_examples=20, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**31))
def test_the_gram_form_equals_the_plain_iteration(shape: tuple[int, int], seed: int) -> None:
    """Iterating on the Gram matrix gives what X <- aX + b(XX')X + c(XX')^2 X gives."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    x = matrix.double() / (matrix.double().norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    assert (orthogonalise(matrix, steps=5) - x).abs().max() < 1e-3


def test_a_batch_is_orthogonalised_matrix_by_matrix() -> None:
    """Stacking matrices of one shape changes their results by rounding only."""
    stack = torch.randn(3, 8, 12)
    separate = torch.stack([orthogonalise(m, 5) for m in stack])
    assert torch.allclose(orthogonalise(stack, 5), separate, atol=1e-5)


def test_a_zero_gradient_gives_a_zero_update() -> None:
    """A zero matrix stays zero, without division by its norm."""
    assert torch.equal(orthogonalise(torch.zeros(4, 6), 5), torch.zeros(4, 6))


def names_of(optimizer: Muon, net: nn.Module, method: str) -> set[str]:
    ids = {id(p): n for n, p in net.named_parameters()}
    groups = [g for g in optimizer.param_groups if g["method"] == method]
    return {ids[id(p)] for group in groups for p in group["params"]}


def test_muon_takes_convolutions_and_hidden_layers_but_not_the_head() -> None:
    """Of lenet5: both convolutions and fc1; biases and the last layer are SGD's."""
    net = LeNet5(in_chans=1, num_classes=10, image_size=28)
    optimizer = muon(net.named_parameters())
    assert names_of(optimizer, net, "muon") == {"conv1.weight", "conv2.weight", "fc1.weight"}
    assert names_of(optimizer, net, "sgd") == {
        "conv1.bias",
        "conv2.bias",
        "fc1.bias",
        "fc2.weight",
        "fc2.bias",
    }


def test_frozen_parameters_are_left_out() -> None:
    """The whitening of oraclenet is in no group; everything trainable is in exactly one."""
    net = OracleNet(in_chans=1, num_classes=10, image_size=28)
    optimizer = muon(net.named_parameters())
    both = names_of(optimizer, net, "muon") | names_of(optimizer, net, "sgd")
    assert both == {n for n, p in net.named_parameters() if p.requires_grad}
    assert not names_of(optimizer, net, "muon") & names_of(optimizer, net, "sgd")
    assert names_of(optimizer, net, "muon") == {
        f"stages.{i}.{part}.weight" for i in range(3) for part in ("conv", "residuals.0.conv")
    }


def test_embeddings_and_tables_go_to_sgd() -> None:
    """Only what is named a weight is a map from layer to layer."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pos_embed = nn.Parameter(torch.zeros(1, 4, 8))
            self.hidden = nn.Linear(8, 8)
            self.head = nn.Linear(8, 2)

    net = Net()
    assert names_of(muon(net.named_parameters()), net, "muon") == {"hidden.weight"}


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (64, 2, 3, 3), (16, 1, 5, 5)])
def test_the_length_of_a_step_does_not_depend_on_the_gradient(shape: tuple[int, ...]) -> None:
    """A step's Frobenius norm is about lr * sqrt(rows), for wide and tall weights alike."""
    weight = nn.Parameter(torch.zeros(shape))
    optimizer = Muon([{"params": [weight]}], lr=0.1, momentum=0.0)
    weight.grad = torch.randn(shape) * 1e-4
    optimizer.step()
    assert weight.norm().item() == pytest.approx(0.1 * shape[0] ** 0.5, rel=0.3)


def test_the_sgd_part_is_torchs_nesterov_sgd() -> None:
    """Biases and head move as under torch.optim.SGD(nesterov=True)."""
    torch.manual_seed(0)
    start = torch.randn(5)
    own, reference = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    one = muon([("bias", own)], sgd_lr=0.3, sgd_momentum=0.8, weight_decay=0.1)
    two = torch.optim.SGD([reference], lr=0.3, momentum=0.8, nesterov=True)
    for _ in range(5):
        own.grad = reference.grad = torch.randn(5)
        one.step()
        two.step()
    assert torch.allclose(own, reference, atol=1e-6)


def test_weight_decay_is_decoupled_and_spares_one_dimension() -> None:
    """With gradients of zero, matrices shrink by lr * weight_decay and biases stay."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    optimizer = muon(net.named_parameters(), lr=0.1, sgd_lr=0.2, weight_decay=0.5)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, lr in [("0.weight", 0.1), ("1.weight", 0.2), ("0.bias", 0.0), ("1.bias", 0.0)]:
        assert torch.allclose(net.get_parameter(name), before[name] * (1 - lr * 0.5))


def test_memory_layout_does_not_change_the_result() -> None:
    """A channels_last weight takes the same steps as a contiguous one."""
    torch.manual_seed(0)
    start, gradient = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = nn.Parameter(start.clone(memory_format=layout))
        optimizer = Muon([{"params": [p]}], lr=0.1, momentum=0.6)
        for _ in range(3):
            p.grad = gradient.clone(memory_format=layout)
            optimizer.step()
        results.append(p.detach().contiguous())
    assert torch.equal(*results)


def test_a_closure_is_called_and_its_loss_returned() -> None:
    """As with torch's optimizers; gradients are on inside."""
    p = nn.Parameter(torch.ones(3, 3))
    optimizer = Muon([{"params": [p]}], lr=0.1, momentum=0.6)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 9
    assert not torch.equal(p, torch.ones(3, 3))
