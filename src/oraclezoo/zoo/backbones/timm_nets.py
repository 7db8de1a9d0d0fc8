"""timm's nets: any as it is, and those listed, whose early strides are changed for small images.

timm's strides are made for 224 pixels: at 28 they leave next to nothing to look at. What a listed
net changes stands in the ``fixed`` arguments of its spec, so that one factory builds them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from oraclezoo.errors import UnknownNameError, UsageError

POOLS = (nn.MaxPool2d, nn.AvgPool2d)


def create(
    *,
    in_chans: int,
    num_classes: int,
    image_size: int,
    architecture: str,
    arguments: Mapping[str, Any] | None = None,
    convolutions: Mapping[str, Mapping[str, int]] | None = None,
    unstride: Iterable[str] = (),
    classifier_std: float | None = None,
    pretrained: bool = False,
    **options: Any,
) -> nn.Module:
    """timm's ``architecture``, with changes.

    ``arguments``       given to timm beside ``options``; options that are None are left to timm
    ``convolutions``    new ``stride``, ``padding`` or ``kernel_size`` of a convolution, by its name
    ``unstride``        names of modules: every convolution in them gets stride 1, and every pooling
                        layer with a stride is left out
    ``classifier_std``  the classifier's weights start normal with this deviation, its bias at 0;
                        None leaves it as timm has it
    ``pretrained``      start from timm's weights, out of the local cache or from the hub; the first
                        layer is adapted to ``in_chans``, the classifier starts anew

    Raises UnknownNameError if timm has no such architecture; UsageError if it does not work on
    images of this size, does not take an option that was given, or has no weights to start from.
    """
    if not timm.is_model(architecture):
        raise UnknownNameError("timm architecture", architecture, timm.list_models())
    given = {name: value for name, value in options.items() if value is not None}
    given = {**(arguments or {}), **given, "in_chans": in_chans, "num_classes": num_classes}
    patch_size = given.get("patch_size")
    if isinstance(patch_size, int) and image_size % patch_size:
        raise UsageError(
            f"patches of {patch_size} pixels do not fill an image of {image_size}; "
            f"choose a patch_size that divides {image_size}"
        )
    changes = convolutions or {}

    def change(model: nn.Module) -> nn.Module:
        _change(model, changes, unstride)
        if classifier_std is not None:
            classifier: Any = model.get_classifier()  # type: ignore[operator]  # timm's method
            nn.init.normal_(classifier.weight, std=classifier_std)
            nn.init.zeros_(classifier.bias)
        return model

    try:
        model = change(_build(architecture, image_size, given))
        with torch.no_grad():  # many run out of pixels, which shows only in a forward pass
            model.eval()(torch.zeros(1, in_chans, image_size, image_size))
        if pretrained:
            _check_weights(architecture, changes)
            model = change(_load(architecture, image_size, given))
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"timm/{architecture} does not work on {image_size}x{image_size} images with these "
            f"options ({type(error).__name__}: {reason})"
        ) from error
    return model.train()


def _build(architecture: str, image_size: int, given: Mapping[str, Any], **more: Any) -> nn.Module:
    try:
        model = timm.create_model(architecture, img_size=image_size, **given, **more)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        model = timm.create_model(architecture, **given, **more)
    assert isinstance(model, nn.Module)
    return model


def _change(
    model: nn.Module, convolutions: Mapping[str, Mapping[str, int]], unstride: Iterable[str]
) -> None:
    for name, values in convolutions.items():
        convolution = model.get_submodule(name)
        assert isinstance(convolution, nn.Conv2d), name
        if "kernel_size" in values:
            convolution = _with_kernel(convolution, values["kernel_size"])
            model.set_submodule(name, convolution)
        for key in values.keys() - {"kernel_size"}:
            setattr(convolution, key, (values[key], values[key]))
    for name in unstride:
        for inner, module in list(model.get_submodule(name).named_modules(prefix=name)):
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
            elif isinstance(module, POOLS) and module.stride not in (1, (1, 1)):
                model.set_submodule(inner, nn.Identity())


def _with_kernel(old: nn.Conv2d, size: int) -> nn.Conv2d:
    """A convolution like ``old`` of another kernel size, padded to keep the image's size at 1."""
    new = nn.Conv2d(
        old.in_channels,
        old.out_channels,
        size,
        stride=old.stride,  # type: ignore[arg-type]  # a tuple of two, typed as of any length
        padding=size // 2,
        groups=old.groups,
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new


def _check_weights(architecture: str, convolutions: Mapping[str, Mapping[str, int]]) -> None:
    reshaped = [name for name, values in convolutions.items() if "kernel_size" in values]
    if reshaped:
        raise UsageError(
            f"pretrained weights of timm's {architecture} do not fit: {reshaped[0]} has another "
            f"kernel size here; 'timm/{architecture}' takes them"
        )
    config = get_pretrained_cfg(architecture)
    if config is None or not config.has_weights:
        raise UsageError(f"timm has no pretrained weights of {architecture}; leave pretrained out")


def _load(architecture: str, image_size: int, given: Mapping[str, Any]) -> nn.Module:
    """The net with timm's weights. Raises UsageError if they can't be had."""
    try:
        return _build(architecture, image_size, given, pretrained=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"pretrained weights of timm's {architecture} do not fit with these options ({reason})"
        ) from error
    except Exception as error:  # the hub's client raises what its version and its HTTP library do
        raise UsageError(
            f"pretrained weights of timm's {architecture} are not in the local cache, and the hub "
            f"gives none ({type(error).__name__}); fetch them once online, or point HF_HOME to a "
            "cache that has them"
        ) from error
