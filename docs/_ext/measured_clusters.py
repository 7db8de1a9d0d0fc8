"""Benchmarks on clusters that lose a node, from benchmarks/measurements/clusters.json."""

from __future__ import annotations

from measured import read, table


def lost_nodes() -> str:
    """Return the table of jobs on clusters in which a node was killed halfway."""
    data = read("clusters.json")
    rows = [("none", "", "", str(data["local"]["runs"]), "")]
    for name, row in data["executors"].items():
        versions = ", ".join(f"{package} {v}" for package, v in row["versions"].items())
        rows.append(
            (
                f"`{name}` ({versions})",
                str(row["done_at_kill"]),
                str(row["restarted"]),
                str(row["results"]),
                "yes" if row["predictions_equal"] else "no",
            )
        )
    images = data["images"]
    header = ("executor", "done before the kill", "restarted", "results", "equal")
    return "\n".join(
        [
            f"{data['jobs']} jobs: the recipes {', '.join(f'`{r}`' for r in data['recipes'])} with "
            f"{data['seeds']} seeds each, one epoch of {images['train']} images. The clusters have "
            f"two nodes, on one busy machine with {data['cores']} cores; one node was killed.",
            "",
            table(header, rows),
            "*Restarted* counts the jobs that the cluster restarted. *Equal* means that every "
            "accuracy and prediction is identical to the benchmark without an executor. "
            "No finished run was rewritten.",
        ]
    )
