"""Pages of the zoo, generated from specs: one per component and one per kind.

They are written to docs/reference/zoo/ before Sphinx reads the sources, and are not committed.
Lightweight imports only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import board_page
import generated
import zoo_tables
from generated import plain
from measured import table

from oraclezoo.plugins.registry import Entry
from oraclezoo.specs import Kind

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "zoo"
KINDS: dict[Kind, str] = {
    "backbone": "Backbones",
    "optimizer": "Optimizers",
    "scheduler": "Schedulers",
    "dataset": "Tracks",
    "tracker": "Trackers",
}
FACTS = {
    "prunable": "`oraclezoo prune` supports it",
    "not_prunable_because": "why `oraclezoo prune` does not support it",
    "lr_peak": "largest learning rate, relative to that of the optimizer",
    "data_init": "initializes from training images",
    "needs_closure": "evaluates the gradient more than once per step",
    "train_eval": "trains and evaluates at different weights",
    "separable": "updates each parameter independently of the others",
    "takes": "parameters updated by its own rule",
    "others": "optimizer for the remaining parameters",
    "metric": "depends on a validation metric",
    "synthetic": "generated images",
    "streams": "can be streamed from its file",
    "needs": "requirements",
    "train": "training images",
    "validation": "validation images",
    "test": "test images",
}
"""Meaning of each declared fact."""


def write() -> None:
    """Write pages whose text changed, and delete pages of removed components."""
    pages = dict(_pages())
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in set(FOLDER.rglob("*.md")) - set(pages):
        path.unlink()


def _pages() -> Iterator[tuple[Path, str]]:
    registry, results = generated.builtins(), board_page.results()
    for kind, title in KINDS.items():
        entries = list(registry.entries(kind))
        yield FOLDER / f"{title.lower()}.md", _index(kind, title, entries, results)
        for entry in entries:
            yield FOLDER / title.lower() / f"{entry.spec.name}.md", _page(kind, entry, results)


def _index(kind: Kind, title: str, entries: list[Entry], results: list[dict[str, Any]]) -> str:
    folder = title.lower()
    parts = [
        f"# {title}",
        f"oraclezoo has {len(entries)} built-in {title.lower()}. `oraclezoo list {kind}s` also "
        "lists those of installed plugins.",
        zoo_tables.components(kind, folder, entries, results),
    ]
    if kind == "backbone":
        parts.append(generated.any_timm())
    names = "\n".join(f"{folder}/{entry.spec.name}" for entry in entries)
    parts.append(f"```{{toctree}}\n:hidden:\n\n{names}\n```")
    return "\n\n".join(parts) + "\n"


def _page(kind: Kind, entry: Entry, results: list[dict[str, Any]]) -> str:
    spec = entry.spec
    origin = (
        f"Qualified name: `{entry.distribution}:{spec.name}`. Implementation: `{spec.target}`."
        if spec.target
        else f"Qualified name: `{entry.distribution}:{spec.name}`."
    )
    parts = [f"# `{spec.name}`", _sentence(spec.summary), origin]
    if spec.source.strip("-"):
        parts.append(f"Source: {_linked(spec.source)}.")
    facts = [
        [f"`{name}`", plain(generated.value(value)), FACTS.get(name, "")]
        for name, value in spec.facts.items()
    ]
    if facts:
        parts += ["## Facts", table(("fact", "value", "meaning"), facts)]
    parts += ["## Options", generated.options(spec.options, "option")]
    parts += ["## Usage", _use(kind, spec.name)]
    if kind != "tracker":
        parts += [
            "## Published results",
            _results(kind, f"{entry.distribution}:{spec.name}", results),
        ]
    return "\n\n".join(parts) + "\n"


def _use(kind: Kind, name: str) -> str:
    lines = [f"$ oraclezoo list {kind}s {name}"]
    if kind == "dataset":
        folder = " --data-dir FOLDER" if name == "idx" else ""
        lines.append(f"$ oraclezoo bench --track {name}{folder}")
    elif kind == "tracker":
        lines.append(f"$ oraclezoo train quick --tracker {name}")
    else:
        lines.append(f"$ oraclezoo train quick --set {kind}.name={name}")
    commands = "```console\n" + "\n".join(lines) + "\n```"
    if kind in ("dataset", "tracker"):
        return commands
    return f'{commands}\n\nIn a recipe:\n\n```toml\n[{kind}]\nname = "{name}"\n```'


def _results(kind: Kind, name: str, results: list[dict[str, Any]]) -> str:
    """Return a table of the published results that use this component."""
    rows = []
    for each in results:
        if each["components"][kind]["name"] != name or not each["seeds"]:
            continue
        track, division = (
            each["track"]["name"].removeprefix("oraclezoo:"),
            each["track"]["division"],
        )
        accuracy = 100 * mean(seed["accuracy"] for seed in each["seeds"])
        parts = [
            each["components"][part]["name"].removeprefix("oraclezoo:")
            for part in ("backbone", "optimizer", "scheduler")
        ]
        hash12 = each["recipe"]["hash"][:12]
        rows.append(
            (-accuracy, [
                f"{plain(each['recipe']['name'])}, {hash12}", plain(", ".join(parts)),
                f"{track}, {division}", f"{accuracy:.2f}", str(len(each["seeds"])),
            ])
        )  # fmt: skip
    if not rows:
        return "None yet.\n"
    head = ("recipe", "components", "track, division", "test accuracy, %", "seeds")
    shown = table(head, [row for _, row in sorted(rows)])
    return f"{shown}\nIntervals, ranks and ties are on the [leaderboard](/leaderboard.md).\n"


def _sentence(text: str) -> str:
    sentence = plain(text).rstrip(".")
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _linked(source: str) -> str:
    """Return a source with its arXiv numbers and URLs as links."""
    parts = re.split(r"(arXiv[: ]\d{4}\.\d{4,5}|https?://[^\s,;)]+)", source)
    return "".join(_link(part) if index % 2 else _escaped(part) for index, part in enumerate(parts))


def _escaped(text: str) -> str:
    """Escape like :func:`generated.plain`, but keep leading and trailing spaces."""
    left, right = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return left + plain(text) + right if text.strip() else text


def _link(text: str) -> str:
    number = re.fullmatch(r"arXiv[: ](\S+)", text)
    return f"[{text}](https://arxiv.org/abs/{number[1]})" if number else f"<{text}>"
