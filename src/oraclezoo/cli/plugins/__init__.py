"""``oraclezoo plugins``: list, diagnose, create and check plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._shared.app import (
    emit_json,
    json_option,
    next_step,
    print_table,
    stdout_to_stderr,
    terminal_columns,
)
from oraclezoo.cli._shared.group import LazyGroup
from oraclezoo.specs import KINDS

if TYPE_CHECKING:
    from oraclezoo.plugins.host import Plugin

COMMANDS = {
    "doctor": (
        "oraclezoo.cli.plugins.doctor:command",
        "Diagnose plugin problems and suggest fixes.",
    ),
    "new": ("oraclezoo.cli.plugins.new:command", "Create a plugin package from a template."),
    "check": ("oraclezoo.cli.plugins.check:command", "Run the conformance checks on components."),
}
"""Import target and help line of each command."""


@click.group("plugins", cls=LazyGroup, targets=COMMANDS, invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List plugins: origin, status and components."""
    if ctx.invoked_subcommand is not None:
        return
    from oraclezoo.plugins.registry import build_registry  # not strict, to list broken ones too

    with stdout_to_stderr():
        plugins = build_registry().plugins
    if as_json:
        emit_json("oraclezoo/plugins/1", [_document(plugin) for plugin in plugins])
        return
    rows = [(p.distribution, p.version, p.entry_point, p.status, _offers(p)) for p in plugins]
    print_table(("DISTRIBUTION", "VERSION", "ENTRY POINT", "STATUS", "OFFERS"), rows)
    if terminal_columns() is not None:
        next_step("plugins", "doctor")


def _offers(plugin: Plugin) -> str:
    if plugin.status != "ok":
        return plugin.reason
    counts = {kind: sum(spec.kind == kind for spec in plugin.specs) for kind in KINDS}
    listed = [f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items() if n]
    return ", ".join(listed) or "nothing"


def _document(plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.entry_point,
        "value": plugin.value,
        "status": plugin.status,
        "reason": plugin.reason,
        "fix": plugin.fix,
        "offers": [{"kind": spec.kind, "name": spec.name} for spec in plugin.specs],
    }
