"""Quantize for torch: a model in a form of fewer bits, on a GPU or the CPU, with its receipt."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oraclezoo.artifacts.model import SIZES, Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run
from oraclezoo.compression.torch_form import Form, int8_macs, weighted_layers
from oraclezoo.engine.device import exact_float32, pick
from oraclezoo.errors import UsageError
from oraclezoo.measure import size
from oraclezoo.onnx_export.onnx_file import reason_of
from oraclezoo.plugins.registry import Registry
from oraclezoo.receipts.notes import setting
from oraclezoo.receipts.receipt import gate, prove

PUBLISHED = ("weights", "result")
"""Entries of a published model's card on its files and on how its ONNX file scored."""


def quantize_torch(
    model: Model | Run | str | Path,
    out: str | Path | None,
    *,
    precision: str,
    device: str,
    compile: str,
    max_drop: float | None,
    max_limit: float | None,
    registry: Registry,
    track: str | None,
    data_dir: str | Path | None,
    progress: Callable[[str], None] | None,
    **measuring: Any,
) -> Model:
    """As :func:`oraclezoo.quantize` with ``backend="torch"``, whose options these are.

    ``measuring`` goes to :func:`oraclezoo.receipts.receipt.prove`.
    """
    place = pick(device)
    form = Form.make(precision, compile, place)
    opened = open_model(model, registry)
    before = Model(copy.deepcopy(opened.module).to("cpu"), opened.card)  # float, without a graph
    card = {key: value for key, value in before.card.items() if key not in PUBLISHED}
    after = Model(before.module, card).with_form(form)
    dataset = open_data(before, registry, track=track, data_dir=data_dir, progress=progress)
    told = {"backend": "torch", "device": place.type, **form.to_json()}
    told |= {"compiled": form.compiles(place), **_covered(before, form)}
    if progress:
        progress(f"{precision} on {place}{', compiled' if told['compiled'] else ''}")
    before.to(place)
    _try(after, place)
    compiled = ("compiled",) if told["compiled"] else ()
    made = prove(
        "quantize",
        told,
        before,
        after,
        dataset,
        track=track,
        runtimes=(("eager", *compiled), compiled or ("eager",)),
        device=str(place),
        progress=progress,
        **measuring,
    )
    made["notes"] = [*_cover(told), *made["notes"], *_remarks(made)]
    gate(made, max_drop=max_drop, max_limit=max_limit)
    made["gates"] = {"max_drop": max_drop, "max_limit": max_limit}
    done = after.with_receipt(made).to("cpu")
    if out is not None:
        done.save(out)
    return done


def _covered(model: Model, form: Form) -> dict[str, Any]:
    """How much of a model int8 covers, for the receipt. Raises UsageError if that is nothing."""
    if form.precision != "int8":
        return {}
    given = model.card["input"]
    shape = {"in_chans": given["in_chans"], "image_size": given["image_size"]}
    image = torch.zeros(1, given["in_chans"], given["image_size"], given["image_size"])
    found = int8_macs(model.classifier, image)
    if not found:
        raise UsageError(
            "this model has no linear layer, and int8 with torch covers no other: use bf16 or fp16"
        )
    return {
        "layers": weighted_layers(model.module),
        "int8_layers": len(found),
        "int8_macs": sum(found.values()),
        "int8_macs_share": sum(found.values()) / size.macs(model.classifier, **shape),
    }


def _try(model: Model, place: torch.device) -> None:
    """Run a model once. Raises UsageError with the reason if it cannot be run in its form."""
    edge = model.card["input"]["image_size"]
    assert model.form is not None
    compiles = model.form.compiles(place)
    count = SIZES[-1] if compiles else 1  # what is compiled for scoring
    try:
        with warnings.catch_warnings(), exact_float32():
            warnings.simplefilter("ignore")  # of libraries, on each other
            model.predict(np.zeros((count, edge, edge), np.uint8))
    except UsageError:
        raise
    except Exception as error:  # whatever a backbone, torchao or a compiler may raise
        advice = "; --compile off does without a compiler" if compiles else ""
        what = f"{model.precision} on {place}{', compiled' if compiles else ''}"
        raise UsageError(
            f"this model does not run in {what}: {reason_of(error)}{advice}"
        ) from error


def _cover(told: dict[str, Any]) -> Iterator[str]:
    if told["precision"] == "int8":
        yield (
            f"int8 covers {told['int8_layers']} of {told['layers']} layers, the linear ones, with "
            f"{100 * told['int8_macs_share']:.3g}% of the multiply-accumulates; all else is "
            f"{told['rest']}"
        )


def _remarks(made: dict[str, Any]) -> Iterator[str]:
    """What else a reader of these figures must not overlook."""
    yield "the weights stay float32 on disk, and in memory beside the form"
    yield from _by_compiling(made["before"]["latency"])
    if made["options"]["device"] == "cuda":
        yield "float32 is computed as such: TF32, which torch would use for convolutions, is off"


def _by_compiling(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How much of the speed is torch.compile's alone."""
    found = {(row["runtime"], row["batch_size"], row["threads"]): row for row in rows}
    for row in rows:
        other = found.get(("compiled", row["batch_size"], row["threads"]))
        if row["runtime"] == "eager" and other:
            yield (
                f"torch.compile alone makes float32 {row['p50_ms'] / other['p50_ms']:.2f} times as "
                f"fast as eager: {setting(row)}"
            )
