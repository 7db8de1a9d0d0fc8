"""
Characters
==========

The ten characters of the bundled models, generated from written strokes. Each row shows training
images of one class.
"""

import matplotlib.pyplot as plt

import oraclezoo as oz

dataset = oz.registry().create("dataset", "glyphs-3k")
part = dataset.split("train")

COLUMNS = 12
figure, grid = plt.subplots(10, COLUMNS, figsize=(COLUMNS * 0.72, 7.2))
for label, row in enumerate(grid):
    images = part.images[part.labels == label][:COLUMNS]
    for image, axes in zip(images, row, strict=True):
        axes.imshow(image, cmap="gray")
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(dataset.classes[label], rotation=0, ha="right", va="center")
figure.subplots_adjust(wspace=0.06, hspace=0.06)

# %%
# ``oraclezoo data preview glyphs-3k --out sheet.png`` writes such a contact sheet for any track.
