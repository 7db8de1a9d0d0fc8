"""Server comparison, overload and drift, from benchmarks/measurements/serving.json."""

from __future__ import annotations

from typing import Any

from measured import read, table

Figures = dict[str, Any]


def _data() -> Figures:
    return read("serving.json")


def _spread(figures: Figures, digits: int = 0) -> str:
    """Return a median with its range."""
    low, high = f"{figures['min']:.{digits}f}", f"{figures['max']:.{digits}f}"
    return f"{figures['median']:.{digits}f} ({low} to {high})"


def _servers(section: Figures) -> str:
    rows = [
        (
            row["server"],
            str(row["connections"]),
            _spread(row["per_s"]),
            _spread(row["p50_ms"], 1),
            _spread(row["p99_ms"], 1),
        )
        for row in sorted(section["rows"], key=lambda row: row["connections"])
    ]
    header = ("server", "connections", "requests/s", "p50, ms", "p99, ms")
    return table(header, rows)


def serving_rivals() -> str:
    """Return throughput and latencies, with each server on one core."""
    data = _data()
    section, versions = data["rivals"], data["versions"]
    about = (
        f"Median and range of {data['rounds']} interleaved rounds. BentoML {versions['bentoml']},",
        f"LitServe {versions['litserve']}, ONNX Runtime {versions['onnxruntime']}; model",
        f"`{data['model']}`; {data['hardware']['cpu']}. Other processes ran on the machine: load",
        f"average at most {max(section['load_average']):.0f}, niceness of the benchmark",
        f"{section['niceness']}.",
    )
    return "\n".join([_servers(section), *about]) + "\n"


def serving_ratios() -> str:
    """Return our throughput relative to the faster mode of each competitor."""
    rows = [
        (
            row["server"],
            row["rival"],
            str(row["connections"]),
            f"{row['per_s']['value']:.2f} ({row['per_s']['min']:.2f} to {row['per_s']['max']:.2f})",
            f"{row['p99']['value']:.2f}",
        )
        for row in _data()["rivals"]["ratios"]
        if row["per_s"] is not None and row["p99"] is not None
    ]
    header = ("server", "competitor's faster mode", "connections", "requests/s ratio", "p99 ratio")
    return table(header, rows)


def serving_unpinned() -> str:
    """Return throughput and latencies, with both cores shared by the server and wrk."""
    section = _data()["unpinned"]
    note = f"Load average at most {max(section['load_average']):.0f}."
    return f"{_servers(section)}\n{note}\n"


def serving_load() -> str:
    """Return single-client latency, behavior under overload and SIGTERM, and cost of metrics."""
    data = _data()
    client, over, stops = data["client"], data["overload"], data["sigterm"]
    requests = stops["requests"]
    memory = " → ".join(f"{each:.0f}" for each in over["resident_mib"])
    answered = ", ".join(
        f"{number:,} with {status}" for status, number in requests.items() if status.isdigit()
    )
    rows = [
        ("one client, p50", f"{_spread(client['p50_ms'], 2)} ms"),
        ("one client, p50 of the model alone", f"{_spread(client['model_p50_ms'], 2)} ms"),
        ("capacity at 16 connections", f"{over['capacity_per_s']:,.0f} requests/s"),
        ("offered load under overload", f"{over['offered_per_s']:,.0f} requests/s"),
        ("served under overload", f"{over['accepted_per_s']:,.0f} requests/s"),
        ("all other requests", f"{over['statuses']['429']:,} responses with status 429"),
        ("p99 of served requests", f"{over['accepted_p99_ms']:.0f} ms"),
        ("p99 with a full queue", f"{over['full_p99_ms']:.0f} ms"),
        (
            "resident memory over time",
            f"{memory} MiB",
        ),
        (
            "p50 at half load, before and after the overload",
            f"{over['half_load_before']['p50_ms']:.1f} and "
            f"{over['half_load_after']['p50_ms']:.1f} ms",
        ),
        (f"requests during {stops['terminations']} SIGTERMs", answered),
        ("accepted requests lost", str(requests["lost"])),
        ("connections refused once a server had stopped", f"{requests['refused']:,}"),
        ("from SIGTERM to the end of the process", f"{_spread(stops['seconds_to_end'], 1)} s"),
    ]
    rows += [
        (
            f"cost of {cost['observer']}",
            f"{cost['percent']:.1f}% of requests/s (95% interval {cost['low']:.1f} to "
            f"{cost['high']:.1f})",
        )
        for cost in data["metrics"]["cost"]
    ]
    return table(("measurement", "value"), rows)


_MET = {True: "yes", False: "**no**"}


def serving_claims() -> str:
    """Return the aim of each measurement, and whether it was met."""
    rows = [
        (
            row["claim"],
            f"{row['value']:g}",
            f"{row['bound']:g}",
            "yes" if row["holds"] else "**no**",
        )
        for row in _data()["claims"]
    ]
    return table(("measurement", "value", "aim", "met"), rows)


def _shipped(streams: Figures | None) -> list[str]:
    """Return a sentence on clean streams against the baseline in the model's card."""
    if streams is None:
        return []
    return [
        f"With the baseline in the model's card, {streams['alarms']} of {streams['streams']:,}",
        f"streams of {streams['length']:,} test images did.",
    ]


def serving_drift() -> str:
    """Return the false alarms, and the number of images until each corruption is flagged."""
    drift = _data()["drift"]
    clean = drift["false_alarms"]
    rows = [
        (
            f"`{row['corruption']}`",
            f"{row['flagged']} of {row['orders']}",
            "" if row["median_images"] is None else f"{row['median_images']:.0f}",
            "" if row["max_images"] is None else str(row["max_images"]),
            ", ".join(f"`{name}`" for name in row["first_signals"]),
        )
        for row in drift["detection"]
    ]
    header = ("corruption", "flagged within 200 images", "median", "maximum", "first signals")
    about = (
        f"Of {clean['streams']:,} clean streams of {clean['length']:,} images,",
        f"{clean['alarms']} raised an alarm. The upper 95% confidence limit of this",
        f"fraction is {100 * clean['upper_95']:.2f}%; the stated rate is {100 * clean['rate']:g}%.",
        *_shipped(drift["shipped"]),
        "",
    )
    return "\n".join([*about, table(header, rows)])
