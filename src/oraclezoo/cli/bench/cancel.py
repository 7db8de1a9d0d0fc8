"""``oraclezoo bench cancel``: stop a campaign and keep its state."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, emit_json, json_option, pass_app, say
from oraclezoo.cli._shared.examples import example


@click.command("cancel", epilog=example("oraclezoo bench cancel"))
@click.argument("campaign", required=False)
@options.runs
@json_option
@pass_app
def command(app: App, campaign: str | None, runs: str, as_json: bool) -> None:
    """Stop CAMPAIGN (an identifier or a folder; by default the only one).

    Running jobs save their state and exit; 'bench collect' continues the campaign.
    """
    from pathlib import Path

    from oraclezoo.benching.placed import cancel
    from oraclezoo.executors.campaign import find

    found = find(campaign, Path(runs))
    count = cancel(found, app.registry)
    if as_json:
        emit_json("oraclezoo/bench-cancelled/1", {"campaign": found.id, "jobs": count})
    else:
        say(f"campaign {found.id} is cancelled; 'oraclezoo bench collect' continues it")
