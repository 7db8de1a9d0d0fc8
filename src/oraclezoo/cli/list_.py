"""``oraclezoo list``: list available components and their origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._shared.app import App, emit_json, json_option, pass_app, print_table
from oraclezoo.errors import UnknownNameError, UsageError, nearest
from oraclezoo.specs import KINDS, Kind, Option

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Entry, Registry

_KINDS: dict[str, Kind] = {word: kind for kind in KINDS for word in (f"{kind}s", kind)}


def _complete_kind(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [f"{kind}s" for kind in KINDS if kind.startswith(incomplete)]


def _complete_name(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from oraclezoo.cli._shared.app import complete_names

    kind = _KINDS.get(ctx.params.get("kind") or "")
    return complete_names(*([kind] if kind else KINDS))(ctx, parameter, incomplete)


@click.command("list")
@click.argument("kind", required=False, shell_complete=_complete_kind)
@click.argument("pattern", required=False, shell_complete=_complete_name)
@json_option
@pass_app
def command(app: App, kind: str | None, pattern: str | None, as_json: bool) -> None:
    """List backbones, optimizers, schedulers, data sets, trackers, models and executors.

    KIND is one of these words. PATTERN is a glob, part of a name, or a full name; a full name shows
    the component's options.
    """
    if kind is not None and kind not in _KINDS:
        if pattern is not None:
            raise UsageError(f"unknown kind '{kind}'{nearest(kind, _KINDS)}")
        kind, pattern = None, kind
    kinds = _KINDS[kind] if kind else None
    entries, exact = _find(app.registry, kinds, pattern)
    if as_json:
        emit_json("oraclezoo/list/1", [_document(entry) for entry in entries])
    elif exact:
        for entry in entries:
            _show(entry)
    else:
        _print(app.registry, entries, timm=kinds in (None, "backbone") and pattern is None)
    quarantined = [plugin for plugin in app.registry.plugins if plugin.status == "quarantined"]
    if quarantined:
        names = ", ".join(plugin.name for plugin in quarantined)
        click.echo(f"quarantined: {names}; see 'oraclezoo plugins doctor'", err=True)


def _find(registry: Registry, kind: Kind | None, pattern: str | None) -> tuple[list[Entry], bool]:
    """Return matching entries, and whether ``pattern`` is their exact name."""
    if pattern is None:
        return registry.entries(kind), False
    kinds = [kind] if kind else KINDS
    exact = [registry.get(k, pattern) for k in kinds if (k, pattern) in registry]
    if exact:
        return exact, True
    entries = registry.entries(kind, pattern)
    if not entries and kind:
        registry.get(kind, pattern)  # raises UnknownNameError with similar names
    if not entries:
        known = [*(f"{k}s" for k in KINDS), *(name for k in KINDS for name in registry.names(k))]
        raise UnknownNameError("kind or name", pattern, known)
    return entries, False


def _print(registry: Registry, entries: list[Entry], *, timm: bool) -> None:
    rows: list[tuple[str, str, str, str]] = []
    for entry in entries:
        spec = entry.spec
        name = registry.shortest(entry)
        rows.append((spec.kind, name, f"{entry.distribution} {entry.version}", spec.summary))
    if timm:
        last = max((i for i, row in enumerate(rows) if row[0] == "backbone"), default=-1)
        row = ("backbone", "timm/<architecture>", "", "any timm architecture, unchanged")
        rows.insert(last + 1, row)
    print_table(("KIND", "NAME", "ORIGIN", "SUMMARY"), rows)


def _show(entry: Entry) -> None:
    spec = entry.spec
    click.echo(click.style(f"{spec.kind} {entry.qualified}", bold=True))
    click.echo(f"  {spec.summary}")
    click.echo(f"  from {entry.distribution} {entry.version}, entry point {entry.entry_point}")
    if spec.source:
        click.echo(f"  source: {spec.source}")
    if spec.facts:
        click.echo("  metadata: " + ", ".join(f"{k} = {_text(v)}" for k, v in spec.facts.items()))
    if spec.options:
        click.echo()
        rows = [(o.name, o.type, _text(o.default), _bounds(o), o.help) for o in spec.options]
        print_table(("OPTION", "TYPE", "DEFAULT", "BOUNDS", "MEANING"), rows)
    else:
        click.echo("  takes no options")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)


def _bounds(option: Option) -> str:
    if option.choices:
        return ", ".join(option.choices)
    if option.low is None and option.high is None:
        return ""
    low = "-inf" if option.low is None else f"{option.low:g}"
    high = "inf" if option.high is None else f"{option.high:g}"
    return f"[{low}, {high}]"


def _document(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "qualified": entry.qualified,
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.entry_point,
        "summary": spec.summary,
        "source": spec.source,
        "target": spec.target,
        "facts": dict(spec.facts),
        "options": [
            {
                "name": option.name,
                "type": option.type,
                "default": option.default,
                "help": option.help,
                "low": option.low,
                "high": option.high,
                "choices": list(option.choices),
            }
            for option in spec.options
        ],
    }
