"""
Plots of a run
==============

Train a small model on generated characters, and draw the figures of ``oraclezoo plot``: learning
curves, confusion matrix and recall of each class.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import oraclezoo as oz

settings = {"budget.epochs": 3, "backbone.name": "oraclenet_n"}
folder = Path(tempfile.mkdtemp())
run = oz.train(oz.Recipe.load("quick", settings), seed=0, out=folder)
files = {path.name: path for path in oz.plot(run, out=folder / "figures")}


def show(name):
    """Show a figure that ``plot`` wrote."""
    pixels = plt.imread(files[name])
    height, width = pixels.shape[:2]
    axes = plt.figure(figsize=(7, 7 * height / width), facecolor="white").add_axes((0, 0, 1, 1))
    axes.imshow(pixels)
    axes.axis("off")


show("curves.png")

# %%
# The confusion matrix on validation images. Rows are true classes.
show("validation-confusion.png")

# %%
# Recall of each class, with 95% intervals.
show("validation-per-class.png")

# %%
# Mistakes
# --------
#
# The misclassified images, most confident first.
show("validation-mistakes.png")
