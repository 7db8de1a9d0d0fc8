"""Cost of streaming, from benchmarks/measurements/streaming.json."""

from __future__ import annotations

from measured import read, table


def streaming_ratio() -> str:
    """Return the speed of streamed and in-memory training, and of ways to read a batch."""
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
            "in the page cache" if row["cached"] else "on disk only",
            f"{row['batch_us']:,} ({row['batch_us_min']:,} to {row['batch_us_max']:,})",
        )
        for row in data["reading"]
    ]
    return "\n".join(
        [
            f"Training throughput in images/s, medians of {data['rounds']} interleaved rounds. The "
            "ratio is streamed over in-memory, with its range over rounds:",
            "",
            table(("backbone", "in memory", "streamed", "ratio"), training),
            f"Time to read {data['batch_size']} random images from a file of {data['file_mb']} MB, "
            "in microseconds per batch:",
            "",
            table(("method", "file", "median (range)"), reading),
            f"Measured on {hardware['cpu']}, {hardware['cores']} shared cores, "
            f"{hardware['threads']} thread for training.",
        ]
    )
