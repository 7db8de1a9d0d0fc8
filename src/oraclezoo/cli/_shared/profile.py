"""Text of a training profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def profile_text(profile: dict[str, Any], folder: Path) -> str:
    """Format the time breakdown of a step, the throughput and the slowest operations."""
    where = f"{profile['device']}, {profile['precision']}"
    if profile["device"] == "cpu":
        where += f", {profile['threads']} threads"
    lines = [
        f"\na step takes {profile['step_ms']:.1f} ms "
        f"(mean of {profile['steps_timed']} untraced steps; {where})"
    ]
    for row in profile["budget"]:
        phase = "idle, other" if row["phase"] == "other" else row["phase"]
        lines.append(f"  {phase:<12} {row['ms']:9.2f} ms {100 * row['share']:6.1f}%")
    reached, best = profile["flops_per_s"] / 1e9, profile["matrix_flops_per_s"] / 1e9
    lines.append(
        f"model throughput: {reached:,.1f} GFLOP/s, {100 * profile['share_of_matrix']:.0f}% of "
        f"this machine's peak of {best:,.1f} GFLOP/s in matrix products"
    )
    lines.append(f"operations by self time, over {profile['steps_traced']} traced steps:")
    for row in profile["operations"]:
        name = row["name"] if len(row["name"]) <= 44 else row["name"][:43] + "…"
        lines.append(
            f"  {name:<44} {row['calls']:6.1f} calls per step {row['self_ms']:9.2f} ms "
            f"{100 * row['share']:6.1f}%"
        )
    trace = folder / profile["trace"]
    lines.append(f"trace: {trace} (for ui.perfetto.dev or chrome://tracing)")
    return "\n".join(lines)
