"""Specs of the built-in trackers. Cheap to import: a tracker is only imported when it starts.

Metadata: ``needs`` lists the requirements of a tracker, as text.
"""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

TRACKERS: tuple[Spec, ...] = (
    Spec(
        kind="tracker",
        name="jsonl",
        target="oraclezoo.trackers.jsonl:JsonLines",
        summary="JSON Lines file: configuration, metrics, system statistics, artifact digests",
        options=(
            Option(
                "path",
                "str",
                None,
                "file shared by several runs; by default a file in the run's folder",
            ),
        ),
        facts={"needs": "nothing"},
        source="oraclezoo",
    ),
    Spec(
        kind="tracker",
        name="tensorboard",
        target="oraclezoo.trackers.tensorboard:TensorBoard",
        summary="TensorBoard event files in the run's folder; view with tensorboard --logdir runs",
        facts={"needs": "pip install 'oraclezoo[trackers]'"},
        source="TensorBoard's event files, as torch.utils.tensorboard writes them",
    ),
)
