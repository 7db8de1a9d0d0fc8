"""``oraclezoo plugins check``: run the conformance checks on components."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared.app import (
    App,
    complete_names,
    emit_json,
    json_option,
    pass_app,
    print_table,
    say,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.plugins.discovery import normalize
from oraclezoo.specs import KINDS

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry
    from oraclezoo.testing.kit import Verdict


@click.command("check", epilog=example("oraclezoo plugins check my-zoo --quick"))
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
    from oraclezoo.testing.kit import document

    verdicts = _quarantined(app.registry, name)
    if not verdicts or any(entry.distribution == normalize(name) for entry in app.registry):
        with stdout_to_stderr():
            verdicts += _verdicts(app.registry, name, data_dir, slow=not quick)
    rows = list(map(document, verdicts))
    failed = sum(verdict.outcome == "fail" for verdict in verdicts)
    if as_json:
        emit_json("oraclezoo/plugins-check/1", {"passed": not failed, "verdicts": rows})
    else:
        columns = ("kind", "name", "check", "verdict", "reason")
        table = [[row[column] for column in columns] for row in rows]
        print_table([column.upper() for column in columns], table)
    if failed:
        for verdict in verdicts:
            if verdict.outcome == "fail":  # the table may truncate the reason
                say(f"{verdict.name}, {verdict.check}: {verdict.reason}")
        say(f"oraclezoo: {failed} of {len(rows)} checks failed")
    ctx.exit(3 if failed else 0)


def _quarantined(registry: Registry, name: str) -> list[Verdict]:
    """Return a failed verdict for each entry point of the distribution that did not load."""
    from oraclezoo.testing.kit import Verdict

    return [
        Verdict(
            "plugin",
            plugin.name,
            "loads",
            "fail",
            f"{plugin.status}: {plugin.reason}; {plugin.fix}",
        )
        for plugin in registry.plugins
        if plugin.status != "ok" and normalize(name) in (plugin.distribution, plugin.name)
    ]


def _verdicts(registry: Registry, name: str, data_dir: Path | None, *, slow: bool) -> list[Verdict]:
    from oraclezoo.testing.kit import check, find

    verdicts: list[Verdict] = []
    for entry in find(registry, name):
        say(f"{entry.spec.kind} {entry.qualified}, {entry.distribution} {entry.version}")
        verdicts += check(registry, entry, data_dir=data_dir, slow=slow)
    return verdicts
