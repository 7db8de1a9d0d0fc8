"""All built-in backbones keep their contract. The timm ones share this one process."""

from __future__ import annotations

import functools
import io

import pytest
import torch
from torch import nn

from oraclezoo.errors import UnknownNameError, UsageError
from oraclezoo.specs import Spec
from oraclezoo.zoo.backbone_specs import BACKBONES, timm_spec

SPECS = [*BACKBONES, timm_spec("timm/resnet10t")]
PER_SPEC = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
MAX_MACS = 150e6


def build(spec: Spec, in_chans: int = 1, image_size: int = 28, **options: object) -> nn.Module:
    torch.manual_seed(0)
    built = spec.load()(
        in_chans=in_chans, num_classes=10, image_size=image_size, **spec.fixed, **spec.fill(options)
    )
    assert isinstance(built, nn.Module)
    return built


@functools.cache
def built(name: str) -> nn.Module:
    """A net shared by the tests that leave it as it is."""
    return build(next(spec for spec in SPECS if spec.name == name)).eval()


@PER_SPEC
@pytest.mark.parametrize("batch", [1, 5])
def test_logits_have_one_row_an_image(spec: Spec, batch: int) -> None:
    """The output is (N, classes) for any batch size, and finite."""
    with torch.no_grad():
        logits = built(spec.name)(torch.randn(batch, 1, 28, 28))
    assert logits.shape == (batch, 10)
    assert torch.isfinite(logits).all()


@PER_SPEC
def test_color_and_32_pixels_work(spec: Spec) -> None:
    """Three channels and 32 pixels are as good as one and 28."""
    net = build(spec, in_chans=3, image_size=32)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("spec", BACKBONES, ids=lambda spec: spec.name)
def test_a_training_batch_of_one_works(spec: Spec) -> None:
    """The last batch of an epoch may be one image; BatchNorm still has pixels to average over."""
    assert build(spec).train()(torch.randn(1, 1, 28, 28)).shape == (1, 10)


@PER_SPEC
def test_a_gradient_reaches_every_trainable_parameter(spec: Spec) -> None:
    """No trainable parameter is left out. Noise lifts the zeros that some branches start from."""
    net = build(spec).train()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.01)
    labels = torch.arange(8) % 10
    nn.functional.cross_entropy(net(torch.randn(8, 1, 28, 28)), labels).backward()
    for name, p in net.named_parameters():
        if p.requires_grad:
            assert p.grad is not None, name
            assert p.grad.abs().sum() > 0, name
        else:
            assert p.grad is None, name


@PER_SPEC
def test_the_state_round_trips(spec: Spec) -> None:
    """A net of another initialisation, given the state, returns the same logits bit for bit."""
    net = build(spec).train()
    net(torch.randn(4, 1, 28, 28))  # moves the running statistics
    if spec.facts["data_init"]:
        net.initialize(torch.randn(16, 1, 28, 28))  # type: ignore[operator]  # by the fact
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    buffer.seek(0)
    torch.manual_seed(1)
    other = spec.load()(in_chans=1, num_classes=10, image_size=28, **spec.fixed, **spec.fill({}))
    other.load_state_dict(torch.load(buffer, weights_only=True))
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(net.eval()(images), other.eval()(images))


@pytest.mark.parametrize("spec", BACKBONES, ids=lambda spec: spec.name)
def test_two_cores_can_train_it(spec: Spec) -> None:
    """One 28x28 image takes at most 150M multiply-accumulates."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built(spec.name)(torch.randn(1, 1, 28, 28))
    assert 1e6 < counter.get_total_flops() / 2 < MAX_MACS


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", (2, 2)),
        ("mobilenetv3_small_100", (4, 4)),
        ("efficientnet_b0", (4, 4)),
        ("convnext_atto", (2, 2)),
    ],
)
def test_adapted_nets_keep_some_of_the_image_to_the_end(name: str, size: tuple[int, int]) -> None:
    """At timm's own strides one pixel is left of 28; adapted, the last map is larger."""
    with torch.no_grad():
        features = built(name).forward_features(torch.randn(1, 1, 28, 28))  # type: ignore[operator]  # timm's
    assert features.shape[2:] == size


@pytest.mark.parametrize("name", ["drop_rate", "drop_path_rate"])
def test_timm_options_reach_the_net(name: str) -> None:
    """With dropout or stochastic depth on, two training passes differ; without, they don't."""
    spec = next(spec for spec in SPECS if spec.name == "convnext_atto")
    images = torch.randn(16, 1, 28, 28)

    def differs(net: nn.Module) -> bool:
        net.train()
        with torch.no_grad():
            return not torch.equal(net(images), net(images))

    assert differs(build(spec, **{name: 0.5}))
    assert not differs(build(spec))


def test_patches_that_do_not_fill_the_image_are_refused() -> None:
    """A ViT whose patches leave a border unseen is an error that names the numbers."""
    spec = next(spec for spec in SPECS if spec.name == "vit_tiny")
    with pytest.raises(UsageError, match=r"patches of 5 pixels.*28"):
        build(spec, patch_size=5)
    assert build(spec, patch_size=7, depth=1)(torch.randn(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize("image_size", [8, 15])
@pytest.mark.parametrize("name", ["lenet5", "oraclenet"])
def test_too_small_an_image_is_refused(name: str, image_size: int) -> None:
    """Below 16 pixels nothing would be left after pooling."""
    spec = next(spec for spec in SPECS if spec.name == name)
    with pytest.raises(UsageError, match="at least 16x16"):
        build(spec, image_size=image_size)


def test_an_unknown_timm_architecture_is_refused_with_the_nearest() -> None:
    """A typing error gets a suggestion, before anything is built."""
    with pytest.raises(UnknownNameError, match=r"did you mean .*'resnet18'"):
        build(timm_spec("timm/resnet81"))


@pytest.mark.parametrize("name", ["timm/", "timm/a b", "timm/hf-hub:x/y", "timm/../x"])
def test_a_name_no_architecture_can_have_is_refused(name: str) -> None:
    """Hub addresses and paths never reach timm, which would fetch or open them."""
    with pytest.raises(UnknownNameError, match="timm/<architecture>"):
        timm_spec(name)


def test_a_timm_vit_gets_the_image_size() -> None:
    """timm nets made for one image size are built for ours."""
    net = build(timm_spec("timm/test_vit"), image_size=32)
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 10)


def test_a_timm_net_that_runs_out_of_pixels_is_refused() -> None:
    """What would fail in the first training step fails when it is built, in one line."""
    with pytest.raises(UsageError, match=r"timm/dla46_c does not work on 28x28 images") as caught:
        build(timm_spec("timm/dla46_c"))
    assert "\n" not in str(caught.value)


def test_an_option_that_timm_does_not_take_is_refused() -> None:
    """An option the architecture has no use for is an error, not silence."""
    with pytest.raises(UsageError, match=r"timm/ghostnet_050 .*'drop_path_rate'"):
        build(timm_spec("timm/ghostnet_050"), drop_path_rate=0.1)
    assert build(timm_spec("timm/ghostnet_050"), drop_rate=0.1)
