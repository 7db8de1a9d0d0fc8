"""``oraclezoo plugins doctor``: diagnose plugin problems and suggest fixes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

import click

from oraclezoo.cli._shared.app import App, emit_json, json_option, pass_app, stdout_to_stderr
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oraclezoo.plugins.registry import Registry

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A plugin problem with its cause and a fix."""

    level: Level
    what: str
    why: str
    fix: str
    traceback: str = ""


@click.command("doctor", epilog=example("oraclezoo plugins doctor"))
@json_option
@pass_app
@click.pass_context
def command(ctx: click.Context, app: App, as_json: bool) -> None:
    """Diagnose plugin problems and suggest fixes.

    Exit status 1 if a plugin is quarantined or declares a component whose target does not exist.
    """
    from oraclezoo.plugins.probe import crashes
    from oraclezoo.plugins.registry import build_registry

    with stdout_to_stderr():
        registry = build_registry(crashed=crashes())
    problems = diagnose(registry)
    healthy = all(problem.level != "error" for problem in problems)
    if as_json:
        emit_json(
            "oraclezoo/plugins-doctor/1",
            {"healthy": healthy, "problems": list(map(asdict, problems))},
        )
    else:
        for problem in problems:
            click.echo(click.style(f"{problem.level}: {problem.what}", bold=True))
            click.echo(f"  why: {problem.why}\n  fix: {problem.fix}")
            if app.debug and problem.traceback:
                click.echo("  " + problem.traceback.strip().replace("\n", "\n  "))
        if healthy:
            count = sum(plugin.status == "ok" for plugin in registry.plugins) - 1
            click.echo(f"no plugin is quarantined; plugins besides the built-in one: {count}")
        elif not app.debug and any(problem.traceback for problem in problems):
            click.echo("tracebacks: oraclezoo --debug plugins doctor", err=True)
    ctx.exit(0 if healthy else 1)


def diagnose(registry: Registry) -> list[Problem]:
    """Return all problems of the installed plugins, errors first."""
    problems = [*_failed(registry), *_targets(registry), *_clashes(registry), *_disabled(registry)]
    return sorted(problems, key=lambda problem: get_args(Level).index(problem.level))


def _failed(registry: Registry) -> Iterator[Problem]:
    """Yield quarantined and disabled plugins, and warnings about working plugins."""
    for plugin in registry.plugins:
        subject = f"{plugin.name} ({plugin.distribution} {plugin.version}, {plugin.value})"
        if plugin.status == "quarantined":
            subject = f"quarantined: {subject}"
            yield Problem("error", subject, plugin.reason, plugin.fix, plugin.traceback)
        elif plugin.status == "disabled":
            yield Problem("note", f"disabled: {subject}", plugin.reason, plugin.fix)
        for reason, fix in plugin.notes:
            yield Problem("warning", subject, reason, fix)


def _targets(registry: Registry) -> Iterator[Problem]:
    """Yield plugin components whose target does not exist."""
    from oraclezoo.plugins.targets import missing

    for entry in registry:
        reason = "" if entry.builtin else missing(entry.spec.target)
        if reason:
            yield Problem(
                "error",
                f"{entry.spec.kind} '{entry.qualified}' ({entry.distribution} {entry.version})",
                f"its target is '{entry.spec.target}', but {reason}",
                f"update it (pip install -U {entry.distribution}); its author must correct the "
                f"target of {entry.spec.kind} '{entry.spec.name}'",
            )


def _clashes(registry: Registry) -> Iterator[Problem]:
    """Yield component names that several distributions provide."""
    for first, *rest in registry.clashes():
        subject = f"{first.spec.kind} '{first.spec.name}'"
        names = ", ".join(entry.qualified for entry in rest)
        if first.builtin:
            reason = f"{names} has the name of a built-in component"
            yield Problem("note", subject, reason, f"use {names} to select it")
        else:
            reason = f"several distributions provide it: {first.qualified}, {names}"
            yield Problem("warning", subject, reason, "use the qualified name")
    for alike in registry.lookalikes():
        listed = ", ".join(entry.qualified for entry in alike)
        yield Problem(
            "warning",
            f"{alike[0].spec.kind} '{alike[-1].spec.name}'",
            f"names differ by case only, and are easily confused: {listed}",
            f"the author of {alike[-1].distribution} should rename one of them",
        )


def _disabled(registry: Registry) -> Iterator[Problem]:
    """Yield names in ORACLEZOO_DISABLE_PLUGINS that match no plugin."""
    for name in registry.unknown_disabled:
        yield Problem(
            "warning",
            f"ORACLEZOO_DISABLE_PLUGINS lists '{name}'",
            "no plugin has this name",
            "correct it; 'oraclezoo plugins' lists the names",
        )
