"""t-SNE plot of a model's embeddings, which are the inputs of its last layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from oraclezoo.errors import OracleZooError
from oraclezoo.plots.records import Scored
from oraclezoo.plots.style import Letters, head, save

MOST = 5000
"""Maximum number of images; t-SNE takes minutes for larger numbers."""

COMPONENTS, PERPLEXITY = 50, 30.0
LISTED, LABELED = 20, 60
"""Maximum number of classes for a legend and for labels in the plot."""


def lay_out(
    embeddings: npt.NDArray[np.floating[Any]],
) -> tuple[npt.NDArray[np.float64], float]:
    """Return a t-SNE layout (van der Maaten and Hinton 2008) and the perplexity used.

    Runs scikit-learn's t-SNE on the first 50 principal components, initialized with the first two.
    The layout is deterministic on a given machine.

    Args:
        embeddings: Float array ``(N, D)``.

    Returns:
        Float64 array ``(N, 2)``, and the perplexity.

    Raises:
        OracleZooError: scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise OracleZooError(
            f"t-SNE needs scikit-learn ({error}): pip install 'oraclezoo[plots]'"
        ) from error
    points = np.asarray(embeddings, np.float64)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    components = min(COMPONENTS, *points.shape)
    if points.shape[1] > components:
        points = PCA(components, svd_solver="full").fit_transform(points)
    spread = points.std()
    start = points[:, :2] / (spread or 1.0) * 1e-4
    if start.shape[1] < 2:
        start = np.pad(start, ((0, 0), (0, 1)))
    layout = TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(points)
    return np.asarray(layout, np.float64), perplexity


def embedding(scored: Scored, letters: Letters, folder: Path, name: str) -> list[Path]:
    """Plot a t-SNE layout colored by class, with crosses on misclassified images.

    Writes no file if there are fewer than eight images.
    """
    sample_indices = _sample(scored.labels)
    if len(sample_indices) < 8:
        return []
    points, perplexity = lay_out(scored.embeddings[sample_indices])
    labels, wrong = (
        scored.labels[sample_indices],
        (scored.predicted != scored.labels)[sample_indices],
    )
    present = [int(label) for label in np.unique(labels)]
    colors = _colors(len(present))
    figure = Figure(figsize=(9.4, 7.4))
    axes = figure.subplots()
    many = len(present) > LISTED
    size = 22 if len(sample_indices) <= 600 else 9
    for label, color in zip(present, colors, strict=True):
        of = labels == label
        axes.scatter(points[of, 0], points[of, 1], s=size, color=color, alpha=0.75, linewidths=0)
    x, y = points[wrong].T
    axes.scatter(x, y, s=3 * size, marker="x", color="black", linewidths=1.1)
    halo = [withStroke(linewidth=3, foreground="white")]
    for label in present if len(present) <= LABELED else ():
        glyph = letters.show(scored.glyphs[label])
        text = (glyph or letters.show(scored.classes[label])) if many or len(glyph) == 1 else ""
        at_x, at_y = np.median(points[labels == label], axis=0)
        style: Any = {"ha": "center", "va": "center", "path_effects": halo, "clip_on": True}
        axes.text(at_x, at_y, text, fontsize=9 if many else 15, **style)
    keys = [
        Line2D([], [], marker="x", ls="", color="black", label=f"misclassified ({wrong.sum()})")
    ]
    for label, color in zip(present, colors, strict=True) if not many else ():
        text = letters.label(scored.classes[label], scored.glyphs[label])
        keys.insert(-1, Line2D([], [], marker="o", ls="", color=color, label=text))
    figure.legend(handles=keys, loc="outside right center", handletextpad=0.2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#cccccc")
    axes.set_xlabel("t-SNE: only neighborhoods are meaningful, not distances, sizes or axes")
    axes.set_aspect("equal", adjustable="datalim")
    sample = (
        f"; sample of {len(sample_indices)}" if len(sample_indices) < len(scored.labels) else ""
    )
    method = f"{scored.embedded}; perplexity {perplexity:.3g}"
    head(figure, f"{scored.title}: embedding", f"{scored.subtitle}{sample}\n{method}")
    return save(figure, folder, name)


def _sample(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the indices of all images, or of ``MOST`` evenly spaced images."""
    if len(labels) <= MOST:
        return np.arange(len(labels))
    return np.linspace(0, len(labels) - 1, MOST).round().astype(np.int64)


def _colors(count: int) -> list[Any]:
    maps = matplotlib.colormaps
    if count <= 10:
        return [maps["tab10"](k) for k in range(count)]
    if count <= 20:
        return [maps["tab20"](k) for k in range(count)]
    return [maps["turbo"](k / (count - 1)) for k in range(count)]
