"""Specs of the nets written here, but for oraclenet and the mixers. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_RATE, facts, own

_DROPOUT = Option(
    "drop_rate", "float", 0.0, "dropout probability after each hidden layer", low=0.0, high=0.9
)

CLASSICS: tuple[Spec, ...] = (
    own(
        "lenet5",
        "lenet:LeNet5",
        "the data set authors' CNN: conv 20@5x5, conv 50@5x5, each max-pooled, fc 500",
        "Wang and Deng 2024, arXiv:2205.09442; after LeCun et al. 1998",
    ),
    own(
        "mlp",
        "mlp:MLP",
        "the pixels as a vector, hidden layers of ReLU units, a linear classifier",
        "Rumelhart et al. 1986; He et al. 2015, arXiv:1502.01852 (initial weights)",
        Option("hidden", "int", 512, "units of each hidden layer", low=1, high=8192),
        Option("depth", "int", 2, "hidden layers", low=1, high=16),
        _DROPOUT,
    ),
    own(
        "bilinear_cnn",
        "bilinear:BilinearCNN",
        "a small CNN whose last map is pooled to the products of all pairs of its channels",
        "Lin et al. 2015, arXiv:1504.07889",
        Option("width", "int", 32, "channels of the first of three stages", low=4, high=256),
        Option(
            "channels", "int", 48, "channels that are multiplied with each other", low=4, high=512
        ),
        DROP_RATE,
        facts=facts(prunable="its classifier takes the products of all pairs of channels"),
    ),
    own(
        "resnet8",
        "cifar_resnets:ResNet",
        "He's residual net for CIFAR of 8 layers, 16, 32 and 64 channels; shortcuts are 1x1 "
        "convolutions where the shape changes",
        "He et al. 2016, arXiv:1512.03385",
        fixed={"depth": 8},
    ),
    own(
        "resnet20",
        "cifar_resnets:ResNet",
        "He's residual net for CIFAR of 20 layers, 16, 32 and 64 channels; shortcuts are 1x1 "
        "convolutions where the shape changes",
        "He et al. 2016, arXiv:1512.03385",
        fixed={"depth": 20},
    ),
    own(
        "wrn_10_2",
        "cifar_resnets:WideResNet",
        "wide residual net of 10 layers, 32, 64 and 128 channels, normalised before convolutions",
        "Zagoruyko and Komodakis 2016, arXiv:1605.07146",
        Option(
            "drop_rate",
            "float",
            0.0,
            "dropout probability between the convolutions of a block",
            low=0.0,
            high=0.9,
        ),
        fixed={"depth": 10, "width": 2},
    ),
)
