"""Measurements behind the engine's defaults, from benchmarks/measurements/engine.json."""

from __future__ import annotations

from typing import Any

from measured import read, table


def engine_optimizers() -> str:
    """Return the time of an optimizer step by implementation."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in read("engine.json")["optimizers"]:
        key = (f"`{row['net']}` ({row['tensors']} tensors)", f"`{row['optimizer']}`")
        rows.setdefault(key, {})[row["way"]] = row
    return table(
        (
            "backbone",
            "optimizer",
            "loop",
            "foreach",
            "fused",
            "largest weight difference, fused and loop, after 5 steps",
        ),
        [
            (
                *key,
                *(_ms(ways[way]) for way in ("loop", "foreach", "fused")),
                f"{ways['fused']['apart_after_5_steps']:.0e}",
            )
            for key, ways in rows.items()
        ],
    )


def engine_compile() -> str:
    """Return the time of an eager and a compiled training step."""
    rows = [
        (
            f"`{row['net']}`",
            _ms(row["eager"]),
            _ms(row["compiled"]),
            f"{row['compile_s']:.0f} s",
            "never" if row["pays_from_steps"] is None else f"{row['pays_from_steps']:,.0f} steps",
        )
        for row in read("engine.json")["compile"]
    ]
    return table(("backbone", "eager", "compiled", "compilation time", "break-even"), rows)


def engine_shifts() -> str:
    """Return the time of a forward pass with and without shifted views."""
    rows = [
        (
            f"`{row['net']}`",
            str(row["batch_size"]),
            *(_ms(row[way]) for way in ("plain", "one_pass", "in_order")),
        )
        for row in read("engine.json")["shifts"]
    ]
    header = ("backbone", "images", "no shifts", "five views, one pass", "five views, in sequence")
    return table(header, rows)


def engine_budget() -> str:
    """Return the time of a training step of the recipe `quick` by phase."""
    profile = read("engine.json")["profile"]
    rows = [
        (
            "idle, other" if row["phase"] == "other" else row["phase"],
            f"{row['ms']:.1f} ms",
            f"{100 * row['share']:.1f}%",
        )
        for row in profile["budget"]
    ]
    return table(("phase", "time per step", "fraction"), rows)


def engine_measured_on() -> str:
    """Return the machine and the measurement method."""
    data = read("engine.json")
    hardware, torch = data["hardware"], data["libraries"]["torch"]
    return (
        f"Measured on {hardware['device']}, {hardware['threads']} thread(s), torch {torch}, on a "
        f"shared machine. Medians of {data['rounds']} interleaved rounds, ranges in brackets. "
        f"Batches have {data['batch_size']} images of 28 x 28 unless the table states otherwise.\n"
    )


def _ms(row: dict[str, float]) -> str:
    digits = 2 if row["ms"] < 10 else 0
    low, high = (f"{row[key]:.{digits}f}" for key in ("ms_min", "ms_max"))
    return f"{row['ms']:.{digits}f} ms ({low} to {high})"
