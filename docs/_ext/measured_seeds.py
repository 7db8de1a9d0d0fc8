"""Seeds trained at once against seeds in turn, from benchmarks/measurements/seeds-at-once.json."""

from __future__ import annotations

from measured import read, table


def seeds_at_once() -> str:
    """A row for each number of seeds, a column a way."""
    data = read("seeds-at-once.json")
    ways = list(dict.fromkeys(row["way"] for row in data["rows"]))
    found = {(row["seeds"], row["way"]): row for row in data["rows"]}
    rows = []
    for seeds in sorted({seeds for seeds, _ in found}):
        rate = found[seeds, ways[0]]["images_per_s"]
        cells = [f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})"]
        for way in ways[1:]:
            ratio = found[seeds, way]["over_in_turn"]
            cells.append(f"× {ratio['value']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")
        rows.append((str(seeds), *cells))
    hardware = data["hardware"]
    load = (data["load_average_before"], data["load_average_after"])
    return "\n".join(
        [
            f"Recipe `{data['recipe']}` on {data['image_size']} x {data['image_size']} images: "
            f"images/s of all seeds together in turn, then what other ways make of that; medians "
            f"of {data['rounds']} rounds in turns, with their range:",
            "",
            table(("seeds", ways[0], *ways[1:]), rows),
            f"{hardware['device']}, {data['cores']} cores, torch {data['libraries']['torch']}. The "
            f"machine was shared: load average {load[0]} before and {load[1]} after.",
        ]
    )
