"""What a row's stored predictions show: seeds, recall, confusion and calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from oraclezoo.ranking import comparison
from oraclezoo.ranking.page.text import element, empty, safe
from oraclezoo.ranking.predictions import Predictions

MOST = 32
"""Maximum number of classes for which the confusion matrix is shown."""
BINS = 10
SIZE, EDGE = 240, 34
WIDTH, HEIGHT = 480, 56


def confusion(predictions: Predictions) -> npt.NDArray[np.float64]:
    """Return the fraction of each class (row) that is predicted as each class, over all seeds."""
    classes = predictions.probabilities.shape[2]
    guesses = predictions.probabilities.argmax(axis=2)
    pairs = (predictions.labels * classes + guesses).ravel()
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    shares: npt.NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def recall_table(predictions: Predictions, names: Sequence[str]) -> str:
    """Return the recall of each class with its 95% interval."""
    correct = predictions.correct
    rows = []
    for label, name in enumerate(names):
        members = correct[:, predictions.labels == label]
        if not members.size:
            continue
        recall = comparison.interval(members)
        bounds = "" if np.isnan(recall.low) else f"{100 * recall.low:.1f}–{100 * recall.high:.1f}"
        bar = element("span", "", class_="oz-recall", style=f"--v:{recall.mean:.4f}")
        cells = element("th", safe(name), scope="row") + element("td", f"{100 * recall.mean:.1f}")
        rows.append(element("tr", cells + element("td", bounds) + element("td", bar)))
    heads = ("class", "recall, %", "95% interval")
    top = "".join(element("th", head, scope="col") for head in heads) + element("td", "")
    content = element("caption", "Recall by class") + element("thead", element("tr", top))
    table = element("table", content + element("tbody", "".join(rows)), class_="oz-classes")
    return _scrolling(table, "Recall by class")


def confusion_table(shares: npt.NDArray[np.float64], names: Sequence[str]) -> str:
    """Return the confusion matrix in percent of each true class; 0 is left empty."""
    columns = "".join(
        element("th", safe(_brief(name)), scope="col", title=name, aria_label=name)
        for name in names
    )
    rows = []
    for label, name in enumerate(names):
        cells = "".join(
            element(
                "td",
                f"{100 * share:.1f}" if share else "",
                class_="oz-right" if guess == label else "oz-wrong" if share else None,
                style=f"--v:{share:.3f}" if share else None,
            )
            for guess, share in enumerate(shares[label])
        )
        rows.append(element("tr", element("th", safe(name), scope="row") + cells))
    corner = element("td", "true class ↓, predicted →", class_="oz-corner")
    title = "Confusion, % of each true class"
    content = element("caption", title) + element("thead", element("tr", corner + columns))
    table = element("table", content + element("tbody", "".join(rows)), class_="oz-confusion")
    return _scrolling(table, title)


def worst_pairs(shares: npt.NDArray[np.float64], names: Sequence[str], count: int = 3) -> str:
    """Return a sentence with the most frequent confusions, or nothing without mistakes."""
    wrong = shares * (1 - np.eye(len(shares)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [divmod(int(place), len(shares)) for place in order if wrong.flat[place] > 0]
    if not pairs:
        return ""
    listed = "; ".join(
        f"{names[true]} predicted as {names[guess]} ({100 * wrong[true, guess]:.1f}%)"
        for true, guess in pairs
    )
    return element("p", safe(f"Most frequent: {listed}."))


def reliability(predictions: Predictions) -> str:
    """Draw accuracy against confidence in ten bins over all seeds; area shows the share."""
    confidence = predictions.probabilities.max(axis=2).astype(np.float64).ravel()
    right = predictions.correct.ravel().astype(np.float64)
    index = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(index, minlength=BINS)
    filled = np.flatnonzero(count)
    mean = np.bincount(index, confidence, BINS)[filled] / count[filled]
    accuracy = np.bincount(index, right, BINS)[filled] / count[filled]
    share = count[filled] / count.sum()
    low, high = EDGE, SIZE - 8

    def x(value: float) -> float:
        return low + (high - low) * value

    def y(value: float) -> float:
        return SIZE - x(value)

    parts = [
        empty("line", class_="oz-line", x1=x(0), y1=y(0), x2=x(1), y2=y(1)),
        *(
            empty("line", class_="oz-grid", x1=x(0), y1=y(tick), x2=x(1), y2=y(tick))
            + element("text", f"{100 * tick:g}", x=low - 6, y=y(tick) + 4, text_anchor="end")
            + element("text", f"{100 * tick:g}", x=x(tick), y=y(0) + 15, text_anchor="middle")
            for tick in (0.0, 0.5, 1.0)
        ),
        element("text", "confidence, %", x=x(0.5), y=SIZE - 4, text_anchor="middle"),
        element(
            "text", "accuracy, %", text_anchor="middle",
            transform=f"translate(11 {y(0.5):.0f}) rotate(-90)",
        ),
    ]  # fmt: skip
    rows = zip(mean, accuracy, share, strict=True)
    for confident, actual, part in rows:
        title = (
            f"confidence {100 * confident:.0f}%: accuracy {100 * actual:.0f}%, "
            f"{100 * part:.1f}% of predictions"
        )
        parts.append(
            element(
                "circle", element("title", title), class_="oz-bin", cx=f"{x(confident):.1f}",
                cy=f"{y(actual):.1f}", r=f"{2.5 + 9 * part**0.5:.1f}",
            )
        )  # fmt: skip
    label = "reliability diagram: accuracy against confidence"
    return _svg("oz-reliability", SIZE, SIZE, label, parts)


def seed_plot(accuracies: Sequence[float], low: float | None, high: float | None) -> str:
    """Draw the accuracy of each seed, in percent, over the mean and its interval."""
    mean = float(np.mean(accuracies))
    bounds = [*accuracies, *(value for value in (low, high) if value is not None)]
    margin = max(0.08 * (max(bounds) - min(bounds)), 0.2)
    start, end = min(bounds) - margin, max(bounds) + margin

    def x(value: float) -> float:
        return 14 + (WIDTH - 28) * (value - start) / (end - start)

    parts = [empty("line", class_="oz-track", x1=14, y1=24, x2=WIDTH - 14, y2=24)]
    if low is not None and high is not None:
        width = f"{x(high) - x(low):.1f}"
        parts.append(
            empty("rect", class_="oz-ci", x=f"{x(low):.1f}", y=17, width=width, height=14, rx=2)
        )
        ends = ((low, "start"), (high, "end"))
        parts += [
            element("text", f"{value:.2f}", x=f"{x(value):.1f}", y=46, text_anchor=anchor)
            for value, anchor in ends
        ]
    at = f"{x(mean):.1f}"
    parts.append(empty("line", class_="oz-mean", x1=at, y1=13, x2=at, y2=35))
    parts.append(element("text", f"mean {mean:.2f}", x=at, y=9, text_anchor="middle"))
    parts += [
        element(
            "circle", element("title", f"{value:.2f}%"), class_="oz-seed", cx=f"{x(value):.1f}",
            cy=24, r=4,
        )
        for value in accuracies
    ]  # fmt: skip
    label = f"accuracy of each seed: {', '.join(f'{value:.2f}%' for value in accuracies)}"
    return _svg("oz-seeds", WIDTH, HEIGHT, label, parts)


def _brief(name: str) -> str:
    """Return the character that a class name starts with, or its first four letters."""
    first = name.split(" ")[0]
    return first if len(first) == 1 or first.isdigit() else name[:4]


def _scrolling(table: str, label: str) -> str:
    return element("div", table, class_="oz-scroll", tabindex=0, role="region", aria_label=label)


def _svg(kind: str, width: int, height: int, label: str, parts: Sequence[str]) -> str:
    return element(
        "svg", "".join(parts), class_=kind, viewBox=f"0 0 {width} {height}", role="img",
        aria_label=label,
    )  # fmt: skip
