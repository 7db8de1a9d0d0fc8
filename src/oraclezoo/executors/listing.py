"""Specs of the built-in executors. Cheap to import: an executor is only imported when it starts.

Metadata: ``needs`` lists the requirements of an executor, as text.
"""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

EXECUTORS: tuple[Spec, ...] = (
    Spec(
        kind="executor",
        name="local",
        target="oraclezoo.executors.local:Local",
        summary="processes on this machine, one after another or several at a time",
        options=(
            Option("workers", "int", 1, "number of jobs that run at the same time", low=1),
            Option(
                "threads",
                "int",
                None,
                "CPU threads per job; by default the cores divided by the workers",
                low=1,
            ),
        ),
        facts={"needs": "nothing"},
        source="oraclezoo",
    ),
)
