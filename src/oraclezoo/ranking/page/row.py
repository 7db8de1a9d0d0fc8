"""The page of a row: rank, seeds, mistakes, calibration, costs, files and provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.page import mistakes, near, provenance
from oraclezoo.ranking.page.board import anchor, heading
from oraclezoo.ranking.page.columns import chips, components
from oraclezoo.ranking.page.commands import training_command
from oraclezoo.ranking.page.links import Key, Links, key
from oraclezoo.ranking.page.notes import rank_note
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import Table
from oraclezoo.ranking.text import NONE, short

Parts = dict[str, tuple[str, str]]
"""Title and HTML of each section, by id."""


def row_page(row: Row, table: Table, entries: Mapping[Key, Entry], links: Links) -> str:
    """Return the HTML of a row's page.

    Args:
        row: The row.
        table: The table with the row.
        entries: Entries of all rows of the table, from
            :func:`oraclezoo.ranking.page.board.entries_by_row`.
        links: Addresses of the other pages and of files.
    """
    entry = entries[key(row)]
    result = entry.result
    sections: Parts = {
        "rank": ("Rank and near ties", _rank(row, table, entries, links)),
        "seeds": ("Seeds", _seeds(row, entry)),
        **_predictions(row, entry, links),
        "latency": ("Latency and size", provenance.latencies(result.latency)),
    }
    if result.robustness is not None:
        scores = provenance.robustness(result.robustness)
        sections["robustness"] = ("Robustness", scores)
    sections |= {
        "reproduce": ("Reproduction", _commands(row, entry, links)),
        "provenance": (
            "Files and provenance",
            provenance.files(result, _sha256(entry), links)
            + provenance.provenance(result)
            + provenance.recipe(result),
        ),
    }
    present = {name: part for name, part in sections.items() if part[1]}
    jumps = "".join(
        element("li", element("a", title, href=f"#{name}")) for name, (title, _) in present.items()
    )
    back = element(
        "a", f"← Leaderboard: {safe(heading(table))}",
        href=f"{links.board}#{anchor(table, row)}", class_="oz-back",
    )  # fmt: skip
    synthetic = element("span", "synthetic data", class_="oz-mark oz-synthetic")
    summary = f"{safe(result.recipe.summary)}. " if result.recipe.summary else ""
    parts = [
        back,
        element("h1", safe(row.recipe) + chips(row) + (synthetic if row.synthetic else "")),
        element("p", summary + components(row, links), class_="oz-lead"),
        _figures(row, table),
        element("nav", element("ul", jumps), class_="oz-jumps", aria_label="On this page"),
    ]
    parts += [
        element("section", element("h2", title) + content, id=name)
        for name, (title, content) in present.items()
    ]
    return element("article", "".join(parts), class_="oz-board oz-row")


def title(row: Row, table: Table) -> str:
    """Return the title of a row's page."""
    return f"{row.label} on {table.track}, {table.division} division"


def _figures(row: Row, table: Table) -> str:
    interval = ""
    if row.ci95_low_percent is not None:
        interval = f"{row.ci95_low_percent:.2f} to {number(row.ci95_high_percent, 2)}"
    ranked = sum(each.rank is not None for each in table.rows)
    latency = row.latency
    runtime = f"{latency.runtime} {latency.precision}, {latency.threads} thread" if latency else ""
    runtime += "s" if latency and latency.threads > 1 else ""
    tied = len(row.ties_with)
    pairs = [
        ("accuracy", f"{number(row.accuracy_percent, 2)}%", interval),
        ("rank", NONE if row.rank is None else str(row.rank), f"of {ranked}, {tied} ties"),
        ("seeds", str(row.seeds), f"SD {number(row.seed_std_points, 2)} points"),
        ("latency", f"{number(latency.p50_ms if latency else None, 2)} ms", runtime),
        ("size", f"{number(row.size_bytes, 2, 1e6)} MB", ""),
        ("parameters", f"{number(row.parameters, 2, 1e6)} M", ""),
        ("MACs", f"{number(row.macs, 1, 1e6)} M", "per image"),
        ("training", f"{number(row.train_s, 1)} s", short(row.hardware_class)),
    ]
    cells = "".join(
        element(
            "div",
            element("dt", name) + element("dd", safe(figure) + element("small", safe(detail))),
        )
        for name, figure, detail in pairs
    )
    return element("dl", cells, class_="oz-figures")


def _rank(row: Row, table: Table, entries: Mapping[Key, Entry], links: Links) -> str:
    rivals = near.neighbors(row, table.rows, entries)
    text = rank_note(row, table.rows)
    if not rivals:
        return text
    return text + near.near_table(row, rivals, links)


def _seeds(row: Row, entry: Entry) -> str:
    result = entry.result
    if not result.seeds:
        return provenance.failures(result)
    accuracies = [100 * score.accuracy for score in result.seeds]
    text = f"Mean {number(row.accuracy_percent, 2)}% over {row.seeds} seed{'s' * (row.seeds > 1)}"
    if row.seed_std_points is not None:
        text += (
            f", SD {row.seed_std_points:.2f} points, 95% interval {number(row.ci95_low_percent, 2)}"
            f" to {number(row.ci95_high_percent, 2)}% over images and seeds"
        )
    plot = mistakes.seed_plot(accuracies, row.ci95_low_percent, row.ci95_high_percent)
    return element("p", f"{text}.") + plot + provenance.seeds(result) + provenance.failures(result)


def _predictions(row: Row, entry: Entry, links: Links) -> Parts:
    """Return the sections on stored predictions; none if every seed failed."""
    predictions = entry.predictions
    if predictions is None:
        return {}
    classes = predictions.probabilities.shape[2]
    names = links.classes.get(short(entry.result.track.name), ())
    if len(names) != classes:
        names = [str(label) for label in range(classes)]
    mistaken = mistakes.recall_table(predictions, names)
    if classes <= mistakes.MOST:
        shares = mistakes.confusion(predictions)
        mistaken += mistakes.confusion_table(shares, names)
        mistaken += mistakes.worst_pairs(shares, names)
    text = (
        f"Expected calibration error {number(row.ece_percent, 2)}% (15 bins of equal width), "
        f"{number(row.ece_equal_mass_percent, 2)}% (equal mass); negative log-likelihood "
        f"{number(row.nll_nats, 3)} nats. A dot below the diagonal is overconfident; its area "
        "shows the fraction of predictions."
    )
    calibrated = element("p", text) + mistakes.reliability(predictions)
    return {
        "classes": ("Recall and confusion", mistaken),
        "calibration": ("Calibration", calibrated),
    }


def _commands(row: Row, entry: Entry, links: Links) -> str:
    again = links.reproduce(entry.result)
    parts = [
        element("p", "Train the recorded recipe again and compare the result with this one:"),
        _command(again),
    ]
    trained = training_command(entry.result, row)
    if trained:
        parts.append(element("p", "Train the recipe of this name in the installed version:"))
        parts.append(_command(trained))
    if row.reproductions or row.reproductions_differing:
        parts.append(
            element(
                "p",
                f"Reproduced in {row.reproductions} environments; different in "
                f"{row.reproductions_differing}.",
            )
        )
    return "".join(parts)


def _command(command: str) -> str:
    button = element(
        "button", "Copy", type="button", class_="oz-copy", data_command=command, hidden=True,
        aria_label=f"Copy {command}",
    )  # fmt: skip
    return element("div", element("code", safe(command)) + button, class_="oz-command")


def _sha256(entry: Entry) -> str:
    path = entry.result.path
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
