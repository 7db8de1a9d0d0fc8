"""Size and start-up of the server's container image, from benchmarks/measurements/image.json."""

from __future__ import annotations

from measured import MEASUREMENTS, read, table

FILE = "image.json"
_COMMAND = f"python benchmarks/image.py --out benchmarks/measurements/{FILE}"


def image_size() -> str:
    """Return sizes and start-up of the image, or the command that measures them."""
    if not (MEASUREMENTS / FILE).is_file():
        return f"Not measured yet. To measure it, run `{_COMMAND}`.\n"
    data = read(FILE)
    base, image, ready = data["base"], data["image"], data["ready_s"]
    rows = [
        ("total", f"{image['mb']:.0f} MB"),
        (f"base image ({base['name']})", f"{base['mb']:.0f} MB"),
        ("above the base image", f"{image['above_base_mb']:.0f} MB"),
        ("compressed, as it is downloaded", f"{image['compressed_mb']:.0f} MB"),
        (
            f"seconds until ready, median and range of {len(ready['turns'])} starts",
            f"{ready['median']:.1f} ({ready['min']:.1f} to {ready['max']:.1f})",
        ),
    ]
    largest = ", ".join(f"`{each['name']}` {each['mb']:.0f} MB" for each in data["packages"])
    load = max(each for each in data["load_average"] if each is not None)
    about = (
        f"The largest packages are {largest}. Measured on {data['cpu']} with a load average of "
        f"{load:.0f}, with oraclezoo {data['oraclezoo']} and Buildah {data['buildah']}.\n"
    )
    return f"{table(('serve', ''), rows)}\n{about}"


def image_checks() -> str:
    """Return a table of the image's checks and their results."""
    if not (MEASUREMENTS / FILE).is_file():
        return f"Not measured yet. To measure it, run `{_COMMAND}`.\n"
    rows = [
        (each["name"], each["found"], "yes" if each["holds"] else "**no**")
        for each in read(FILE)["checks"]
    ]
    return table(("check", "found", "holds"), rows)
