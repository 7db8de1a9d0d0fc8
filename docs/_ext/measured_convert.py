"""The measured speed of ``oraclezoo data convert``, from benchmarks/measurements/convert.json."""

from __future__ import annotations

from measured import read, table


def convert_throughput() -> str:
    """A table of files a second, and what it was measured on."""
    data = read("convert.json")
    machine, (low, high) = data["machine"], data["pixels_a_side"]
    rows = [
        (
            str(row["jobs"]),
            f"{row['images_per_s']:,}",
            f"{row['images_per_s_min']:,} to {row['images_per_s_max']:,}",
        )
        for row in data["rows"]
    ]
    header = ("processes", "files a second, median", "slowest to fastest run")
    size, load = data["size"], machine["load_average_before"]
    about = (
        f"{data['files']:,} made scans of {low} to {high} pixels a side,",
        f"{data['mean_file_bytes'] / 1000:.1f} kB on average,",
        f"in {len(data['formats'])} formats and modes, to {size} x {size};",
        f"{data['repeats']} runs each, process start and writing included.",
        f"{machine['processor']}, {machine['cores']} cores shared with other work",
        f"(load average {load} before), Python {machine['python']}.",
        "Preparing alone, in one process, does",
        f"{data['prepare_alone_images_per_s']:,} files a second.",
    )
    return "\n".join([table(header, rows), *about]) + "\n"
