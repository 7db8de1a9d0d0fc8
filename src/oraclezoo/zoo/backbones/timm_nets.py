"""timm architectures, unchanged or with smaller strides for small images.

timm's architectures are designed for 224 pixels; at 28 pixels, their early strides reduce the
resolution to almost nothing. A built-in spec describes its changes in ``fixed`` arguments, so
:func:`create` can build all of the networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn
from torch.func import functional_call

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
    """Build timm's ``architecture``, optionally modified.

    Args:
        in_chans: Number of image channels.
        num_classes: Number of classes.
        image_size: Height and width of the images in pixels.
        architecture: Name of the model in timm.
        arguments: Additional arguments for ``timm.create_model``.
        convolutions: New ``stride``, ``padding`` or ``kernel_size`` of convolutions, keyed by
            module name.
        unstride: Names of modules in which the stride of every convolution is set to 1 and every
            strided pooling layer is removed.
        classifier_std: Standard deviation of the classifier's initial weights (the bias is zero);
            None keeps timm's initialization.
        pretrained: Whether to load timm's pretrained weights, from the local cache or the Hugging
            Face Hub; timm adapts the first layer to ``in_chans`` and reinitializes the classifier.
        **options: Options of the spec; an option that is None keeps timm's default.

    Returns:
        The model in training mode. Its input is float ``(N, in_chans, image_size, image_size)``,
        its output logits ``(N, num_classes)``.

    Raises:
        UnknownNameError: timm has no such architecture.
        UsageError: The architecture does not support the image size or one of the options, or it
            has no pretrained weights.
    """
    if not timm.is_model(architecture):
        raise UnknownNameError("timm architecture", architecture, timm.list_models())
    chosen = {name: value for name, value in options.items() if value is not None}
    kwargs = {**(arguments or {}), **chosen, "in_chans": in_chans, "num_classes": num_classes}
    patch_size = kwargs.get("patch_size")
    if isinstance(patch_size, int) and image_size % patch_size:
        raise UsageError(
            f"patch_size {patch_size} does not divide the image size {image_size}; "
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
        model = change(_build(architecture, image_size, kwargs))
        _check_size(model, in_chans, image_size)
        if pretrained:
            _check_weights(architecture, changes)
            model = change(_load(architecture, image_size, kwargs))
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"timm/{architecture} does not support {image_size}x{image_size} images with these "
            f"options ({type(error).__name__}: {reason})"
        ) from error
    return model.train()


def _check_size(model: nn.Module, in_chans: int, image_size: int) -> None:
    """Raise UsageError if images are too small for the network; only a forward pass can tell.

    The pass runs on the ``meta`` device, which computes shapes only. A network that cannot run
    there, for instance because it creates tensors on the CPU, runs on the CPU.
    """
    model.eval()
    shape = (1, in_chans, image_size, image_size)
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        try:
            outline = {name: tensor.to("meta") for name, tensor in state.items()}
            functional_call(model, outline, torch.zeros(shape, device="meta"))
        except Exception:
            model(torch.zeros(shape))


def _build(
    architecture: str, image_size: int, kwargs: Mapping[str, Any], *, pretrained: bool = False
) -> nn.Module:
    kwargs = {**kwargs, "pretrained": pretrained}
    try:
        model = timm.create_model(architecture, img_size=image_size, **kwargs)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        model = timm.create_model(architecture, **kwargs)
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
    """Return a new convolution like ``old`` but with a different kernel size, and same padding."""
    new = nn.Conv2d(
        old.in_channels,
        old.out_channels,
        size,
        stride=old.stride,  # type: ignore[arg-type]  # a pair, typed as a tuple of any length
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
            f"timm's pretrained weights of {architecture} do not fit: {reshaped[0]} has another "
            f"kernel size here; use 'timm/{architecture}' instead"
        )
    config = get_pretrained_cfg(architecture)
    if config is None or not config.has_weights:
        raise UsageError(f"timm has no pretrained weights for {architecture}; omit pretrained")


def _load(architecture: str, image_size: int, kwargs: Mapping[str, Any]) -> nn.Module:
    """Build the model with timm's pretrained weights. Raises UsageError if there are none."""
    try:
        return _build(architecture, image_size, kwargs, pretrained=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"timm's pretrained weights of {architecture} do not fit these options ({reason})"
        ) from error
    except Exception as error:  # the exception types depend on the Hub client and HTTP library
        raise UsageError(
            f"timm's pretrained weights of {architecture} are not in the local cache and the "
            f"download failed ({type(error).__name__}); download them once while online, or set "
            "HF_HOME to a cache that contains them"
        ) from error
