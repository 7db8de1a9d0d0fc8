"""``oraclezoo data list``: list the tracks."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.app import (
    App,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    terminal_columns,
)
from oraclezoo.cli._shared.examples import example


@click.command("list", epilog=example("oraclezoo data list --json"))
@json_option
@pass_app
def command(app: App, as_json: bool) -> None:
    """List the tracks (data sets with a fixed split)."""
    entries = app.registry.entries("dataset")
    if as_json:
        rows = [
            {"name": e.qualified, "summary": e.spec.summary, "facts": dict(e.spec.facts)}
            for e in entries
        ]
        emit_json("oraclezoo/tracks/1", rows)
        return
    header = ("track", "train", "validation", "test", "needs", "summary")
    counts = ("train", "validation", "test")
    print_table(
        header,
        [
            (
                e.spec.name if e.builtin else e.qualified,
                *(str(e.spec.facts.get(key) or "") for key in counts),
                str(e.spec.facts.get("needs", "")),
                ("[synthetic] " if e.spec.facts.get("synthetic") else "") + e.spec.summary,
            )
            for e in entries
        ],
    )
    if terminal_columns() is not None:
        next_step("data", "preview", "glyphs-3k")
