"""Overhead and robustness of executors, from benchmarks/measurements/executors.json."""

from __future__ import annotations

from measured import read


def executors() -> str:
    """Return the overhead per job, the memory of a large campaign, and the effect of kills."""
    data = read("executors.json")
    overhead, memory, kills = data["overhead"], data["memory"], data["kills"]
    trainings = data.get("trainings")
    lines = [
        f"- A job adds {overhead['overhead_s']:.2f} s beyond its own imports (median of "
        f"{overhead['jobs']} small jobs; imports {overhead['imports_s']:.2f} s). Small jobs do not "
        "import PyTorch.",
        f"- While {memory['jobs']:,} small jobs run, the memory of the submitting process grows by "
        f"{memory['growth_bytes'] / 1e6:.1f} MB, to {memory['end_bytes'] / 1e6:.0f} MB.",
        f"- Random kills of {kills['killed_workers']} workers and {kills['killed_submitters']} "
        f"submitting processes during {kills['jobs']} small jobs: {kills['lost']} outcomes lost, "
        f"{kills['twice']} jobs done twice.",
    ]
    if trainings:
        equal = "equal" if trainings["predictions_equal"] else "different"
        lines.append(
            f"- Random kills of {trainings['killed_workers']} workers and "
            f"{trainings['killed_submitters']} submitting processes during "
            f"{trainings['trainings']} trainings: predictions byte for byte {equal} to those of an "
            f"uninterrupted benchmark, {trainings['failures']} failures."
        )
    lines += [
        "",
        f"Measured on {data['hardware']['device']}, {data['cores']} shared cores; load average "
        f"{data['load_average_before']} at the end. `benchmarks/executors.py` repeats it.",
    ]
    return "\n".join(lines)
