"""Int8 on processors without VNNI, from benchmarks/measurements/saturation.json."""

from __future__ import annotations

from typing import Any

from measured import read, table

_SESSIONS = {
    "default": "ONNX Runtime's default",
    "session.x64quantprecision": "unsigned weights",
    "session.disable_quant_qdq": "in float",
}


def saturation() -> str:
    """Return predictions and times by session option, and the layers whose sums saturate."""
    data = read("saturation.json")
    models: list[dict[str, Any]] = data["models"]
    rows = [
        (
            f"`{model['model']}`",
            _SESSIONS[row["session"]],
            str(row["other_predictions"]),
            f"{100 * row['accuracy']:.1f}%",
            f"{time['median']:.2f} ({time['min']:.2f} to {time['max']:.2f})",
        )
        for model in models
        for row in model["sessions"]
        for time in [row["ms_batch_1"]]
    ]
    header = ("model", "session", "predictions changed", "accuracy", "ms, batch 1, median (range)")
    layers = [layer for model in models for layer in model["layers"]]
    can, pairs = (sum(layer[key] for layer in layers) for key in ("pairs_that_can", "pairs"))
    first = max(model["layers"][0]["values_that_did"] for model in models)
    later = max(layer["values_that_did"] for model in models for layer in model["layers"][1:])
    same = min(layer.get("as_computed_in_16_bits", 1) for layer in layers)
    largest = max(layer["largest_sum"] for layer in layers)
    vnni = "with" if data["sums_in_32_bits"] else "without"
    about = [
        f"{data['images']} validation images of `{data['track']}`. The models were trained on them",
        "too, so their accuracy is optimistic. Changes are relative to computation in float32.",
        f"{data['hardware']['cpu']} {vnni} VNNI, one thread, onnxruntime",
        f"{data['libraries']['onnxruntime']}.",
        "",
    ]
    if can:
        about += [
            f"Given their weights, {can:,} of {pairs:,} pairs of products in",
            f"{sum(layer['pairs_that_can'] > 0 for layer in layers)} of {len(layers)} layers can",
            f"exceed 16 bits, reaching up to {largest:,}.",
            f"On {data['images_by_layer']} of the images, saturation changes up to "
            f"{100 * first:.1f}%",
            f"of the sums in the first layer and up to {100 * later:.2g}% in later ones. "
            "Emulating the",
            f"16-bit additions reproduces "
            f"{'all' if same == 1 else f'at least {100 * same:g}% of the'}",
            "values of ONNX Runtime's default in every layer.",
        ]
    else:
        about += [
            f"Given their weights, none of the {pairs:,} pairs of products can exceed 16 bits:",
            f"no sum is larger than {largest:,}.",
        ]
    return "\n".join([table(header, rows), *about]) + "\n"
