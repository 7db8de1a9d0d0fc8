"""
Corruptions
===========

The ten corruptions of ``bench --robust`` at severities 1 to 5, on a generated character.
"""

import matplotlib.pyplot as plt

import oraclezoo as oz
from oraclezoo.data.corrupt import CORRUPTIONS, corrupt

part = oz.registry().create("dataset", "glyphs-3k").split("train")
images = part.images[part.labels == 1][9:10]  # sun

figure, grid = plt.subplots(len(CORRUPTIONS), 6, figsize=(5.6, len(CORRUPTIONS) * 0.85))
for name, row in zip(CORRUPTIONS, grid, strict=True):
    for severity, axes in enumerate(row):
        shown = corrupt(images, name, severity=severity)[0] if severity else images[0]
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
for severity, axes in enumerate(grid[0]):
    axes.set_title(str(severity) if severity else "clean")
figure.subplots_adjust(wspace=0.06, hspace=0.06)
