"""
What the network sees
=====================

The first layers of the bundled model ``oraclenet_s`` on a generated character, and the parts of
the image that its prediction depends on.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import oraclezoo as oz
from oraclezoo.serving.explain import occlusion
from oraclezoo.zoo.backbones.oraclenet import Stage

part = oz.registry().create("dataset", "glyphs-3k").split("validation")
predictor = oz.predictor("oraclenet_s")
labels, probabilities = predictor.predict(part.images)
correct = np.flatnonzero(labels == part.labels)
chosen = [next(i for i in correct if part.labels[i] == label) for label in (0, 3, 7, 9)]

# %%
# Occlusion
# ---------
#
# A gray square covers each part of the image in turn. Red marks where the probability of the
# predicted class falls most.
figure, grid = plt.subplots(2, len(chosen), figsize=(7, 3.8))
for index, above, below in zip(chosen, *grid, strict=True):
    image = part.images[index]
    importance = occlusion(predictor, image)
    above.imshow(image, cmap="gray")
    above.set_title(f"{predictor.classes[labels[index]]} {probabilities[index].max():.0%}")
    below.imshow(image, cmap="gray")
    below.imshow(importance, cmap="Reds", alpha=0.6, vmin=0, vmax=max(importance.max(), 1e-6))
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])

# %%
# Filters of the first layer
# --------------------------
#
# The first convolution whitens patches of 3 by 3 pixels. Its filters are computed from training
# images, and are not trained.
net = oz.load("oraclenet_s").module
first = next(layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d))
filters = first.weight.detach()[:, 0]
figure, grid = plt.subplots(2, 9, figsize=(7, 1.7))
for patch, axes in zip(filters, grid.flat, strict=False):
    axes.imshow(patch, cmap="RdBu", vmin=-patch.abs().max(), vmax=patch.abs().max())
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])

# %%
# Feature maps
# ------------
#
# The response of eight channels after each of the three stages to the second character above.
image = torch.from_numpy(part.images[chosen[1]])[None, None] / 255
stages = []
hooks = [
    layer.register_forward_hook(lambda _, inputs, output: stages.append(output[0].detach()))
    for layer in net.modules()
    if isinstance(layer, Stage)
]
with torch.no_grad():
    net((image - 0.23) / 0.28)
for hook in hooks:
    hook.remove()
figure, grid = plt.subplots(len(stages), 8, figsize=(7, 0.95 * len(stages)))
for maps, row in zip(stages, np.atleast_2d(grid), strict=True):
    for channel, axes in zip(maps, row, strict=False):
        axes.imshow(channel, cmap="magma")
        axes.set(xticks=[], yticks=[])
