"""``oraclezoo job``: specs of cloud jobs."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.group import LazyGroup

COMMANDS = {
    "render": ("oraclezoo.cli.job.render:command", "Print the spec of a cloud job, to submit."),
}
"""Import target and help line of each command."""


@click.group("job", cls=LazyGroup, targets=COMMANDS)
def command() -> None:
    """Prepare jobs for Kubernetes, Vertex AI and Cloud Run."""
