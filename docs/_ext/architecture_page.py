"""Diagrams of the architecture page, as inline SVG.

Lines and text use ``currentColor``, so the diagrams follow the theme of the page, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        *("codec", "errors", "storage", "documents", "signals", "choices", "notebook", "display"),
        *("specs", "hookspecs", "contracts", "card"),
    ),
    ("recipe", "result", "plugins", "scaffold", "page"),
    (
        "imaging",
        "data",
        "zoo",
        "engine",
        "compression",
        "onnx_export",
        "measure",
        "serving",
        "watching",
        "ranking",
        "plots",
        "trackers",
    ),
    ("artifacts", "jobs", "executors", "testing", "sphinxext", "cloud", "server"),
    ("training", "receipts"),
    ("pruning", "quantization", "sweeping", "analysis"),
    ("benching", "search"),
    ("publish",),
    ("api", "cli", "client"),
)
"""Packages and modules of oraclezoo, lowest layer first; each imports only layers before it."""

WIDTH = 840
LETTER = 7.2
"""Assumed width of a character in pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its top-left corner, a title and a smaller second line."""

    x: float
    y: float
    title: str
    detail: str = ""
    width: float = 116
    height: float = 46

    @property
    def right(self) -> float:
        """The x coordinate of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y coordinate of the bottom edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """The center."""
        return self.x + self.width / 2, self.y + self.height / 2


def architecture_layers() -> str:
    """Return the layer diagram: one row of boxes per layer, the lowest layer at the bottom."""
    row, gap = 38, 6
    shapes = []
    for level, names in enumerate(reversed(LAYERS)):
        y = 6 + level * row
        widths = [len(name) * LETTER + 14 for name in names]
        x = 60 + (WIDTH - 60 - sum(widths) - gap * (len(names) - 1)) / 2
        for name, width in zip(names, widths, strict=True):
            shapes.append(_box(Box(x, y, name, width=width, height=26)))
            x += width + gap
    height = 6 + len(LAYERS) * row
    shapes.append(_arrow((24, 10), (24, height - 14)))
    shapes.append(_text(36, height / 2, "imports", anchor="middle", turned=True))
    return _svg("Packages of oraclezoo by layer; each layer imports only layers below it",
                height, shapes)  # fmt: skip


def architecture_benchmark() -> str:
    """Return the diagram of the path from a recipe to the leaderboard."""
    step = 181
    recipe = Box(0, 96, "recipe.toml", "file or name")
    resolved = Box(step, 96, "Recipe", "hashed")
    run = Box(2 * step, 96, "run folder", "one per seed")
    result = Box(3 * step, 96, "result", "with predictions")
    board = Box(4 * step, 96, "leaderboard", "table or page")
    registry = Box(step, 6, "registry", "built-in and plugins")
    track = Box(2 * step, 6, "track", "fixed split")
    model = Box(2 * step, 196, "model folder", "ONNX, receipts")
    record = Box(3 * step, 196, "reproduction", "record")
    shapes = [_box(each) for each in (
        recipe, resolved, run, result, board, registry, track, model, record,
    )]  # fmt: skip
    shapes += [
        _across(recipe, resolved, "recipe"),
        _across(resolved, run, "training"),
        _across(run, result, "benching"),
        _across(result, board, "ranking"),
        _down(registry, resolved, "plugins"),
        _down(track, run, "data"),
        _arrow((run.middle[0], run.bottom), (model.middle[0], model.y)),
        _text(run.middle[0] - 8, 172, "pruning, quantization", anchor="end"),
        _down(result, record, "publish"),
        _arrow((model.right, model.middle[1]), (result.x, result.bottom - 6)),
        _arrow((record.right, record.middle[1]), (board.x + 20, board.bottom)),
    ]
    return _svg("From a recipe to the leaderboard", 248, shapes)


def architecture_prediction() -> str:
    """Return the diagram of the path from a picture to a prediction."""
    step = 181
    boxes = [
        Box(0, 6, "picture", "any size and format"),
        Box(step, 6, "grayscale image", "uint8 (H, W)"),
        Box(2 * step, 6, "light on dark", "uint8 (H, W)"),
        Box(3 * step, 6, "model input", "uint8 (S, S)"),
        Box(4 * step, 6, "prediction", "label, probabilities"),
    ]
    labels = ("decode", "polarity", "prepare", "serving")
    card = Box(3 * step, 96, "model.json", "card")
    graph = Box(4 * step, 96, "model.onnx", "ONNX Runtime")
    shapes = [_box(each) for each in (*boxes, card, graph)]
    pairs = zip(boxes, boxes[1:], labels, strict=False)
    shapes += [_across(left, right, label) for left, right, label in pairs]
    shapes += [
        _arrow((card.middle[0], card.y), (boxes[3].middle[0], boxes[3].bottom)),
        _text(card.middle[0] + 6, 78, "image size"),
        _arrow((graph.middle[0], graph.y), (boxes[4].middle[0], boxes[4].bottom)),
        _across(card, graph, "digest"),
    ]
    return _svg("From a picture to a prediction", 148, shapes)


def _across(left: Box, right: Box, label: str) -> str:
    """Return an arrow between two boxes of one row, with its label above."""
    y = left.middle[1]
    middle = (left.right + right.x) / 2
    arrow = _arrow((left.right, y), (right.x, y))
    return arrow + _text(middle, y - 7, label, anchor="middle")


def _down(upper: Box, lower: Box, label: str) -> str:
    """Return an arrow from a box to the one below it, with its label to the right."""
    x = upper.middle[0]
    y = (upper.bottom + lower.y) / 2 + 4
    return _arrow((x, upper.bottom), (x, lower.y)) + _text(x + 6, y, label)


def _box(box: Box) -> str:
    x, y = box.middle
    frame = (
        f'<rect x="{box.x + 1:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
        'rx="5" fill="currentColor" fill-opacity="0.06" stroke="currentColor"/>'
    )
    title = _text(x, y - 3 if box.detail else y + 4, box.title, anchor="middle", size=12)
    detail = _text(x, y + 13, box.detail, anchor="middle") if box.detail else ""
    return frame + title + detail


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}" '
        'stroke="currentColor" marker-end="url(#architecture-head)"/>'
    )


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, turned: bool = False
) -> str:
    rotate = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{rotate} '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _svg(title: str, height: float, shapes: Sequence[str]) -> str:
    """Return a MyST block with the shapes as one inline SVG."""
    head = (
        '<defs><marker id="architecture-head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="currentColor"/></marker>'
        "</defs>"
    )
    body = "\n".join(shapes)
    return (
        "```{raw} html\n"
        f'<svg viewBox="0 0 {WIDTH + 4} {height:g}" role="img" style="max-width: 100%" '
        f'font-family="system-ui, sans-serif">\n<title>{escape(title)}</title>\n{head}\n'
        f"{body}\n</svg>\n```\n"
    )
