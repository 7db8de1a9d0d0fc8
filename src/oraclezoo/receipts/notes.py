"""Notes in a receipt: caveats about its measurements."""

from __future__ import annotations

from collections.abc import Iterator

from oraclezoo.card.receipt import Receipt

CERTAIN = 1.05
"""Speed-ups below this ratio are considered indistinguishable from no speed-up."""
NOISE = 1.25
"""If rounds of the same measurement differ by more than this ratio, a note is added."""


def notes(receipt: Receipt) -> tuple[str, ...]:
    """Return all notes for a receipt, the most important first."""
    return (*_worse(receipt), *_missing(receipt), *_weak(receipt))


def _worse(receipt: Receipt) -> Iterator[str]:
    for row in receipt.speedups:
        where = f"{row.runtime}, {row.setting_text}"
        if max(row.high, row.speedup) < 1 / CERTAIN:
            yield (
                f"slower than before on this machine: {where}, takes "
                f"{1 / row.speedup:.2f} times as long"
            )
        elif min(row.low, row.speedup) < CERTAIN:
            yield (
                f"no certain speed-up on this machine: {where}, "
                f"{row.low:.2f} to {row.high:.2f} times over the rounds"
            )
    before, after = receipt.before, receipt.after
    if after.size_bytes > before.size_bytes:
        yield (
            f"larger than before on disk: {after.file} has {after.size_bytes:,} bytes, "
            f"before {before.size_bytes:,}"
        )


def _missing(receipt: Receipt) -> Iterator[str]:
    for name, side in (("before", receipt.before), ("after", receipt.after)):
        for runtime, reason in side.not_run.items():
            yield f"no latency of {runtime} {name} the step: {reason}"
    if not receipt.before.latency:
        yield "latency was not measured"


def _weak(receipt: Receipt) -> Iterator[str]:
    if receipt.accuracy.lost == receipt.accuracy.gained == 0:
        yield (
            f"no prediction changed on {receipt.images} images between right and wrong: the "
            "zero-width interval does not rule out rare changes"
        )
    if receipt.learned:
        yield (
            "the model was also trained on the validation images: accuracy there is "
            "overestimated, and the loss on new images may be larger"
        )
    if receipt.synthetic:
        yield "measured on generated characters, not on real ones"
    if any(row.runtime != row.from_runtime for row in receipt.speedups):
        yield "speed is compared across runtimes because the two models have none in common"
    for name, side in (("before", receipt.before), ("after", receipt.after)):
        ratios = [max(row.p50_ms_rounds) / min(row.p50_ms_rounds) for row in side.latency]
        if ratios and max(ratios) > NOISE:
            yield f"latency {name} the step varies by up to {max(ratios):.1f} times between rounds"
