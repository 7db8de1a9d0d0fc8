"""Report of a compression: its candidates in words, as a table, as plain data and as a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.data.sheet import FONT
from oraclezoo.errors import OracleZooError
from oraclezoo.ranking.pareto import front
from oraclezoo.receipts.notes import setting
from oraclezoo.search.goals import Goals, loosened, nearest, pairs
from oraclezoo.search.journal import Candidate, Trial
from oraclezoo.search.trial import Chain


@dataclass(frozen=True)
class Story:
    """What a compression came to; ``chosen`` is None if nothing is within the goals."""

    chain: Chain
    trials: tuple[Trial, ...]
    goals: Goals
    chosen: tuple[Trial, Candidate] | None

    def document(self) -> list[dict[str, Any]]:
        """A record a candidate, and one a failed trial."""
        return [row for trial in self.trials for row in self._records(trial)]

    def _records(self, trial: Trial) -> Iterator[dict[str, Any]]:
        number = {"trial": trial.number, "asked": trial.asked}
        for made in trial.candidates:
            crossed = [each.words for each in self.goals.crossed(made)]
            verdict = {"within": not crossed, "crossed": crossed}
            chosen = self.chosen is not None and made is self.chosen[1]
            yield {**number, **dataclasses.asdict(made), **verdict, "chosen": chosen}
        if trial.reason:
            yield {**number, "within": False, "failed": trial.reason}


def header() -> tuple[str, ...]:
    """Of :func:`rows`."""
    return ("TRIAL", "MACS", "PRECISION", "ACCURACY %", "POINTS", "TIME", "BYTES", "WITHIN")


def rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row of text a candidate, from :meth:`Story.document`; shares are of the original's."""
    found: list[tuple[str, ...]] = []
    for each in records:
        number = str(each["trial"])
        if "failed" in each:
            found.append((number, f"{each['asked']:.3f}", "", "", "", "", "", each["failed"]))
            continue
        low, high = each["latency_rounds"]
        why = "; ".join(each["crossed"]) or ("the best" if each["chosen"] else "yes")
        found.append(
            (
                number,
                f"{each['macs']:.3f}",
                each["precision"],
                f"{100 * each['accuracy']:.2f}",
                f"{100 * each['difference']:+.2f}",
                f"{each['latency']:.3f} ({low:.3f} to {high:.3f})",
                f"{each['size']:.3f}",
                why,
            )
        )
    return found


def words(made: Candidate) -> str:
    """A candidate's figures in a line."""
    return (
        f"{made.precision} with {made.macs:.3f} of the multiply-accumulates, validation "
        f"{100 * made.accuracy:.2f}% ({100 * made.difference:+.2f} points), {made.latency:.3f} of "
        f"the time, {made.size:.3f} of the bytes"
    )


def told(trial: Trial, goals: Goals) -> str:
    """What a trial came to, a line a candidate."""
    if trial.reason:
        return f"trial {trial.number} failed: {trial.reason}"
    return "\n".join(
        f"  {words(made)}: {'; '.join(c.words for c in goals.crossed(made)) or 'within'}"
        for made in trial.candidates
    )


def failure(story: Story, whole: str | None) -> str:
    """That nothing is within the goals: the nearest candidate's figures, and what to loosen."""
    count = sum(len(trial.candidates) for trial in story.trials)
    images = len(story.chain.before.labels)
    _, made = nearest(story.trials, story.goals)
    crossed = story.goals.crossed(made)
    why = "; ".join(each.words for each in crossed)
    only = f" ({whole}; only int8 was tried)" if whole else ""
    return (
        f"none of {count} candidates is within the bounds on {images} validation images{only}; "
        f"nearest is {words(made)}: {why}; {loosened(crossed)} would take it, more --trials may "
        "find another; no model was written"
    )


def notes(story: Story, split: str, whole: str | None) -> Iterator[str]:
    """What a reader of the chain's receipt must not overlook."""
    within = sum(not story.goals.crossed(made) for _, made in pairs(story.trials))
    if whole:
        yield f"not pruned: {whole}"
    if split == "validation" and within > 1:
        yield (
            f"the best of {within} candidates within the bounds, chosen on these very images: its "
            "figures here are a little flattered; --split test has others"
        )
    for trial in story.trials:
        if trial.reason:
            yield f"trial {trial.number} ({trial.asked:g} of the MACs) failed: {trial.reason}"


def figure(story: Story, folder: Path, say: Callable[[str], None]) -> None:
    """Draw ``pareto.svg`` and ``.png`` into a folder; without matplotlib, say so."""
    from oraclezoo.plots.style import Letters, drawing, need_matplotlib

    try:
        need_matplotlib()
    except OracleZooError as error:
        say(f"no figure: {error}")
        return
    from oraclezoo.plots.pareto import pareto

    with drawing(Letters(FONT, [])):
        pareto(_field(story), folder)


def _field(story: Story) -> Any:
    from oraclezoo.plots.pareto import Field, Panel, Spot

    chain, goals = story.chain, story.goals
    found = list(pairs(story.trials))
    spots = [
        Spot(
            label=f"{100 * made.macs:.0f}%",
            int8=made.precision != "fp32",
            accuracy=100 * made.accuracy,
            low=100 * (chain.before.facts["accuracy"] + made.ci95[0]),
            high=100 * (chain.before.facts["accuracy"] + made.ci95[1]),
            within=not goals.crossed(made),
            chosen=story.chosen is not None and made is story.chosen[1],
        )
        for _, made in found
    ]
    accuracy = [made.accuracy for _, made in found]
    costs = {"latency": [made.latency for _, made in found], "size": [m.size for _, m in found]}
    rounds = [(100 * low, 100 * high) for low, high in (m.latency_rounds for _, m in found)]
    original = found[0][1]
    batch, threads = chain.setting
    at = setting({"batch_size": batch, "threads": threads})
    names = {
        "latency": f"time of a pass (p50, {at}; bars: rounds), "
        f"% of the original's {original.p50_ms:.3g} ms",
        "size": f"bytes of the file, % of the original's {original.size_bytes:,}",
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
    name = chain.original.card["backbone"]["name"].removeprefix("oraclezoo:")
    part = chain.before
    return Field(
        title=f"{name} compressed: {len(found)} candidates of {len(story.trials)} trials",
        subtitle=f"{len(part.labels)} validation images of {part.track}; bars: 95% of the paired "
        "difference\nbeside each point: the share of multiply-accumulates that is left",
        spots=spots,
        panels=panels,
        gate=None if goals.max_drop is None else 100 * part.facts["accuracy"] - goals.max_drop,
    )
