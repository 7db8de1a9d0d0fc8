"""Conformance checks for trackers, with one short run in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from oraclezoo.testing.subject import Subject, fail

CONFIG = {"optimizer.lr": 0.1, "seed": 0, "data.track": "glyphs-3k", "resumed_step": 0}


def course(subject: Subject) -> None:
    """A run starts, logs, records a file and a folder, and finishes; then it resumes."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "example-run"
        (folder / "model").mkdir(parents=True)
        recipe, card = folder / "recipe.toml", folder / "model" / "model.json"
        recipe.write_text("[optimizer]\nlr = 0.1\n")
        card.write_text("{}")
        for resumed, status in ((0, "interrupted"), (2, "done")):
            tracker = subject.create(
                run_name="example-run", folder=folder, config={**CONFIG, "resumed_step": resumed}
            )
            for method in ("log", "artifact", "finish"):
                if not callable(getattr(tracker, method, None)):
                    fail(f"it has no method {method}")
            tracker.artifact(recipe)
            for step in (resumed + 1, resumed + 2):
                tracker.log(step, {"train/loss": 1.0 / step, "validation/accuracy": 0.5})
            tracker.artifact(folder / "model")
            tracker.finish(status)
        if recipe.read_text() != "[optimizer]\nlr = 0.1\n" or card.read_text() != "{}":
            fail("it changes files of the run")


CHECKS = (course,)
SLOW: tuple[object, ...] = ()
