"""What streaming costs, from benchmarks/measurements/streaming.json."""

from __future__ import annotations

from measured import read, table


def streaming_ratio() -> str:
    """Training streamed against resident, then the ways to read a batch."""
    data = read("streaming.json")
    hardware = data["hardware"]
    training = [
        (
            f"`{row['backbone']}`",
            f"{row['resident_images_per_s']:,}",
            f"{row['streamed_images_per_s']:,}",
            f"{row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})",
        )
        for row in data["training"]
    ]
    reading = [
        (
            row["way"],
            "in memory" if row["cached"] else "on the disk alone",
            f"{row['batch_us']:,} ({row['batch_us_min']:,} to {row['batch_us_max']:,})",
        )
        for row in data["reading"]
    ]
    return "\n".join(
        [
            f"Training, images/s, medians of {data['rounds']} rounds in turns; the ratio is "
            "streamed over resident, with its range over rounds:",
            "",
            table(("backbone", "resident", "streamed", "ratio"), training),
            f"Reading {data['batch_size']} random images from a file of {data['file_mb']} MB, "
            "microseconds a batch:",
            "",
            table(("way", "the file is", "median (range)"), reading),
            f"{hardware['cpu']}, {hardware['cores']} cores shared with other work, "
            f"{hardware['threads']} thread for training.",
        ]
    )
