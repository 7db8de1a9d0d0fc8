"""``oraclezoo plugins``: every plugin, how it fared, and what mends the ones that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._base import App, emit_json, json_option, pass_app, print_table
from oraclezoo.specs import KINDS

if TYPE_CHECKING:
    from oraclezoo.host import Plugin
    from oraclezoo.registry import Registry


@click.group("plugins", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the plugins: where each comes from, whether it works, what it offers."""
    if ctx.invoked_subcommand is not None:
        return
    from oraclezoo.registry import build_registry  # not strict: to show is what this is for

    plugins = build_registry().plugins
    if as_json:
        emit_json("oraclezoo/plugins/1", [_document(plugin) for plugin in plugins])
        return
    rows = [(p.distribution, p.version, p.entry_point, p.status, _offers(p)) for p in plugins]
    print_table(("DISTRIBUTION", "VERSION", "ENTRY POINT", "STATUS", "OFFERS"), rows)


@command.command("doctor")
@json_option
@pass_app
@click.pass_context
def doctor(ctx: click.Context, app: App, as_json: bool) -> None:
    """Explain every problem and how to mend it; exit 1 when a plugin is quarantined."""
    from oraclezoo.registry import build_registry

    registry = build_registry()
    problems = diagnose(registry)
    healthy = all(plugin.status != "quarantined" for plugin in registry.plugins)
    if as_json:
        emit_json("oraclezoo/plugins-doctor/1", {"healthy": healthy, "problems": problems})
    else:
        for problem in problems:
            click.echo(click.style(f"{problem['level']}: {problem['what']}", bold=True))
            click.echo(f"  why: {problem['why']}\n  fix: {problem['fix']}")
            if app.debug and problem["traceback"]:
                click.echo("  " + problem["traceback"].strip().replace("\n", "\n  "))
        if healthy:
            count = sum(plugin.status == "ok" for plugin in registry.plugins) - 1
            click.echo(f"nothing is quarantined; plugins beside the built-in one: {count}")
        elif not app.debug:
            click.echo("tracebacks: oraclezoo --debug plugins doctor", err=True)
    ctx.exit(0 if healthy else 1)


def diagnose(registry: Registry) -> list[dict[str, str]]:
    """Everything about the plugins that somebody may want to mend, errors first.

    Keys of each: ``level`` (error, warning or note), ``what``, ``why``, ``fix``, ``traceback``.
    """
    problems: list[dict[str, str]] = []

    def add(level: str, what: str, why: str, fix: str, traceback: str = "") -> None:
        problems.append(
            {"level": level, "what": what, "why": why, "fix": fix, "traceback": traceback}
        )

    for plugin in registry.plugins:
        what = f"{plugin.name} ({plugin.distribution} {plugin.version}, {plugin.value})"
        if plugin.status == "quarantined":
            add("error", f"quarantined: {what}", plugin.reason, plugin.fix, plugin.traceback)
        elif plugin.status == "disabled":
            add("note", f"disabled: {what}", plugin.reason, plugin.fix)
        for why, fix in plugin.notes:
            add("warning", what, why, fix)
    for first, *rest in registry.clashes():
        what = f"{first.spec.kind} '{first.spec.name}'"
        others = ", ".join(entry.qualified for entry in rest)
        if first.builtin:
            add("note", what, f"{others} goes by a built-in name", f"say {others} to mean it")
        else:
            listed = f"{first.qualified}, {others}"
            add("warning", what, f"more than one offers it: {listed}", "say which by its full name")
    for name in registry.unknown_disabled:
        add(
            "warning",
            f"ORACLEZOO_DISABLE_PLUGINS lists '{name}'",
            "no plugin goes by that name",
            "correct it; 'oraclezoo plugins' shows the names",
        )
    return sorted(problems, key=lambda p: ("error", "warning", "note").index(p["level"]))


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
