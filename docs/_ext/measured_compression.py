"""What compression costs and brings, from benchmarks/measurements/compression.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from measured import MEASUREMENTS, read, table

FILE = "compression.json"
_COMMAND = (
    f"python benchmarks/compression.py --data-dir FOLDER --out benchmarks/measurements/{FILE}"
)

Found = Mapping[str, Any]


def compression_pruned() -> str:
    """Claims of pruning, and the models that they are about."""
    return _part("resnet18", _pruned)


def compression_rounded() -> str:
    """Claims of int8 on the house net and on a mobile net."""
    return _part("int8", _rounded) + "\n" + _part("mobilenet", lambda found: "")


def compression_chain() -> str:
    """Claims of the whole chain."""
    return _part("chain", _chained)


def compression_mobile() -> str:
    """What rounding costs a mobile net, and where."""
    return _part("mobilenet", _mobile, claims=False)


def _part(name: str, details: Any, *, claims: bool = True) -> str:
    """A part's table of claims and what else it tells; how to measure it where it is not."""
    data = read(FILE) if (MEASUREMENTS / FILE).is_file() else {"parts": {}}
    if name not in data["parts"]:
        return f"Not measured yet; `{_COMMAND} --only {name}` does it.\n"
    found = data["parts"][name]
    rows = [row for row in data["rows"] if row["part"] == name]
    said = [_claims(rows), _failed(rows)] if claims else []
    hardware, libraries = found["hardware"], found["libraries"]
    seeds = len(found["seeds"])
    about = (
        f"{_several(seeds, 'seed')}, {data['test_images']:,} test images of `{data['track']}`, "
        f"{hardware['device']}, torch {libraries['torch']}, "
        f"onnxruntime {libraries['onnxruntime']}; made by `{_COMMAND} --only {name}`.\n"
    )
    return "\n".join(part for part in (*said, details(found["details"]), about) if part)


def _claims(rows: Sequence[Found]) -> str:
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


def _value(row: Found) -> str:
    unit = "×" if row["unit"] == "times" else row["unit"]
    space = "" if unit in ("%", "×") else " "
    value = f"{row['value']:.2f}{space}{unit}"
    if row["interval"] is None:
        return value
    low, high = row["interval"]
    return f"{value} ({low:.2f} to {high:.2f})"


def _failed(rows: Sequence[Found]) -> str:
    """What does not hold, said once more in words."""
    lost = [row["claim"] for row in rows if not row["holds"]]
    if not lost:
        return "All of these hold.\n"
    return f"Not shown by this measurement: {'; '.join(lost)}.\n"


def _pruned(details: Found) -> str:
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
    made = table(("model", "accuracy", "MACs", "parameters", "batch 1"), rows)
    return (
        f"{made}\nThe baseline was trained for {details['epochs']} epochs and, as each pruned net, "
        f"for {details['extra_epochs']} more; those from scratch have a pruned net's widths and "
        f"were trained for {details['scratch_epochs']} epochs.\n"
    )


def _rounded(details: Found) -> str:
    kept = sum(map(len, details["kept_float"]))
    return (
        f"The float net reads {100 * details['accuracy']:.1f}% of the characters; int8 agrees with "
        f"it on {100 * details['agreement']:.2f}%, with a divergence of "
        f"{details['divergence']:.1e} nats. Layers left in float, over all seeds: {kept}.\n"
    )


def _chained(details: Found) -> str:
    chosen = ", ".join(f"{100 * each['macs']:.0f}%" for each in details["chosen"])
    large = details["large_batch"]
    return (
        f"`oraclezoo compress` left {chosen} of the multiply-accumulates, seed by seed, and at "
        f"batch {large['batch_size']} on {_several(large['threads'], 'thread')} made the net "
        f"{large['speedup']:.2f}× as fast. "
        f"The float net reads {100 * details['accuracy']:.1f}% of the characters.\n"
    )


def _mobile(details: Found) -> str:
    trainings = details["trainings"]
    rows = [
        (
            f"{each['training']}: `{each['backbone'].removeprefix('oraclezoo:')}`, "
            f"{_several(each['epochs'], 'epoch')}",
            f"{100 * each['accuracy']:.1f}%",
            f"{each['lead_median']:.2f}",
            _moved(each["all_layers"]),
            _moved(each["auto"]),
            ", ".join(map(str, each["auto"]["kept_float"])),
        )
        for each in trainings
    ]
    header = (
        "training",
        "float accuracy",
        "lead of the first class",
        "all layers as int8",
        "the default",
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
            "Loss in points, share of answers that agree, and mean divergence in nats, on test "
            "images; the lead is the median of first less second probability:",
            "",
            table(header, rows),
            "Divergence in nats on validation images when only a part of the net is rounded, first "
            "seed:",
            "",
            table(("rounded", *names), costs),
            "Levels of the one range that a layer's input has which its median channel, and the "
            "tenth of channels with the fewest, span; and the largest value over the usual largest "
            "one (a percentile near the top):",
            "",
            table(
                ("training", "layers", "number", "median channel", "a tenth below", "outlier"),
                kinds,
            ),
            "The layers that cost most when rounded alone:",
            "",
            *worst,
            "",
        ]
    )


def _moved(found: Found) -> str:
    return f"{found['loss_points']:.2f}, {100 * found['agreement']:.1f}%, {found['divergence']:.1e}"


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
