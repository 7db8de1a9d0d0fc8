"""What the engine's choices rest on, from benchmarks/measurements/engine.json."""

from __future__ import annotations

from typing import Any

from measured import read, table


def engine_optimizers() -> str:
    """A step of each of torch's ways."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in read("engine.json")["optimizers"]:
        key = (f"`{row['net']}` ({row['tensors']} tensors)", f"`{row['optimizer']}`")
        rows.setdefault(key, {})[row["way"]] = row
    return table(
        ("net", "optimizer", "loop", "foreach", "fused", "fused from loop after 5 steps"),
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
    """A step as it is and compiled."""
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
    return table(("net", "as it is", "compiled", "compiling takes", "pays after"), rows)


def engine_shifts() -> str:
    """A batch classified as it is and averaged over shifts."""
    rows = [
        (
            f"`{row['net']}`",
            str(row["batch_size"]),
            *(_ms(row[way]) for way in ("plain", "one_pass", "in_order")),
        )
        for row in read("engine.json")["shifts"]
    ]
    header = ("net", "images", "no shifts", "five views in one pass", "one view after the other")
    return table(header, rows)


def engine_budget() -> str:
    """Where a step of the recipe `quick` goes."""
    profile = read("engine.json")["profile"]
    rows = [
        (
            "idle, other" if row["phase"] == "other" else row["phase"],
            f"{row['ms']:.1f} ms",
            f"{100 * row['share']:.1f}%",
        )
        for row in profile["budget"]
    ]
    return table(("phase", "a step", "share"), rows)


def engine_measured_on() -> str:
    """The machine and the way of measuring."""
    data = read("engine.json")
    hardware, torch = data["hardware"], data["libraries"]["torch"]
    return (
        f"Measured on {hardware['device']}, {hardware['threads']} thread(s), torch {torch}, beside "
        f"other work; medians of {data['rounds']} rounds in turns, ranges in brackets; batches of "
        f"{data['batch_size']} images of 28 x 28 where nothing else is said.\n"
    )


def _ms(row: dict[str, float]) -> str:
    digits = 2 if row["ms"] < 10 else 0
    low, high = (f"{row[key]:.{digits}f}" for key in ("ms_min", "ms_max"))
    return f"{row['ms']:.{digits}f} ms ({low} to {high})"
