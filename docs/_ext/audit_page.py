"""Markdown for the audit and corruption pages, from committed reports. Lightweight imports only."""

from __future__ import annotations

from typing import Any

from measured import read, table


def audit_findings() -> str:
    """Return the findings of the audit of the 3,000 official test images."""
    data = read("audit-oracle-mnist-3k.json")
    balance, near = data["balance"], data["neighbors"]
    splits = ", ".join(f"{name} {count:,}" for name, count in data["splits"].items())
    distances = zip(near["quantiles"], near["nearest_distance"], strict=True)
    parts = [
        f"{data['images']:,} images: {splits}. Imbalance (largest class over "
        f"smallest): {balance['imbalance']:.2f}. Chi-square test of equal class proportions across "
        f"splits: {balance['chi_square']:.1f} with {balance['degrees_of_freedom']} degrees of "
        f"freedom, p = {balance['p_value']:.2f}. Serious findings: {data['serious']}.",
        "",
        table(("file", "status", "digest"), [_file(row) for row in data["files"]]),
        "",
        table(("findings", "kind"), [(str(n), kind) for kind, n in data["numbers"].items()]),
        "",
        "Quantiles of the distance to the nearest image: "
        + ", ".join(f"{100 * share:g}% {value:.3f}" for share, value in distances)
        + f". The smallest ratio of the distances to the nearest and to the fifth nearest image is "
        f"{near['least_ratio']:.2f} (near-duplicates: at most {data['rules']['near_ratio']}). For "
        f"{100 * near['nearest_has_label']:.1f}% of the images, the nearest image has the same "
        "label.",
        "",
        "Mean ± standard deviation over the images of each class:",
        "",
        table(
            ("class", "mean, gray levels", "std, gray levels", "black bars", "ink"),
            [_class(row) for row in data["classes"]],
        ),
        "",
        "Images to inspect:",
        "",
        table(("kind", "location (split, index, label)", "reason"), _rows(data["findings"])),
    ]
    return "\n".join(parts)


def audit_cost() -> str:
    """Return time and memory of an audit, and its detection rate for planted duplicates."""
    data = read("audit.json")
    rows = [
        (
            f"`{row['track']}`",
            f"{row['images']:,}",
            f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}",
            f"{row['peak_mib']:,}",
            str(row["near_duplicates"]),
            f"{row['least_ratio']:.2f}",
        )
        for row in data["cost"]
    ]
    header = (
        "track", "images", "wall time, s", "CPU time, s", "peak MiB", "near-duplicates",
        "smallest ratio",
    )  # fmt: skip
    planted = [(row["change"], f"{100 * row['found']:.1f}%") for row in data["planted"]]
    return "\n".join(
        [
            f"Measured on {data['cores']} shared cores:",
            "",
            table(header, rows),
            "",
            f"Detection rate for {data['copies']} planted duplicates in `{data['planted_in']}`, "
            "each with one change:",
            "",
            table(("change", "detected"), planted),
        ]
    )


def corruptions() -> str:
    """Return the table of corruptions with their strength at each severity."""
    header = (
        "corruption",
        "description",
        "unit of strength",
        *(f"{severity}" for severity in range(1, 6)),
    )
    rows = [
        (f"`{row['name']}`", row["summary"], row["unit"], *(f"{s:g}" for s in row["strengths"]))
        for row in read("corruptions.json")["rows"]
    ]
    return table(header, rows)


def corruption_accuracy() -> str:
    """Return the accuracy on corrupted validation images and the mean change of gray levels."""
    data = read("corruptions.json")
    header = (
        "corruption",
        *(f"{severity}" for severity in range(1, 6)),
        "mean change, gray levels",
    )
    rows = [
        (
            row["name"],
            *(f"{100 * value:.1f}" for value in row["accuracy"]),
            f"{row['gray_levels_changed'][0]:.1f} to {row['gray_levels_changed'][-1]:.1f}",
        )
        for row in data["rows"]
    ]
    return "\n".join(
        [
            f"Accuracy of run `{data['run']}` on the {data['images']} validation images of "
            f"`{data['track']}`, with {data['seeds']} corruption seeds (corruptions version "
            f"{data['version']}): {100 * data['clean']:.1f}% on clean images, and a mean of "
            f"{100 * data['mean']:.1f}% over all corruptions and severities. Accuracy in percent "
            "at each severity:",
            "",
            table(header, rows),
        ]
    )


def _file(row: dict[str, str]) -> tuple[str, ...]:
    return f"`{row['name']}`", row["status"], f"{row['kind']} `{row['digest'][:16]}…`"


def _class(row: dict[str, Any]) -> tuple[str, ...]:
    gray = [f"{row[key][0]:.1f} ± {row[key][1]:.1f}" for key in ("mean", "std")]
    shares = [f"{100 * row[key][0]:.0f} ± {100 * row[key][1]:.0f}%" for key in ("bars", "ink")]
    return f"{row['label']} {row['name']} {row['glyph']}", *gray, *shares


def _rows(findings: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            row["kind"],
            "; ".join(f"{split} {index} ({label})" for split, index, label in row["places"]),
            row["note"],
        )
        for row in findings
    ]
