"""Common style of the figures: fonts, sizes and reproducible files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import OracleZooError
from oraclezoo.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_DPI = 160
SYSTEM_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Noto Sans CJK JP",
    "Hiragino Sans",
)
"""Fallback fonts, in order of preference, for characters that the bundled fonts lack."""

RIGHT, WRONG, FAINT = "#1b7837", "#c1272d", "#777777"
TRAIN, VALIDATION = "#7a7a7a", "#1f5fa8"


class Letters:
    """Font families for given texts: DejaVu Sans, the label font, then installed system fonts.

    Args:
        label_font: Path of the label font.
        texts: Texts to draw; system fonts are added for characters that the first two fonts lack.

    Attributes:
        families: Names of the fonts, for matplotlib's ``font.family``.
    """

    def __init__(self, label_font: Path, texts: Iterable[str]) -> None:
        from matplotlib import font_manager

        manager = font_manager.fontManager
        if all(Path(entry.fname) != label_font for entry in manager.ttflist):
            manager.addfont(str(label_font))
        bundled = font_manager.FontProperties(fname=str(label_font)).get_name()
        self.families = ["DejaVu Sans", bundled]
        self._known = _characters(font_manager.findfont("DejaVu Sans")) | _characters(label_font)
        installed = {entry.name: entry.fname for entry in manager.ttflist}
        wanted = {c for text in texts for c in text}
        for name in SYSTEM_FONTS:
            if name in installed and not wanted <= self._known:
                characters = _characters(installed[name])
                if characters & (wanted - self._known):
                    self.families.append(name)
                    self._known |= characters

    def show(self, text: str) -> str:
        """Return ``text`` with U+XXXX in place of each character that is missing from all fonts."""
        return "".join(c if c in self._known else f"U+{ord(c):04X}" for c in text)

    def label(self, name: str, glyph: str) -> str:
        """Return a class's character and name, or only its name if they are equal."""
        return self.show(name if glyph in ("", name) else f"{glyph} {name}")


@contextmanager
def drawing(letters: Letters) -> Iterator[None]:
    """Context manager that applies the matplotlib settings of the figures."""
    import matplotlib

    settings: Any = {  # matplotlib's type stubs expect literal keys
        "font.family": letters.families,
        "font.size": 10,
        "text.parse_math": False,  # class names are not formulas
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "path",  # outlines look the same where these fonts are not installed
        "svg.hashsalt": "oraclezoo",
    }
    with matplotlib.rc_context(settings):
        yield


def need_matplotlib() -> None:
    """Raise OracleZooError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401  # only checks availability
    except ImportError as error:
        raise OracleZooError(
            f"plots need matplotlib ({error}): pip install 'oraclezoo[plots]'"
        ) from error


def head(figure: Figure, title: str, subtitle: str) -> None:
    """Set the title and subtitle of a figure."""
    figure.suptitle(f"{title}\n{subtitle}", fontsize=11, x=0.01, ha="left", linespacing=1.4)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` reproducibly and atomically; return their paths."""
    settings: dict[str, dict[str, Any]] = {
        "svg": {"metadata": {"Date": None}},
        "png": {"metadata": {"Software": None}, "dpi": PNG_DPI},
    }
    paths = []
    for kind, options in settings.items():
        content = BytesIO()
        figure.savefig(content, format=kind, **options)
        paths.append(write_atomically(folder / f"{name}.{kind}", content.getvalue()))
    return paths


def _characters(font: str | Path) -> set[str]:
    from matplotlib.ft2font import FT2Font

    return set(map(chr, FT2Font(str(font)).get_charmap()))
