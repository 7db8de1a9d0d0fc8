"""``oraclezoo data``: what data there is, getting it, making it, checking it, looking at it."""

from __future__ import annotations

import click

from oraclezoo.cli._group import LazyGroup

COMMANDS = {
    "list": ("oraclezoo.cli.data.list_:command", "List the tracks: data sets with a fixed split."),
    "fetch": ("oraclezoo.cli.data.fetch:command", "Download Oracle-MNIST, verified."),
    "verify": ("oraclezoo.cli.data.verify:command", "Hold files against their published digests."),
    "preview": ("oraclezoo.cli.data.preview:command", "Write a labelled contact sheet."),
    "audit": ("oraclezoo.cli.data.audit:command", "Look for copies, blank images, odd labels."),
    "corrupt": ("oraclezoo.cli.data.corrupt:command", "Write a sheet of corrupted images."),
    "glyphs": ("oraclezoo.cli.data.glyphs:command", "Generate characters, also of your own."),
    "convert": ("oraclezoo.cli.data.convert:command", "Convert scans to IDX files."),
}
"""Each command's target and its line in the help."""


@click.group("data", cls=LazyGroup, targets=COMMANDS)
def command() -> None:
    """List, download, make, check and look at data."""
