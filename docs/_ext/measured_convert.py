"""Throughput of ``oraclezoo data convert``, from benchmarks/measurements/convert.json."""

from __future__ import annotations

from measured import read, table


def convert_throughput() -> str:
    """Return a table of files per second, and the measurement setup."""
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
    header = ("processes", "files/s, median", "range over runs")
    size, load = data["size"], machine["load_average_before"]
    about = (
        f"Conversion of {data['files']:,} synthetic scans with {low} to {high} pixels per side",
        f"({data['mean_file_bytes'] / 1000:.1f} kB on average, {len(data['formats'])} formats and",
        f"modes) to {size} x {size}. {data['repeats']} runs per row, including process start and",
        f"writing. Measured on {machine['processor']}, {machine['cores']} shared cores (load",
        f"average {load} before), Python {machine['python']}. Preprocessing alone, in one process,",
        f"reaches {data['prepare_alone_images_per_s']:,} files/s.",
    )
    return "\n".join([table(header, rows), *about]) + "\n"
