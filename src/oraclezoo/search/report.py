"""Report of a compression search: its candidates as text, table, JSON and figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.card.receipt import setting_text
from oraclezoo.data.lettering import FONT
from oraclezoo.errors import OracleZooError
from oraclezoo.ranking.pareto import front
from oraclezoo.search.goals import Goals, loosened, nearest, pairs
from oraclezoo.search.journal import Candidate, Trial
from oraclezoo.search.options import Compression
from oraclezoo.search.trial import Chain

if TYPE_CHECKING:
    from oraclezoo.plots.pareto import Field


@dataclass(frozen=True)
class Summary:
    """Trials of a search and the selected candidate (None if no candidate meets all limits)."""

    chain: Chain
    trials: tuple[Trial, ...]
    selected: tuple[Trial, Candidate] | None

    @property
    def goals(self) -> Goals:
        """The latency, size and accuracy limits."""
        return self.chain.goals

    def is_selected(self, candidate: Candidate) -> bool:
        """Return whether a candidate is the selected one."""
        return self.selected is not None and candidate is self.selected[1]

    def document(self) -> list[dict[str, Any]]:
        """Return one JSON record for each candidate and each failed trial."""
        return [row for trial in self.trials for row in self._records(trial)]

    def _records(self, trial: Trial) -> Iterator[dict[str, Any]]:
        number = {"trial": trial.number, "asked": trial.asked}
        for candidate in trial.candidates:
            crossed = [bound.words for bound in self.goals.crossed(candidate)]
            yield {
                **number,
                **dataclasses.asdict(candidate),
                "within": not crossed,
                "crossed": crossed,
                "chosen": self.is_selected(candidate),
            }
        if trial.reason:
            yield {**number, "within": False, "failed": trial.reason}


@dataclass(frozen=True)
class CompressionReport:
    """Options and findings of a compression search, for its receipt."""

    options: Compression
    selected: Candidate
    summary: Summary

    def to_json(self) -> dict[str, Any]:
        """Return the ``options`` entry of the receipt."""
        goals = dataclasses.asdict(self.options.goals)
        return {
            **{name: value for name, value in goals.items() if value is not None},
            **self.options.timing.document(),
            **self.options.pruning_document(),
            **self.options.int8_document(),
            "macs": self.selected.macs,
            "precision": self.selected.precision,
            "trials": self.summary.document(),
        }


def header() -> tuple[str, ...]:
    """Return the header of :func:`rows`."""
    return ("TRIAL", "MACS", "PRECISION", "ACCURACY %", "POINTS", "LATENCY", "SIZE", "WITHIN")


def rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a table row for each record of :meth:`Summary.document`, as stored in a receipt.

    MACs, latency and size are fractions of the original's values.
    """
    table: list[tuple[str, ...]] = []
    for record in records:
        number = str(record["trial"])
        if "failed" in record:
            table.append((number, f"{record['asked']:.3f}", *[""] * 5, record["failed"]))
            continue
        low, high = record["latency_rounds"]
        verdict = "; ".join(record["crossed"]) or ("selected" if record["chosen"] else "yes")
        table.append(
            (
                number,
                f"{record['macs']:.3f}",
                record["precision"],
                f"{100 * record['accuracy']:.2f}",
                f"{100 * record['difference']:+.2f}",
                f"{record['latency']:.3f} ({low:.3f} to {high:.3f})",
                f"{record['size']:.3f}",
                verdict,
            )
        )
    return table


def words(candidate: Candidate) -> str:
    """Summarize a candidate's metrics in one line."""
    return (
        f"{candidate.precision} with {candidate.macs:.3f} of the multiply-accumulates, validation "
        f"accuracy {100 * candidate.accuracy:.2f}% ({100 * candidate.difference:+.2f} points), "
        f"latency ratio {candidate.latency:.3f}, size ratio {candidate.size:.3f}"
    )


def outcome(trial: Trial, goals: Goals) -> str:
    """Describe the result of a trial, with one line for each candidate."""
    if trial.reason:
        return f"trial {trial.number} failed: {trial.reason}"
    return "\n".join(
        f"  {words(candidate)}: "
        f"{'; '.join(bound.words for bound in goals.crossed(candidate)) or 'within the bounds'}"
        for candidate in trial.candidates
    )


def failure(summary: Summary, unprunable: str | None) -> str:
    """Describe the candidate closest to the limits, and the limits to loosen, if none meets all."""
    count = sum(len(trial.candidates) for trial in summary.trials)
    images = len(summary.chain.before.labels)
    _, candidate = nearest(summary.trials, summary.goals)
    crossed = summary.goals.crossed(candidate)
    reasons = "; ".join(bound.words for bound in crossed)
    only = f" ({unprunable}; only int8 was tried)" if unprunable else ""
    return (
        f"none of {count} candidates is within the bounds on {images} validation images{only}; "
        f"the nearest is {words(candidate)}: {reasons}; {loosened(crossed)} would accept it, and "
        "more --trials may find another; no model was written"
    )


def notes(summary: Summary, split: str, unprunable: str | None) -> Iterator[str]:
    """Yield the notes for the summary receipt."""
    acceptable = sum(not summary.goals.crossed(candidate) for _, candidate in pairs(summary.trials))
    if unprunable:
        yield f"not pruned: {unprunable}"
    if split == "validation" and acceptable > 1:
        yield (
            f"the best of {acceptable} candidates within the bounds, selected on these images: its "
            "figures are slightly optimistic; --split test gives unbiased ones"
        )
    for trial in summary.trials:
        if trial.reason:
            yield f"trial {trial.number} ({trial.asked:g} of the MACs) failed: {trial.reason}"


def figure(summary: Summary, folder: Path, say: Callable[[str], None]) -> None:
    """Plot ``pareto.svg`` and ``pareto.png`` in a folder, if matplotlib is installed."""
    from oraclezoo.plots.style import Letters, drawing, need_matplotlib

    try:
        need_matplotlib()
    except OracleZooError as error:
        say(f"no figure: {error}")
        return
    from oraclezoo.plots.pareto import pareto

    with drawing(Letters(FONT, [])):
        pareto(_field(summary), folder)


def _field(summary: Summary) -> Field:
    from oraclezoo.plots.pareto import Field, Panel, Spot

    chain, goals = summary.chain, summary.goals
    candidates = [candidate for _, candidate in pairs(summary.trials)]
    baseline = chain.before.metrics.accuracy
    spots = [
        Spot(
            label=f"{100 * candidate.macs:.0f}%",
            int8=candidate.precision != "fp32",
            accuracy=100 * candidate.accuracy,
            low=100 * max(baseline + candidate.ci95[0], 0),
            high=100 * min(baseline + candidate.ci95[1], 1),
            within=not goals.crossed(candidate),
            chosen=summary.is_selected(candidate),
        )
        for candidate in candidates
    ]
    accuracy = [candidate.accuracy for candidate in candidates]
    costs = {
        "latency": [candidate.latency for candidate in candidates],
        "size": [candidate.size for candidate in candidates],
    }
    rounds = [(100 * low, 100 * high) for low, high in (c.latency_rounds for c in candidates)]
    original = candidates[0]
    names = {
        "latency": f"latency (p50, {setting_text(*chain.setting)}; bars: rounds), "
        f"% of the original's {original.p50_ms:.3g} ms",
        "size": f"file size, % of the original's {original.size_bytes:,} bytes",
    }
    panels = [
        Panel(
            name=names[key],
            costs=[100 * cost for cost in costs[key]],
            front=front(accuracy, costs[key]),
            bound=None if bound is None else 100 * bound,
            spread=rounds if key == "latency" else (),
        )
        for key, bound in (("latency", goals.latency), ("size", goals.size))
        if key == "latency" or bound is not None
    ]
    name = chain.original.card.backbone.name.removeprefix("oraclezoo:")
    part = chain.before
    return Field(
        title=f"{name} compressed: {len(candidates)} candidates of {len(summary.trials)} trials",
        subtitle=f"{len(part.labels)} validation images of {part.track}; bars: 95% intervals of "
        "the paired difference\nlabels: fraction of multiply-accumulates kept",
        spots=spots,
        panels=panels,
        gate=None if goals.max_drop is None else 100 * baseline - goals.max_drop,
    )
