"""Concurrent and sequential seeds, from benchmarks/measurements/seeds-at-once.json."""

from __future__ import annotations

from measured import read, table


def seeds_at_once() -> str:
    """Return throughput by number of seeds and strategy."""
    data = read("seeds-at-once.json")
    ways = list(dict.fromkeys(row["way"] for row in data["rows"]))
    by_setting = {(row["seeds"], row["way"]): row for row in data["rows"]}
    rows = []
    for seeds in sorted({seeds for seeds, _ in by_setting}):
        rate = by_setting[seeds, ways[0]]["images_per_s"]
        cells = [f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})"]
        for way in ways[1:]:
            ratio = by_setting[seeds, way]["over_in_turn"]
            cells.append(f"× {ratio['value']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")
        rows.append((str(seeds), *cells))
    hardware = data["hardware"]
    load = (data["load_average_before"], data["load_average_after"])
    return "\n".join(
        [
            f"Recipe `{data['recipe']}` on {data['image_size']} x {data['image_size']} images. The "
            "first strategy shows the throughput in images/s, summed over all seeds; the others "
            f"show their ratio to it. Medians of {data['rounds']} interleaved rounds, with ranges:",
            "",
            table(("seeds", "sequential", *ways[1:]), rows),
            f"Measured on {hardware['device']}, {data['cores']} shared cores, torch "
            f"{data['libraries']['torch']}; load average {load[0]} before and {load[1]} after.",
        ]
    )
