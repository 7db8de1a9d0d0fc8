"""Report of a sweep: table, JSON document and figures."""

from __future__ import annotations

from pathlib import Path

from oraclezoo.data.lettering import FONT
from oraclezoo.sweeping.records import Trial
from oraclezoo.sweeping.space import Choices, Range, point_text
from oraclezoo.sweeping.sweep import BEST, Sweep


def header() -> tuple[str, ...]:
    """Return the column headers for :func:`rows`."""
    return ("RANK", "TRIAL", "ACCURACY %", "SE", "LOSS", "SECONDS", "SETTINGS")


def rows(sweep: Sweep) -> list[tuple[str, ...]]:
    """Return one row of text per trial: finished trials, best first, then all other trials.

    The standard error is computed over the training runs of a trial, and empty for a single run.
    """
    table: list[tuple[str, ...]] = []
    for rank, trial in enumerate(sweep.ranked, 1):
        se = "" if trial.accuracy_se is None else f"{100 * trial.accuracy_se:.2f}"
        figures = (f"{100 * trial.accuracy:.2f}", se, f"{trial.loss:.3f}", f"{trial.train_s:.1f}")
        table.append((str(rank), str(trial.number), *figures, point_text(trial.point)))
    for trial in sweep.trials:
        if trial.status != "done":
            settings = point_text(trial.point)
            table.append(("-", str(trial.number), trial.status, "", "", "", settings))
    return table


def document(sweep: Sweep) -> dict[str, object]:
    """Return the outcome of the sweep as JSON-serializable data."""
    best = sweep.best
    weight = sweep.importance
    return {
        "folder": str(sweep.folder),
        "judged": sweep.judged,
        "metric": sweep.metric,
        "complete": sweep.complete,
        "trials": [_trial(trial) for trial in sweep.trials],
        "best": None if best is None else best.number,
        "best_recipe": None if best is None else str(sweep.folder / BEST),
        "importance": None
        if weight is None
        else {"method": weight.method, "shares": dict(weight.shares)},
    }


def _trial(trial: Trial) -> dict[str, object]:
    figures: dict[str, object] = {}
    if trial.parts:
        figures = {
            "accuracy": trial.accuracy,
            "accuracy_se": trial.accuracy_se,
            "loss": trial.loss,
            "train_s": trial.train_s,
        }
    return {
        "trial": trial.number,
        "point": trial.point,
        "status": trial.status,
        "reason": trial.reason,
        "trainings": len(trial.parts),
        **figures,
    }


def figures(sweep: Sweep) -> list[Path]:
    """Plot importance and slices to the sweep's folder, unless there are fewer than two trials.

    Raises OracleZooError if matplotlib is not installed.
    """
    from oraclezoo.plots.style import Letters, drawing, need_matplotlib

    need_matplotlib()
    from oraclezoo.plots import sweep as plots

    ranked = sweep.ranked
    if len(ranked) < 2:
        return []
    share = sweep.metric == "accuracy"
    trials = plots.Trials(
        title=f"sweep in {sweep.folder.name}",
        subtitle=f"{len(ranked)} trials, {sweep.judged}",
        points={axis.key: [trial.point[axis.key] for trial in ranked] for axis in sweep.axes},
        values=[100 * trial.accuracy if share else trial.loss for trial in ranked],
        value_name="accuracy (%)" if share else "loss (nats)",
        log=frozenset(a.key for a in sweep.axes if isinstance(a, Range) and a.log),
        choices={a.key: plots.words(a.values) for a in sweep.axes if isinstance(a, Choices)},
        best=0,
    )
    weight = sweep.importance
    order = [axis.key for axis in sweep.axes] if weight is None else list(weight.shares)
    with drawing(Letters(FONT, order)):
        files = plots.slices(trials, order, sweep.folder)
        if weight is not None:
            files += plots.importance(trials, weight.shares, weight.method, sweep.folder)
    return files
