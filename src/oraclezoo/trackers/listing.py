"""The built-in trackers as specs. Light: nothing is imported until one begins.

Fact ``needs``: what must be installed or at hand, in words.
"""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

TRACKERS: tuple[Spec, ...] = (
    Spec(
        kind="tracker",
        name="jsonl",
        target="oraclezoo.trackers.jsonl:JsonLines",
        summary="a file of JSON lines: settings, figures, system, digests of what came of it",
        options=(
            Option(
                "path", "str", None, "file that many runs share; by default one in the run's folder"
            ),
        ),
        facts={"needs": "nothing"},
        source="oraclezoo",
    ),
    Spec(
        kind="tracker",
        name="tensorboard",
        target="oraclezoo.trackers.tensorboard:TensorBoard",
        summary="event files for TensorBoard in the run's folder: tensorboard --logdir runs",
        facts={"needs": "pip install 'oraclezoo[trackers]'"},
        source="TensorBoard's event files, as torch.utils.tensorboard writes them",
    ),
)
