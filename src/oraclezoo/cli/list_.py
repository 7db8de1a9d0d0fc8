"""``oraclezoo list``: list available components and their origin."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._shared.app import (
    App,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    terminal_columns,
    wrapped,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.errors import UnknownNameError, UsageError, nearest
from oraclezoo.specs import KINDS, Kind, Option

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Entry, Registry

ANY_TIMM = "timm/<architecture>"

_KINDS: dict[str, Kind] = {word: kind for kind in KINDS for word in (f"{kind}s", kind)}


def _complete_kind(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [f"{kind}s" for kind in KINDS if kind.startswith(incomplete)]


def _complete_name(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from oraclezoo.cli._shared.app import complete_names

    kind = _KINDS.get(ctx.params.get("kind") or "")
    return complete_names(*([kind] if kind else KINDS))(ctx, parameter, incomplete)


@click.command("list", epilog=example("oraclezoo list optimizers 'adam*'"))
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
        if terminal_columns() is not None:
            _suggest_use(entries[0])
    else:
        _print(app.registry, entries, kinds, pattern)
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


def _print(
    registry: Registry, entries: list[Entry], kind: Kind | None, pattern: str | None
) -> None:
    """Print the table: all columns in a pipe, those that tell components apart on a terminal."""
    rows = [
        (entry.spec.kind, registry.shortest(entry), _origin(entry), entry.spec.summary)
        for entry in entries
    ]
    if kind in (None, "backbone") and pattern is None:
        last = max((i for i, row in enumerate(rows) if row[0] == "backbone"), default=-1)
        rows.insert(last + 1, ("backbone", ANY_TIMM, "", "any timm architecture, unchanged"))
    if terminal_columns() is None:
        print_table(("KIND", "NAME", "ORIGIN", "SUMMARY"), rows)
        return
    columns: dict[str, list[str]] = {
        "KIND": [row[0] for row in rows],
        "NAME": [row[1] for row in rows],
    }
    if kind is not None:
        del columns["KIND"]
    if any(not entry.builtin for entry in entries):
        columns["ORIGIN"] = [row[2] for row in rows]
    if kind == "backbone":
        published = _published()
        figures = [published.get(name, ("", "")) for name in columns["NAME"]]
        columns["PARAMETERS"] = [row[0] for row in figures]
        columns["ACCURACY"] = [row[1] for row in figures]
    columns["SUMMARY"] = [
        row[3].partition("; ")[0] for row in rows
    ]  # 'list KIND NAME' shows all of it
    print_table(list(columns), list(zip(*columns.values(), strict=True)))
    _footer(entries, kind)


def _footer(entries: list[Entry], kind: Kind | None) -> None:
    counts = Counter(entry.spec.kind for entry in entries)
    click.echo("\n" + ", ".join(f"{n} {k}{'s' * (n > 1)}" for k, n in counts.items()))
    if kind == "backbone":
        click.echo(
            "ACCURACY: mean over the seeds of 'bench --suite backbones' on oracle-mnist-3k, "
            "or on\nglyphs-3k (synthetic) if marked with *"
        )
    if entries:
        first = entries[0].spec
        next_step("list", f"{first.kind}s", first.name)


def _origin(entry: Entry) -> str:
    return f"{entry.distribution} {entry.version}"


def _published() -> dict[str, tuple[str, str]]:
    """Return parameters and accuracy of built-in backbones with a published result, as text."""
    import json
    from importlib.resources import files

    text = (files("oraclezoo.zoo.backbones") / "published.json").read_text("utf-8")
    return {
        name: (
            f"{row['parameters']:,}",
            f"{100 * row['accuracy']:.1f}%" + "*" * (row["track"] != "oracle-mnist-3k"),
        )
        for name, row in json.loads(text).items()
    }


def _show(entry: Entry) -> None:
    spec = entry.spec
    click.echo(click.style(f"{spec.kind} {entry.qualified}", bold=True))
    click.echo(wrapped(f"  {spec.summary}"))
    click.echo(f"  from {entry.distribution} {entry.version}, entry point {entry.entry_point}")
    if spec.source:
        click.echo(wrapped(f"  source: {spec.source}"))
    if spec.facts:
        facts = ", ".join(f"{k} = {_text(v)}" for k, v in spec.facts.items())
        click.echo(wrapped(f"  metadata: {facts}"))
    if spec.options:
        click.echo()
        rows = [(o.name, o.type, _text(o.default), _bounds(o), o.help) for o in spec.options]
        print_table(("OPTION", "TYPE", "DEFAULT", "BOUNDS", "MEANING"), rows)
    else:
        click.echo("  takes no options")


def _suggest_use(entry: Entry) -> None:
    name = entry.spec.name if entry.builtin else entry.qualified
    match entry.spec.kind:
        case "dataset":
            next_step("data", "preview", name)
        case "tracker":
            next_step("train", "--tracker", name)
        case "model":
            next_step("predict", "--model", name, "--demo")
        case kind:
            next_step("train", "-s", f"{kind}.name={name}")


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
