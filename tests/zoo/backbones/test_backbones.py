"""Built-in backbones: checks beyond the conformance kit, all in one process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from oraclezoo.errors import UnknownNameError, UsageError
from oraclezoo.specs import Spec
from oraclezoo.zoo.backbones.specs import BACKBONES, timm_spec
from oraclezoo.zoo.backbones.specs.convnets import CONVNETS
from oraclezoo.zoo.backbones.specs.mobile import MOBILE
from oraclezoo.zoo.backbones.specs.resnets import RESNETS

PER_SPEC = pytest.mark.parametrize("spec", BACKBONES, ids=lambda spec: spec.name)
MAX_MACS = 130e6


def build(spec: Spec, in_chans: int = 1, image_size: int = 28, **options: object) -> nn.Module:
    torch.manual_seed(0)
    built = spec.load()(
        in_chans=in_chans, num_classes=10, image_size=image_size, **spec.fixed, **spec.fill(options)
    )
    assert isinstance(built, nn.Module)
    return built


def spec_of(name: str) -> Spec:
    return next(spec for spec in BACKBONES if spec.name == name)


@functools.cache
def built(name: str) -> nn.Module:
    """Return a model shared by tests that do not modify it."""
    return build(spec_of(name)).eval()


def test_there_are_enough_of_them() -> None:
    """The documented number and families of backbones are available."""
    assert len(BACKBONES) >= 30


@PER_SPEC
def test_two_steps_train_it(spec: Spec) -> None:
    """A training step on two images gives a finite loss and changes the weights."""
    net = build(spec).train()
    before = [p.detach().clone() for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    images, labels = torch.randn(4, 1, 28, 28), torch.arange(4)
    for _ in range(2):
        loss = nn.functional.cross_entropy(net(images), labels)
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = [p for p in net.parameters() if p.requires_grad]
    assert any(not torch.equal(p, q) for p, q in zip(before, after, strict=True))
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10)


@PER_SPEC
def test_two_cores_can_train_it(spec: Spec) -> None:
    """One 28x28 image takes at most 130M multiply-accumulates."""
    from torch.utils.flop_counter import FlopCounterMode

    net = built(spec.name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(1, 1, 28, 28))
    assert 1e5 < counter.get_total_flops() / 2 < MAX_MACS


@pytest.mark.parametrize("spec", [*RESNETS, *MOBILE, *CONVNETS], ids=lambda spec: spec.name)
def test_adapted_nets_keep_some_of_the_image_to_the_end(spec: Spec) -> None:
    """timm's strides reduce 28 pixels to one or none; adapted models keep a larger feature map."""
    with torch.no_grad():
        features = built(spec.name).forward_features(torch.randn(1, 1, 28, 28))  # type: ignore[operator]  # timm's
    assert min(features.shape[2:]) >= 2


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", (2, 2)),
        ("mobilenetv3_small_100", (4, 4)),
        ("efficientnet_b0", (4, 4)),
        ("convnext_atto", (2, 2)),
        ("densenet_bc_34", (7, 7)),
    ],
)
def test_changes_are_made_as_the_summary_says(name: str, size: tuple[int, int]) -> None:
    """Strides and paddings of the spec reach the net."""
    with torch.no_grad():
        features = built(name).forward_features(torch.randn(1, 1, 28, 28))  # type: ignore[operator]  # timm's
    assert features.shape[2:] == size


def test_unstriding_leaves_pools_out_and_weights_as_they_are() -> None:
    """The first convolutions keep their shape, so that timm's weights fit."""
    assert isinstance(built("densenet_bc_34").get_submodule("features.pool0"), nn.Identity)
    net, plain = built("resnet10t"), timm.create_model("resnet10t", in_chans=1, num_classes=10)
    assert net.get_submodule("conv1.0").stride == (1, 1)
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


@pytest.mark.parametrize("spec", [*RESNETS, *MOBILE, *CONVNETS], ids=lambda spec: spec.name)
def test_first_logits_are_of_a_size_to_learn_from(spec: Spec) -> None:
    """The initial training loss is near ln 10, so that no model starts out overconfident."""
    net = build(spec).train()
    with torch.no_grad():
        logits = net(torch.randn(16, 1, 28, 28))
    assert nn.functional.cross_entropy(logits, torch.arange(16) % 10) < 3.0


def test_any_timm_net_gives_logits() -> None:
    """Unlisted timm architectures work by name, for one and three channels."""
    for in_chans in (1, 3):
        net = build(timm_spec("timm/resnet10t"), in_chans=in_chans, image_size=32)
        assert net(torch.randn(2, in_chans, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["drop_rate", "drop_path_rate"])
def test_timm_options_reach_the_net(name: str) -> None:
    """With dropout or stochastic depth on, two training passes differ; without, they don't."""
    spec = spec_of("convnext_atto")
    images = torch.randn(16, 1, 28, 28)

    def differs(net: nn.Module) -> bool:
        net.train()
        with torch.no_grad():
            return not torch.equal(net(images), net(images))

    assert differs(build(spec, **{name: 0.5}))
    assert not differs(build(spec))


@pytest.mark.parametrize("name", ["vit_tiny", "mlp_mixer", "convmixer"])
def test_patches_that_do_not_fill_the_image_are_refused(name: str) -> None:
    """A patch size that does not divide the image size is an error that states both."""
    with pytest.raises(UsageError, match=r"patch_size 5 does not divide.*28"):
        build(spec_of(name), patch_size=5)
    assert build(spec_of(name), patch_size=7, depth=1)(torch.randn(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize("image_size", [8, 15])
@pytest.mark.parametrize("name", ["lenet5", "oraclenet"])
def test_too_small_an_image_is_refused(name: str, image_size: int) -> None:
    """Below 16 pixels pooling would leave no resolution."""
    with pytest.raises(UsageError, match="at least 16x16"):
        build(spec_of(name), image_size=image_size)


def test_an_unknown_timm_architecture_is_refused_with_the_nearest() -> None:
    """A misspelt name gets a suggestion before anything is built."""
    with pytest.raises(UnknownNameError, match=r"did you mean .*'resnet18'"):
        build(timm_spec("timm/resnet81"))


@pytest.mark.parametrize("name", ["timm/", "timm/a b", "timm/hf-hub:x/y", "timm/../x"])
def test_a_name_no_architecture_can_have_is_refused(name: str) -> None:
    """Hub addresses and paths never reach timm, which would download or open them."""
    with pytest.raises(UnknownNameError, match="timm/<architecture>"):
        timm_spec(name)


def test_a_timm_vit_gets_the_image_size() -> None:
    """Architectures with a fixed image size are built for the requested one."""
    net = build(timm_spec("timm/test_vit"), image_size=32)
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 10)


def test_a_timm_net_that_runs_out_of_pixels_is_refused() -> None:
    """A model that would fail in the first training step fails when built, in one line."""
    with pytest.raises(UsageError, match=r"timm/dla46_c does not support 28x28 images") as caught:
        build(timm_spec("timm/dla46_c"))
    assert "\n" not in str(caught.value)


def test_an_option_that_timm_does_not_take_is_refused() -> None:
    """An option that the architecture does not support is an error."""
    with pytest.raises(UsageError, match=r"timm/ghostnet_050 .*'drop_path_rate'"):
        build(timm_spec("timm/ghostnet_050"), drop_path_rate=0.1)
    assert build(timm_spec("timm/ghostnet_050"), drop_rate=0.1)


def test_bilinear_pooling_sees_products_of_channels_and_no_places() -> None:
    """Moved by whole pixels of the last map, inside a blank border, an image gives equal logits."""
    net = build(spec_of("bilinear_cnn"), image_size=64).eval()
    image = torch.zeros(1, 1, 64, 64)
    image[..., 28:32, 28:32] = 1.0
    with torch.no_grad():
        assert torch.allclose(net(image), net(image.roll(4, dims=3)), atol=1e-4)
        assert not torch.allclose(net(image), net(image.roll(1, dims=3)), atol=1e-4)


@pytest.mark.parametrize(("name", "layers"), [("resnet8", 8), ("resnet20", 20), ("wrn_10_2", 10)])
def test_the_depth_of_a_net_is_what_its_name_says(name: str, layers: int) -> None:
    """He counts convolutions but for shortcuts, and the classifier; the wide net's authors count
    all convolutions."""
    convolutions = [n for n, m in built(name).named_modules() if isinstance(m, nn.Conv2d)]
    counted = [n for n in convolutions if name.startswith("wrn") or "shortcut" not in n]
    assert len(counted) + (not name.startswith("wrn")) == layers


def test_weights_that_do_not_fit_are_refused_with_the_reason() -> None:
    """resnet18 has another stem here; an architecture without weights has none."""
    with pytest.raises(UsageError, match=r"conv1 has another kernel size.*'timm/resnet18'"):
        build(spec_of("resnet18"), pretrained=True)
    with pytest.raises(UsageError, match="no pretrained weights for resnet50t"):
        build(timm_spec("timm/resnet50t"), image_size=32, pretrained=True)


LOAD = """
from oraclezoo.zoo.backbones.specs import BACKBONES
(spec,) = [spec for spec in BACKBONES if spec.name == "lcnet_050"]
options = {**spec.fixed, **spec.fill({"pretrained": True})}
try:
    net = spec.load()(in_chans=1, num_classes=10, image_size=28, **options)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
else:
    print(net.conv_stem.weight.sum().item(), net.blocks[5][0].conv_dw.weight[0, 0, 2, 2].item())
"""


def offline(home: Path) -> str:
    """Return the output of a fresh process that loads pretrained weights offline."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout


def test_pretrained_weights_come_from_the_cache_or_are_missed_in_one_line(tmp_path: Path) -> None:
    """Offline: a UsageError that says what to do; with the file in the cache, its weights.

    The first layer sums its weights over the colors.
    """
    missed = offline(tmp_path)
    assert missed.startswith("UsageError: timm's pretrained weights of lcnet_050 are not in the")
    assert "HF_HOME" in missed
    assert missed.count("\n") == 1

    net = timm.create_model("lcnet_050")
    hub = timm.get_pretrained_cfg("lcnet_050").hf_hub_id
    place = tmp_path / "hub" / f"models--{hub.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    (place / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(net.state_dict(), place / "snapshots" / ("0" * 40) / "model.safetensors")
    stem, inner = map(float, offline(tmp_path).split())
    assert stem == pytest.approx(net.conv_stem.weight.sum().item(), rel=1e-4)
    assert inner == net.blocks[5][0].conv_dw.weight[0, 0, 2, 2].item()
