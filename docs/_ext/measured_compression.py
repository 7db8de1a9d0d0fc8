"""Cost and benefit of compression, from benchmarks/measurements/compression.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from measured import MEASUREMENTS, read, table

FILE = "compression.json"
_COMMAND = (
    "python benchmarks/studies/compression.py --data-dir FOLDER "
    f"--out benchmarks/measurements/{FILE}"
)

Record = Mapping[str, Any]


def compression_pruned() -> str:
    """Return the claims on pruning, and the models measured for them."""
    return _part("resnet18", _pruned)


def compression_rounded() -> str:
    """Return the claims on int8 for OracleNet and for a mobile network."""
    return _part("int8", _rounded) + "\n" + _part("mobilenet", lambda details: "")


def compression_chain() -> str:
    """Return the claims on the whole chain."""
    return _part("chain", _chained)


def compression_mobile() -> str:
    """Return the quantization error of a mobile network by layer."""
    return _part("mobilenet", _mobile, claims=False)


def _part(name: str, details: Any, *, claims: bool = True) -> str:
    """Return the claims and details of a part, or the command that measures it."""
    data = read(FILE) if (MEASUREMENTS / FILE).is_file() else {"parts": {}}
    if name not in data["parts"]:
        return f"Not measured yet. To measure it, run `{_COMMAND} --only {name}`.\n"
    measured = data["parts"][name]
    rows = [row for row in data["rows"] if row["part"] == name]
    summary = [_claims(rows), _failed(rows)] if claims else []
    hardware, libraries = measured["hardware"], measured["libraries"]
    seeds = len(measured["seeds"])
    about = (
        f"{_several(seeds, 'seed')}, {data['test_images']:,} test images of `{data['track']}`, "
        f"{hardware['device']}, torch {libraries['torch']}, "
        f"onnxruntime {libraries['onnxruntime']}. Measured with `{_COMMAND} --only {name}`.\n"
    )
    return "\n".join(part for part in (*summary, details(measured["details"]), about) if part)


def _claims(rows: Sequence[Record]) -> str:
    cells = [
        (
            row["claim"],
            f"{row['bound_is']} {row['bound']:g}",
            _value(row),
            "yes" if row["holds"] else "**no**",
        )
        for row in rows
    ]
    return table(("claim", "bound", "measured", "holds"), cells)


def _value(row: Record) -> str:
    unit = "×" if row["unit"] == "times" else row["unit"]
    space = "" if unit in ("%", "×") else " "
    value = f"{row['value']:.2f}{space}{unit}"
    if row["interval"] is None:
        return value
    low, high = row["interval"]
    return f"{value} ({low:.2f} to {high:.2f})"


def _failed(rows: Sequence[Record]) -> str:
    """Return a sentence that lists the claims that do not hold."""
    failed = [row["claim"] for row in rows if not row["holds"]]
    if not failed:
        return "All claims hold.\n"
    return f"This measurement does not support these claims: {'; '.join(failed)}.\n"


def _pruned(details: Record) -> str:
    base = details["models"][0]
    rows = [
        (
            model["model"],
            f"{100 * model['accuracy']:.1f}%",
            f"{100 * model['macs'] / base['macs']:.0f}%",
            f"{100 * model['parameters'] / base['parameters']:.0f}%",
            "–" if model["batch_1_ms"] is None else f"{model['batch_1_ms']:.2f} ms",
        )
        for model in details["models"]
    ]
    models = table(("model", "accuracy", "MACs", "parameters", "batch 1"), rows)
    return (
        f"{models}\nThe baseline was trained for {details['epochs']} epochs, then, like each "
        f"pruned network, for {details['extra_epochs']} more. The networks trained from scratch "
        "have the layer widths of a pruned network and were trained for "
        f"{details['scratch_epochs']} epochs.\n"
    )


def _rounded(details: Record) -> str:
    kept = sum(map(len, details["kept_float"]))
    return (
        f"The float model has an accuracy of {100 * details['accuracy']:.1f}%. The int8 model "
        f"makes the same prediction on {100 * details['agreement']:.2f}% of the images, with a KL "
        f"divergence of {details['divergence']:.1e} nats. Layers kept in float, over all seeds: "
        f"{kept}.\n"
    )


def _chained(details: Record) -> str:
    chosen = ", ".join(f"{100 * each['macs']:.0f}%" for each in details["chosen"])
    large = details["large_batch"]
    return (
        f"`oraclezoo compress` kept {chosen} of the multiply-accumulates, by seed. At batch size "
        f"{large['batch_size']} on {_several(large['threads'], 'thread')}, the compressed model is "
        f"{large['speedup']:.2f}× as fast as the float model, which has an accuracy of "
        f"{100 * details['accuracy']:.1f}%.\n"
    )


def _mobile(details: Record) -> str:
    trainings = details["trainings"]
    rows = [
        (
            f"{each['training']}: `{each['backbone'].removeprefix('oraclezoo:')}`, "
            f"{_several(each['epochs'], 'epoch')}",
            f"{100 * each['accuracy']:.1f}%",
            f"{each['lead_median']:.2f}",
            _change(each["all_layers"]),
            _change(each["auto"]),
            ", ".join(map(str, each["auto"]["kept_float"])),
        )
        for each in trainings
    ]
    header = (
        "training",
        "float accuracy",
        "median margin",
        "all layers int8",
        "default setting",
        "layers kept in float, by seed",
    )
    parts = list(dict.fromkeys(part["part"] for each in trainings for part in each["parts"]))
    by_part = [{part["part"]: part["divergence"] for part in each["parts"]} for each in trainings]
    costs = [
        (part, *(f"{each[part]:.1e}" if part in each else "–" for each in by_part))
        for part in parts
    ]
    names = [each["training"] for each in trainings]
    kinds = [
        (
            each["training"],
            kind["kind"],
            str(kind["layers"]),
            f"{kind['levels_median']:.0f}",
            f"{kind['levels_tenth']:.0f}",
            f"{kind['outlier']:.1f}×",
        )
        for each in trainings
        for kind in each["kinds"]
    ]
    worst = [
        f"- {each['training']}: "
        + ", ".join(
            f"`{layer['layer']}` ({layer['kind']}, {layer['divergence']:.1e})"
            for layer in each["worst"][:4]
        )
        for each in trainings
    ]
    return "\n".join(
        [
            "Each int8 column shows the drop in accuracy in points, the fraction of unchanged "
            "predictions, and the mean KL divergence in nats, on test images. The margin is "
            "the difference between the two highest probabilities.",
            "",
            table(header, rows),
            "KL divergence in nats on validation images if only one part of the network is "
            "quantized (first seed):",
            "",
            table(("quantized part", *names), costs),
            "Number of quantization levels that a channel of a layer's input uses, for the median "
            "channel and the 10th percentile; and the outlier ratio, the largest value divided by "
            "a high percentile:",
            "",
            table(
                (
                    "training",
                    "layers",
                    "number",
                    "median channel",
                    "10th percentile",
                    "outlier ratio",
                ),
                kinds,
            ),
            "Layers with the largest divergence if quantized alone:",
            "",
            *worst,
            "",
        ]
    )


def _change(entry: Record) -> str:
    return f"{entry['loss_points']:.2f}, {100 * entry['agreement']:.1f}%, {entry['divergence']:.1e}"


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
