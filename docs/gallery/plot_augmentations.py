"""
Augmentations
=============

What the augmentations of a recipe do to one image. Each row enables one key of ``[augment]``, and
the last row all that the recipe ``default`` uses.
"""

import matplotlib.pyplot as plt
import torch

import oraclezoo as oz
from oraclezoo.engine.augment import Augmenter
from oraclezoo.recipe.sections import Augment

part = oz.registry().create("dataset", "glyphs-3k").split("train")
image = part.images[part.labels == 9][5]  # wood

ROWS = {
    "shift": Augment(shift=3.0),
    "rotate": Augment(rotate=12.0),
    "scale": Augment(scale=0.2),
    "shear": Augment(shear=0.2),
    "elastic": Augment(elastic=1.5),
    "cutout": Augment(cutout=7),
    "jpeg": Augment(jpeg=1.0, jpeg_quality=15),
    "default": oz.Recipe.load("default").augment,
}
COLUMNS = 10

figure, grid = plt.subplots(len(ROWS), COLUMNS, figsize=(COLUMNS * 0.8, len(ROWS) * 0.8))
for (name, settings), row in zip(ROWS.items(), grid, strict=True):
    augmenter = Augmenter(settings, flip=False, mean=0.0, std=1.0, device=torch.device("cpu"))
    augmenter.reseed(7)
    batch = torch.from_numpy(image).repeat(COLUMNS, 1, 1)
    for augmented, axes in zip(augmenter(batch), row, strict=True):
        axes.imshow(augmented[0], cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.subplots_adjust(wspace=0.06, hspace=0.06)
