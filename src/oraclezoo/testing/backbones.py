"""Conformance checks for backbones, with small batches on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.compression.channels import plan
from oraclezoo.compression.channels.choose import choose, places
from oraclezoo.compression.channels.coupled import coupled
from oraclezoo.compression.channels.importance import score
from oraclezoo.errors import UsageError
from oraclezoo.onnx_export.onnx_file import to_onnx
from oraclezoo.testing.subject import Subject, fail, listed, skip, through_checkpoint

SIZES = (28, 32, 64)
"""Candidate image sizes; the checks use the first one that the backbone accepts."""
CLASSES = 10
TOLERANCE = 1e-3
"""Tolerance, relative to the largest logit, for logits computed in a different order."""


def forward(subject: Subject) -> None:
    """Returns finite logits (N, classes) for batches of 1, 2 and 5 in both memory layouts.

    In evaluation mode, an image's logits must not depend on the rest of the batch.
    """
    net, size = _built(subject)
    images = _images(5, size)
    with torch.no_grad():
        logits = _logits(net, images)
        for count in (1, 2):
            _near(_logits(net, images[:count]), logits[:count], f"in a batch of {count} instead")
        strided = images.to(memory_format=torch.channels_last)
        net.to(memory_format=torch.channels_last)
        try:
            _near(_logits(net, strided), logits, "with channels last")
        finally:
            net.to(memory_format=torch.contiguous_format)


def other_shapes(subject: Subject) -> str | None:
    """Supports or rejects three channels, seven classes and a different image size.

    A backbone rejects a shape by raising UsageError.
    """
    _, first = _built(subject)
    size = next(size for size in SIZES if size != first)
    try:
        net = _module(subject.create(in_chans=3, num_classes=7, image_size=size)).eval()
    except UsageError as error:
        return f"rejects 3x{size}x{size}: {error}"
    with torch.no_grad():
        _logits(net, torch.randn(2, 3, size, size), classes=7)
    return None


def options(subject: Subject) -> None:
    """Builds and runs with each choice and flag of its options, or raises UsageError.

    The check skips ``pretrained``, which may download weights.
    """
    size = _built(subject)[1]
    settings: list[tuple[str, Any]] = []
    for option in subject.spec.options:
        if option.name == "pretrained":
            continue
        others: tuple[Any, ...] = (True, False) if option.type == "bool" else option.choices
        settings += [(option.name, value) for value in others if value != option.default]
    if not settings:
        skip("it has no flag and no option with choices")
    for name, value in settings:
        try:
            net = _module(subject.create(**_shape(size), **{name: value})).eval()
        except UsageError:
            continue
        with torch.no_grad():
            _logits(net, _images(2, size), where=f"with {name} = {value!r}: ")


def gradient(subject: Subject) -> None:
    """A gradient reaches all parameters that require one, and no others.

    The check adds noise to the parameters, because some branches are initialized to zero, and runs
    three batches, because random layers may skip a branch. The last batch runs in evaluation mode:
    in training mode, batch norm cancels any constant that is added before it, such as a bias, whose
    gradient is then zero.
    """
    net, size = _fresh(subject)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.01)
    for training in (True, True, True, False):
        net.train(training)
        loss = nn.functional.cross_entropy(net(_images(8, size)), torch.arange(8) % CLASSES)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    missed, frozen = [], []
    for name, parameter in net.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        if parameter.requires_grad and not reached:
            missed.append(name)
        elif not parameter.requires_grad and reached:
            frozen.append(name)
    if missed:
        fail(f"no gradient reaches {listed(missed)}")
    if frozen:
        fail(f"a gradient reaches the frozen parameters {listed(frozen)}")
    if not any(parameter.requires_grad for parameter in net.parameters()):
        fail("it has no trainable parameters")


def determinism(subject: Subject) -> None:
    """The seed of torch's global generator determines the initial weights."""
    net, size = _fresh(subject)
    second, _ = _fresh(subject)
    for (name, one), other in zip(
        net.state_dict().items(), second.state_dict().values(), strict=True
    ):
        if not torch.equal(one, other):
            fail(f"the same seed gives different weights: {name} differs")
    other_seed = _module(subject.create(seed=1, **_shape(size)))
    pairs = zip(net.parameters(), other_seed.parameters(), strict=True)
    if all(torch.equal(one, other) for one, other in pairs):
        fail("a different seed gives the same weights; draw them from torch's global generator")


def state(subject: Subject) -> None:
    """A checkpoint restores equal logits in a model with a different seed."""
    net, size = _fresh(subject)
    net.train()(_images(4, size))  # updates running averages
    saved = through_checkpoint(net.state_dict())
    other = _module(subject.create(seed=1, **_shape(size)))
    other.load_state_dict(saved)
    images = _images(3, size)
    with torch.no_grad():
        if not torch.equal(net.eval()(images), other.eval()(images)):
            fail("the same state gives different logits; some state is missing from state_dict")


def initialize(subject: Subject) -> None:
    """With the metadata data_init, initialize(images) exists and is deterministic."""
    net, size = _fresh(subject)
    method = getattr(net, "initialize", None)
    if not subject.facts.get("data_init"):
        skip("it does not declare data_init")
    if not callable(method):
        fail("it declares data_init but has no method initialize")
    second, _ = _fresh(subject)
    images = _images(64, size)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for each in (net, second):
        torch.manual_seed(0)
        each.initialize(images)  # type: ignore[operator]  # checked above
    after = net.state_dict()
    if not all(map(torch.equal, after.values(), second.state_dict().values())):
        fail("initialize gives different weights for the same images")
    if all(torch.equal(before[name], value) for name, value in after.items()):
        fail("initialize changes nothing; declare data_init = False")
    with torch.no_grad():
        _logits(net.eval(), _images(2, size))


def prunable(subject: Subject) -> str | None:
    """If declared prunable, half of the channels can be pruned and the plan rebuilds the model.

    The check prunes like ``oraclezoo prune``, but without fine-tuning.
    """
    if not subject.facts.get("prunable"):
        skip("it is not declared prunable")
    net, size = _fresh(subject)
    before = sum(p.numel() for p in net.parameters())
    groups = coupled(net, _images(1, size)).groups
    scores = score("magnitude", net, groups, (), 0)
    pruned = choose(groups, scores, 0.5, scope="uniform", round_to=1)
    pruning_plan = plan.make(net, places(groups, pruned), {})
    after = sum(p.numel() for p in net.parameters())
    if after >= before:
        fail("no channel can be pruned; declare prunable = False")
    images = _images(2, size)
    with torch.no_grad():
        logits = _logits(net.eval(), images, where="pruned: ")
        rebuilt = plan.Plan.from_json(pruning_plan.to_json()).apply(_fresh(subject)[0])
        rebuilt.load_state_dict(net.state_dict())
        if not torch.equal(rebuilt.eval()(images), logits):
            fail("the pruned model rebuilt from its plan gives different logits")
    return f"{before:,} parameters to {after:,}"


def onnx(subject: Subject) -> str | None:
    """ONNX Runtime gives the same logits after export with a dynamic batch size."""
    import onnxruntime

    net, size = _fresh(subject)
    images = _images(3, size)
    content = to_onnx(net.eval(), in_chans=1, image_size=size, card={})
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    logits = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with torch.no_grad():
        expected = net(images)
    _near(logits, expected, "in onnxruntime")
    return f"largest difference {float((logits - expected).abs().max()):.1e}"


CHECKS = (
    forward,
    other_shapes,
    options,
    gradient,
    determinism,
    state,
    initialize,
    prunable,
    onnx,
)
SLOW = (onnx,)


def _shape(size: int) -> dict[str, int]:
    return {"in_chans": 1, "num_classes": CLASSES, "image_size": size}


def _images(count: int, size: int) -> Tensor:
    return torch.randn(count, 1, size, size)


def _fresh(subject: Subject) -> tuple[nn.Module, int]:
    """Build a new model with the conformance kit's fixed seed; return it with its image size."""
    for size in SIZES:
        try:
            return _module(subject.create(**_shape(size))), size
        except UsageError:
            if size == SIZES[-1]:
                raise
    raise AssertionError("a size is returned or an error raised")


def _built(subject: Subject) -> tuple[nn.Module, int]:
    """Return a shared model in evaluation mode and its image size; checks must not change it."""
    if "net" not in subject.kept:
        net, size = _fresh(subject)
        subject.kept["net"] = net.eval(), size
    shared: tuple[nn.Module, int] = subject.kept["net"]
    return shared


def _module(built: object) -> nn.Module:
    if not isinstance(built, nn.Module):
        fail(f"it returns a {type(built).__name__}, not a torch module")
    return built


def _logits(net: nn.Module, images: Tensor, *, classes: int = CLASSES, where: str = "") -> Tensor:
    logits = net(images)
    if not isinstance(logits, Tensor):
        fail(f"{where}it returns a {type(logits).__name__}, not logits")
    if logits.shape != (len(images), classes):
        fail(f"{where}logits are {tuple(logits.shape)}, not {(len(images), classes)}")
    if not torch.isfinite(logits).all():
        fail(f"{where}logits are not finite")
    return logits


def _near(logits: Tensor, expected: Tensor, context: str) -> None:
    if logits.shape != expected.shape:
        fail(f"{context} logits are {tuple(logits.shape)}, not {tuple(expected.shape)}")
    difference = float((logits - expected).abs().max())
    if difference > TOLERANCE * max(1.0, float(expected.abs().max())):
        fail(f"{context} logits differ by {difference:.1e}")
