"""Training speed, from the measurements of benchmarks/throughput.py and related scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from measured import MEASUREMENTS, read, table

CONTENDERS = {
    "lightning": "Lightning, DataLoader",
    "dataloader": "plain loop, DataLoader",
    "engine": "oraclezoo",
    "engine bare": "oraclezoo, no augmentation",
    "engine bf16": "oraclezoo in bf16",
    "engine best": "oraclezoo, best setting",
}
RATIOS = {
    "ratio_lightning_same_batch": "oraclezoo / Lightning, same batch size",
    "ratio_lightning_best": "oraclezoo, best setting / Lightning, batch size 32",
    "ratio_plain_house_net": "oraclezoo / plain loop, same batch size",
    "ratio_lightning_house_net": "oraclezoo, best setting / Lightning, batch size 256",
}
MODELS = {
    "ratio_lightning_same_batch": "mobilenetv3_small_100",
    "ratio_lightning_best": "mobilenetv3_small_100",
    "ratio_plain_house_net": "oraclenet",
    "ratio_lightning_house_net": "oraclenet",
}
GPU_PARTS = ("throughput-oraclenet.json", "throughput-mobilenetv3.json")


def speed_contenders() -> str:
    """Return the throughput of each contender, and the measurement setup."""
    data = read("throughput.json")
    return "\n".join([contenders(data["rows"]), *about(data)]) + "\n"


def speed_ratios() -> str:
    """Return the speed ratios of oraclezoo and the other contenders."""
    return ratios(read("throughput.json"))


def speed_peak() -> str:
    """Return the fraction of peak throughput, and the time by kind of operation."""
    return peak(read("throughput.json"))


def speed_time() -> str:
    """Return the time per image by kind of operation, in a plain loop and in the engine."""
    return "\n".join(
        spent(model, profiles) for model, profiles in read("throughput.json")["profiles"].items()
    )


def speed_images() -> str:
    """Return speed and memory by size of the data set."""
    data = read("scaling.json")
    rows = [
        (
            f"{row['images']:,}",
            f"{row['mb']:,.1f} MB",
            "streamed" if row["streamed"] else "in memory",
            rate(row["images_per_s"]),
            megabytes(row["peak_memory_bytes"]),
        )
        for row in data["images"]
    ]
    header = ("images", "size", "mode", "images/s, median (range)", "peak memory")
    return "\n".join([table(header, rows), *about(data)]) + "\n"


def speed_widths() -> str:
    """Return speed and memory by width of OracleNet."""
    rows = [
        (
            f"{row['width']:g}",
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['flops_per_image'] / 1e6:,.0f} MFLOP",
            rate(row["images_per_s"]),
            f"{row['gflops_per_s']:,.0f}",
            megabytes(row["peak_memory_bytes"]),
        )
        for row in read("scaling.json")["widths"]
    ]
    header = (
        "width",
        "parameters",
        "FLOPs per image",
        "images/s, median (range)",
        "GFLOP/s",
        "peak memory",
    )
    return table(header, rows)


def speed_accuracy() -> str:
    """Return accuracy and training time of each measured recipe."""
    return accuracies("time-to-accuracy.json")


def speed_other_script() -> str:
    """Return accuracy and training time of the closed recipes on another script."""
    return accuracies("other-script.json")


def accuracies(name: str) -> str:
    """Return a table of a file that benchmarks/time_to_accuracy.py wrote."""
    data = read(name)
    rows = [accuracy_row(row) for row in data["rows"]]
    header = ("recipe", "division", "test accuracy [95% interval]", "training time, s", "seeds")
    synthetic = " (generated images)" if data["synthetic"] else ""
    classes = ", ".join(sorted({row["hardware_class"] for row in data["rows"]}))
    note = (
        f"Track `{data['track']}`{synthetic}, {data['test_images']:,} test images. Training times "
        f"are medians over seeds on {classes}."
    )
    return table(header, rows) + f"\n{note}\n"


def speed_gpu() -> str:
    """Return the figures of each folder that benchmarks/gpu.sh wrote, or a note if none exists."""
    parts = []
    for folder in sorted(MEASUREMENTS.glob("gpu-*")):
        files = [folder / name for name in GPU_PARTS if (folder / name).is_file()]
        for path in files:
            data = json.loads(path.read_text(encoding="utf-8"))["data"]
            parts += [contenders(data["rows"]), *about(data), "", ratios(data), peak(data)]
    if not parts:
        return "No GPU measurements are available yet.\n"
    return "\n".join(parts) + "\n"


def contenders(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table with a row for each contender."""
    cells = [
        (
            f"`{row['model']}`",
            CONTENDERS[row["contender"]],
            str(row["batch_size"]),
            "NHWC" if row["channels_last"] else "NCHW",
            row["precision"] + (", compiled" if row["compile"] == "on" else ""),
            "yes" if row["augmented"] else "no",
            rate(row["images_per_s"]),
        )
        for row in rows
    ]
    header = ("model", "contender", "batch size", "memory format", "precision", "augments")
    return table((*header, "images/s, median (range)"), cells)


def ratios(data: Mapping[str, Any]) -> str:
    """Return a table of the measured speed ratios."""
    rows = [
        (
            f"`{MODELS[name]}`",
            words,
            f"**{data['ratios'][name]['value']:.2f}**",
            f"{data['ratios'][name]['min']:.2f} to {data['ratios'][name]['max']:.2f}",
        )
        for name, words in RATIOS.items()
        if name in data["ratios"]
    ]
    return table(("model", "ratio of medians", "value", "range over rounds"), rows)


def peak(data: Mapping[str, Any]) -> str:
    """Return each model's fraction of peak throughput and its time by kind of operation."""
    lines = []
    for model, profiles in data["profiles"].items():
        profile = profiles["engine best"]
        best = next(
            row
            for row in data["rows"]
            if (row["model"], row["contender"]) == (model, "engine best")
        )
        reached, share = best["gflops_per_s"]["median"], best["share_of_peak"]
        ceiling = data["peaks"][model]
        parts = ", ".join(
            f"{kind} {part:.0%}" for kind, part in profile["shares"].items() if part >= 0.005
        )
        line = (
            f"- `{model}`, batch size {best['batch_size']}: {reached:,.0f} GFLOP/s, "
            f"**{share['value']:.0%}** ({share['min']:.0%} to {share['max']:.0%}) of the "
            f"{ceiling['gflops_per_s']['median']:,.0f} GFLOP/s that a {ceiling['work']} reaches in "
            f"the same rounds. Time per step by kind of operation: {parts}."
        )
        if profile["arithmetic_share_of_peak"] is not None:
            line += (
                " Convolutions and matrix products alone reach "
                f"{profile['arithmetic_share_of_peak']:.0%} of peak."
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


def spent(model: str, profiles: Mapping[str, Any]) -> str:
    """Return the time per image of one model, by kind of operation and contender."""
    kinds = dict.fromkeys(kind for each in profiles.values() for kind in each["us_per_image"])
    rows = [
        (kind, *(f"{each['us_per_image'].get(kind, 0):,.1f}" for each in profiles.values()))
        for kind in kinds
    ]
    header = (f"`{model}`, µs per image", *(CONTENDERS[name] for name in profiles))
    return table(header, rows)


def about(data: Mapping[str, Any]) -> list[str]:
    """Return the measurement setup in two lines."""
    hardware, libraries = data["hardware"], data["libraries"]
    versions = [f"{name} {libraries[name]}" for name in ("torch", "lightning") if name in libraries]
    rounds = data.get("rounds", data.get("turns"))
    load = f"{data['load_average_before']} before, {data['load_average_after']} after"
    threads = f"{hardware['threads']} thread{'s' if hardware['threads'] > 1 else ''}"
    return [
        f"{rounds} rounds with turns of {data['turn_s']:g} s on {hardware['device']}, {threads}, "
        f"{', '.join(versions)}.",
        f"Load average {load}, including the threads of the contenders.",
    ]


def accuracy_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a recipe: accuracy with its interval, and time."""
    mean, (low, high) = row["test_accuracy_mean"], row["test_accuracy_ci95"]
    accuracy = "–" if mean is None else f"{mean:.1%} [{low:.1%}, {high:.1%}]"
    seconds = "–" if row["train_s_median"] is None else f"{row['train_s_median']:.1f}"
    return (f"`{row['recipe']}`", row["division"], accuracy, seconds, str(row["seeds"]))


def rate(figures: Mapping[str, float]) -> str:
    """Format a throughput with its range."""
    return f"{figures['median']:,.0f} ({figures['min']:,.0f} to {figures['max']:,.0f})"


def megabytes(size_bytes: int | None) -> str:
    """Format an amount of memory; a dash if unknown."""
    return "–" if size_bytes is None else f"{size_bytes / 1e6:,.0f} MB"
