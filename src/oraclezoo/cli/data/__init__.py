"""``oraclezoo data``: list, download, generate, convert, lock and inspect data sets."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.group import LazyGroup

COMMANDS = {
    "list": ("oraclezoo.cli.data.list_:command", "List the tracks (data sets with a fixed split)."),
    "fetch": ("oraclezoo.cli.data.fetch:command", "Download and verify Oracle-MNIST."),
    "verify": ("oraclezoo.cli.data.verify:command", "Verify files by their published digests."),
    "preview": ("oraclezoo.cli.data.preview:command", "Write a contact sheet of labeled images."),
    "audit": (
        "oraclezoo.cli.data.audit:command",
        "Find duplicates, blank images and suspicious labels.",
    ),
    "corrupt": ("oraclezoo.cli.data.corrupt:command", "Write a contact sheet of corrupted images."),
    "glyphs": ("oraclezoo.cli.data.glyphs:command", "Generate a synthetic data set."),
    "lock": ("oraclezoo.cli.data.lock:command", "Write a lock file with digests and counts."),
    "push": ("oraclezoo.cli.data.push:command", "Upload the files of a lock."),
    "pull": ("oraclezoo.cli.data.pull:command", "Download the files of a lock, verified."),
    "convert": ("oraclezoo.cli.data.convert:command", "Convert scanned images to IDX files."),
}
"""Import target and help line of each command."""


@click.group("data", cls=LazyGroup, targets=COMMANDS)
def command() -> None:
    """List, download, generate, convert, lock and inspect data sets."""
