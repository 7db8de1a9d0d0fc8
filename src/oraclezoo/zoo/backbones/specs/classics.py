"""Specs of the classic architectures implemented in this package. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_RATE, facts, native

_DROPOUT = Option(
    "drop_rate", "float", 0.0, "dropout probability after each hidden layer", low=0.0, high=0.9
)

CLASSICS: tuple[Spec, ...] = (
    native(
        "lenet5",
        "lenet:LeNet5",
        "LeNet-5 of the data set authors: conv 20@5x5, conv 50@5x5, each max-pooled, fc 500",
        "Wang and Deng 2024, arXiv:2205.09442; after LeCun et al. 1998",
    ),
    native(
        "mlp",
        "mlp:MLP",
        "multilayer perceptron on the pixels, with ReLU",
        "Rumelhart et al. 1986; He et al. 2015, arXiv:1502.01852 (initial weights)",
        Option("hidden", "int", 512, "units per hidden layer", low=1, high=8192),
        Option("depth", "int", 2, "number of hidden layers", low=1, high=16),
        _DROPOUT,
    ),
    native(
        "bilinear_cnn",
        "bilinear:BilinearCNN",
        "small CNN with bilinear pooling of the last feature map",
        "Lin et al. 2015, arXiv:1504.07889",
        Option("width", "int", 32, "channels of the first of three stages", low=4, high=256),
        Option("channels", "int", 48, "channels that are multiplied pairwise", low=4, high=512),
        DROP_RATE,
        facts=facts(prunable="the classifier's inputs are products of all pairs of channels"),
    ),
    native(
        "resnet8",
        "cifar_resnets:ResNet",
        "CIFAR ResNet with 8 layers and 16, 32, 64 channels; 1x1 convolution shortcuts where the "
        "shape changes",
        "He et al. 2016, arXiv:1512.03385",
        fixed={"depth": 8},
    ),
    native(
        "resnet20",
        "cifar_resnets:ResNet",
        "CIFAR ResNet with 20 layers and 16, 32, 64 channels; 1x1 convolution shortcuts where the "
        "shape changes",
        "He et al. 2016, arXiv:1512.03385",
        fixed={"depth": 20},
    ),
    native(
        "wrn_10_2",
        "cifar_resnets:WideResNet",
        "Wide ResNet with 10 layers and 32, 64, 128 channels; pre-activation blocks",
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
