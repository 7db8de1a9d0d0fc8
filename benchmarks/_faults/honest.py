"""Section 3, the other side: honest results keep their ticks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

from _faults.forge import BASES, OTHER, base, copy_published, findings
from _faults.judge import checked, crash, message
from _faults.lab import Lab, read
from _faults.process import Setting
from _faults.records import Attempt, Case, Verdict

TICKS = 903
"""Findings of ``submit --check`` on the published results at version 0.1.0, all of them ticks."""


def honest_copies(lab: Lab) -> Iterator[Attempt]:
    """Results made as the forged ones are, without a forged field, pass."""
    for name in BASES:
        with lab.folder() as folder:
            path = base(lab, name).write(folder)
            ran = lab.zoo.run(Setting(folder), "submit", "--check", folder, "--json")
            rows = findings(ran, path.name)
            bad = [f"{f['rule']}: {f['text']}" for f in rows if f["ok"] is not True]
            fault = "; ".join(bad) or ("" if rows else "no verdict")
            yield lab.say(checked(f"{name}, nothing forged", fault, ran))


def published_ticks(lab: Lab) -> Iterator[Attempt]:
    """All published results keep every tick."""
    ran = lab.zoo.run(
        Setting(lab.work, timeout_s=600), "submit", "--check", lab.published, "--json"
    )
    if ran.data is None:
        yield lab.say(
            Attempt("the published results", *(crash(ran) or (Verdict.LOST, message(ran))))
        )
        return
    ticks = 0
    for one in ran.data["files"]:
        lost = [f"{f['rule']}: {f['text']}" for f in one["findings"] if f["ok"] is not True]
        ticks += sum(f["ok"] is True for f in one["findings"])
        yield lab.say(checked(Path(one["file"]).name, "; ".join(lost)))
    fault = "" if ticks >= TICKS else f"{ticks} ticks, {TICKS} at version 0.1.0"
    yield lab.say(checked("the number of ticks", fault))


def reordered(lab: Lab) -> Iterator[Attempt]:
    """The same result with its keys in another order is as good as before."""
    with lab.folder() as folder:
        name = OTHER["glyphs-3k"]
        copy_published(lab, folder, name)
        document = copy.deepcopy(read(folder / f"{name}.json"))
        (folder / f"{name}.json").write_text(json.dumps(document, sort_keys=True))
        ran = lab.zoo.run(Setting(folder), "submit", "--check", folder, "--json")
        bad = [f for f in findings(ran, f"{name}.json") if f["ok"] is not True]
        yield lab.say(
            checked("keys in another order", str(bad) if bad or not ran.data else "", ran)
        )


CASES = (
    Case("submit-published", "All published results keep every tick", published_ticks),
    Case("submit-honest", "Honest results pass, made as the forged ones are", honest_copies),
    Case("submit-reordered", "An honest result passes, whatever the order of its keys", reordered),
)
