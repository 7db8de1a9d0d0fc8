"""timm's nets: five adapted to small images, and any other as it is. All start from scratch.

timm's early strides are made for 224 pixels: at 28 they leave next to nothing to look at.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

from oraclezoo.errors import UnknownNameError, UsageError


def create(
    *, in_chans: int, num_classes: int, image_size: int, architecture: str, **options: Any
) -> nn.Module:
    """timm's ``architecture``, unchanged; options that are None are left to timm.

    Raises UnknownNameError if timm has no such architecture, UsageError if it does not work on
    images of this size, or does not take an option that was given.
    """
    if not timm.is_model(architecture):
        raise UnknownNameError("timm architecture", architecture, timm.list_models())
    given = {name: value for name, value in options.items() if value is not None}
    given |= {"in_chans": in_chans, "num_classes": num_classes}
    try:
        try:
            model = timm.create_model(architecture, img_size=image_size, **given)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            model = timm.create_model(architecture, **given)
        with torch.no_grad():  # many run out of pixels, which shows only in a forward pass
            model.eval()(torch.zeros(1, in_chans, image_size, image_size))
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"timm/{architecture} does not work on {image_size}x{image_size} images with these "
            f"options ({type(error).__name__}: {reason})"
        ) from error
    return _module(model.train())


def resnet18(*, in_chans: int, num_classes: int, image_size: int, **options: Any) -> nn.Module:
    """ResNet-18 with a 3x3 stem of stride 1."""
    model = _timm("resnet18", in_chans=in_chans, num_classes=num_classes, **options)
    model.conv1 = nn.Conv2d(in_chans, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return _module(model)


def mobilenetv3_small_100(
    *, in_chans: int, num_classes: int, image_size: int, **options: Any
) -> nn.Module:
    """MobileNetV3-Small with stride 1 in the stem and the first stage."""
    model = _timm("mobilenetv3_small_100", in_chans=in_chans, num_classes=num_classes, **options)
    _unstride(model.conv_stem, model.blocks[0][0].conv_dw)
    return _module(model)


def efficientnet_b0(
    *, in_chans: int, num_classes: int, image_size: int, **options: Any
) -> nn.Module:
    """EfficientNet-B0 with stride 1 in the stem and the sixth stage."""
    model = _timm("efficientnet_b0", in_chans=in_chans, num_classes=num_classes, **options)
    _unstride(model.conv_stem, model.blocks[5][0].conv_dw)
    return _module(model)


def convnext_atto(*, in_chans: int, num_classes: int, image_size: int, **options: Any) -> nn.Module:
    """ConvNeXt-Atto with an overlapping 4x4 stem of stride 2 and padding 3."""
    model = _timm("convnext_atto", in_chans=in_chans, num_classes=num_classes, **options)
    stem = model.stem[0]
    stem.stride, stem.padding = (2, 2), (3, 3)
    return _module(model)


def vit_tiny(
    *, in_chans: int, num_classes: int, image_size: int, patch_size: int = 4, **options: Any
) -> nn.Module:
    """ViT-Tiny of small patches. Raises UsageError if they do not fill the image."""
    if image_size % patch_size:
        raise UsageError(
            f"patches of {patch_size} pixels do not fill an image of {image_size}; "
            f"choose a patch_size that divides {image_size}"
        )
    return _module(
        _timm(
            "vit_tiny_patch16_224",
            in_chans=in_chans,
            num_classes=num_classes,
            img_size=image_size,
            patch_size=patch_size,
            class_token=False,
            global_pool="avg",
            **{"depth": 4, **options},
        )
    )


def _timm(architecture: str, **options: Any) -> Any:
    """A net of timm's, its parts reachable by attribute without a type."""
    return timm.create_model(architecture, **options)


def _module(model: Any) -> nn.Module:
    assert isinstance(model, nn.Module)
    return model


def _unstride(*convolutions: Any) -> None:
    """Set each convolution to stride 1; their symmetric padding then keeps the image's size."""
    for convolution in convolutions:
        convolution.stride = (1, 1)
