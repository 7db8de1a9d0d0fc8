"""``oraclezoo plugins check``: run the conformance checks on components."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._base import (
    App,
    complete_names,
    emit_json,
    json_option,
    pass_app,
    print_table,
    say,
    stdout_to_stderr,
)
from oraclezoo.plugins.discovery import normalise
from oraclezoo.specs import KINDS

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry


@click.command("check")
@click.argument("name", shell_complete=complete_names(*KINDS))
@click.option("--quick", is_flag=True, help="Skip checks that may take more than ten seconds.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of a data set's files.",
)
@json_option
@pass_app
@click.pass_context
def command(
    ctx: click.Context, app: App, name: str, quick: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Check that a plugin satisfies its contract. NAME is a distribution or a component.

    Prints pass, fail or skip for each check, with a reason. Exit status 3 if one fails.
    """
    rows = _quarantined(app.registry, name)
    if not rows or any(entry.distribution == normalise(name) for entry in app.registry):
        with stdout_to_stderr():
            rows += _verdicts(app.registry, name, data_dir, slow=not quick)
    failed = sum(row["verdict"] == "fail" for row in rows)
    if as_json:
        emit_json("oraclezoo/plugins-check/1", {"passed": not failed, "verdicts": rows})
    else:
        columns = ("kind", "name", "check", "verdict", "reason")
        table = [[row[column] for column in columns] for row in rows]
        print_table([column.upper() for column in columns], table)
    if failed:
        for row in rows:
            if row["verdict"] == "fail":  # the table may have truncated the reason
                say(f"{row['name']}, {row['check']}: {row['reason']}")
        say(f"oraclezoo: {failed} of {len(rows)} checks failed")
    ctx.exit(3 if failed else 0)


def _quarantined(registry: Registry, name: str) -> list[dict[str, Any]]:
    """Return a failed verdict for each entry point of the distribution that did not load."""
    return [
        {
            "kind": "plugin",
            "name": plugin.name,
            "check": "loads",
            "verdict": "fail",
            "reason": f"{plugin.status}: {plugin.reason}; {plugin.fix}",
        }
        for plugin in registry.plugins
        if plugin.status != "ok" and normalise(name) in (plugin.distribution, plugin.name)
    ]


def _verdicts(
    registry: Registry, name: str, data_dir: Path | None, *, slow: bool
) -> list[dict[str, Any]]:
    from oraclezoo.testing.kit import check, document, find

    rows = []
    for entry in find(registry, name):
        say(f"{entry.spec.kind} {entry.qualified}, {entry.distribution} {entry.version}")
        found = check(registry, entry, data_dir=data_dir, slow=slow)
        rows += [document(verdict) for verdict in found]
    return rows
