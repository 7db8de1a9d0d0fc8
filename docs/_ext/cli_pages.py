"""Pages of the command line reference: one per command, and the table that links to them.

They are written to docs/reference/cli/ before Sphinx reads the sources, and are not committed.
Lightweight imports only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measured import table

from oraclezoo.cli import COMMANDS, SECTIONS
from oraclezoo.cli.bench import SUBCOMMANDS

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "cli"
GUIDES = {
    "bench": ("reference/results", "explanation/protocol"),
    "calibrate": ("how-to/shrink/calibrate",),
    "compress": ("how-to/shrink/compress",),
    "data": ("how-to/data/index",),
    "drift": ("explanation/robustness",),
    "env": ("help/troubleshooting",),
    "evaluate": ("start/tutorial",),
    "export": ("how-to/shrink/export",),
    "job": ("how-to/train/cloud",),
    "leaderboard": ("leaderboard",),
    "list": ("reference/zoo",),
    "models": ("how-to/use/models",),
    "monitoring": ("how-to/use/monitoring",),
    "page": ("how-to/use/page",),
    "plot": ("how-to/train/plots",),
    "plugins": ("how-to/publish/plugins",),
    "predict": ("how-to/use/predict",),
    "prune": ("how-to/shrink/prune",),
    "quantize": ("how-to/shrink/quantize",),
    "receipt": ("how-to/shrink/receipts",),
    "recipe": ("how-to/train/recipes", "reference/recipe-keys"),
    "reproduce": ("how-to/publish/reproduce",),
    "serve": ("how-to/use/serve",),
    "submit": ("how-to/publish/submit",),
    "sweep": ("how-to/train/sweeps",),
    "train": ("how-to/train/recipes", "how-to/train/engine"),
}
"""Pages that explain how to use each command."""


def commands() -> str:
    """Return tables of the commands by section, and the toctree of their pages."""
    parts = []
    for section in SECTIONS:
        rows = [[f"[`{name}`](cli/{name}.rst)", COMMANDS[name][1]] for name in section.commands]
        parts += [f"### {section.title}", "", table(("command", "description"), rows)]
    names = "\n".join(f"cli/{name}" for section in SECTIONS for name in section.commands)
    return "\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"])


def write() -> None:
    """Write pages whose text changed, and delete pages of removed commands."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = dict(_pages())
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in set(FOLDER.glob("*.rst")) - set(pages):
        path.unlink()


def _pages() -> Iterator[tuple[Path, str]]:
    for name, (target, summary) in COMMANDS.items():
        guides = ", ".join(f":doc:`/{page}`" for page in GUIDES.get(name, ()))
        lines = [
            ".. meta::",
            f"   :description: oraclezoo {name}: {summary}",
            "",
            f".. click:: {target}",
            f"   :prog: oraclezoo {name}",
            "   :nested: full",
            "",
            *(_subcommands() if name == "bench" else []),
            *([f".. seealso:: {guides}", ""] if guides else []),
        ]
        yield FOLDER / f"{name}.rst", "\n".join(lines)


def _subcommands() -> list[str]:
    """Return the directives of the subcommands of ``bench``, which is no group."""
    return [
        line
        for name, (target, _) in SUBCOMMANDS.items()
        for line in (f".. click:: {target}", f"   :prog: oraclezoo bench {name}", "")
    ]
