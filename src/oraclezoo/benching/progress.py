"""Report the progress of a benchmark to the caller and in ``journal.jsonl``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.artifacts.record import Scores
from oraclezoo.codec import encode
from oraclezoo.engine.records import Epoch
from oraclezoo.jobs import Failed, Message
from oraclezoo.recipe import Recipe
from oraclezoo.result import timestamp
from oraclezoo.storage import append_line

Detail = Epoch | Scores | Failed | Message | None


@dataclass(frozen=True)
class Progress:
    """An event of a running benchmark.

    Attributes:
        event: ``start``, ``step``, ``epoch``, ``message``, ``done``, ``kept`` or ``failed`` for a
            job; ``apart`` if seeds cannot be stacked; ``measure`` and ``measured`` around the
            measurement of a model's size and latency.
        recipe: Label of the recipe.
        seed: Seed of the job; None for events that concern all seeds.
        done: Number of finished jobs, plus the finished fractions of running jobs.
        total: Number of jobs.
        detail: Metrics for ``epoch``; the test score for ``done`` and ``kept``; the reason for
            ``failed``; the text for ``message`` and ``apart``.
    """

    event: str
    recipe: str
    seed: int | None
    done: float
    total: int
    detail: Detail = None


def append_to_journal(
    runs: Path, recipe: Recipe, event: str, seed: int | None, detail: Detail
) -> None:
    """Append an event to ``journal.jsonl`` in the runs folder."""
    runs.mkdir(parents=True, exist_ok=True)
    entry = {"recipe": recipe.name, "hash": recipe.hash12, "seed": seed}
    entry |= {} if detail is None else encode(detail)
    line = json.dumps({"time": timestamp(), "event": event, **entry}, ensure_ascii=False)
    append_line(runs / "journal.jsonl", line)
