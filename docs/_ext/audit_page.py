"""Markdown for the pages on audit and corruptions, from the committed reports. Light imports."""

from __future__ import annotations

from typing import Any

from measured import read, table


def audit_findings() -> str:
    """What the audit of the real 3,000 found: numbers, classes, and each thing to look at."""
    data = read("audit-oracle-mnist-3k.json")
    balance, near = data["balance"], data["neighbours"]
    splits = ", ".join(f"{name} {count:,}" for name, count in data["splits"].items())
    distances = zip(near["quantiles"], near["nearest_distance"], strict=True)
    parts = [
        f"{data['images']:,} images: {splits}. Largest class over smallest: "
        f"{balance['imbalance']:.2f}; the classes' proportions across splits: chi-square "
        f"{balance['chi_square']:.1f} on {balance['degrees_of_freedom']} degrees of freedom, "
        f"p = {balance['p_value']:.2f}. Serious findings: {data['serious']}.",
        "",
        table(("file", "status", "digest"), [_file(row) for row in data["files"]]),
        "",
        table(("found", "kind"), [(str(n), kind) for kind, n in data["numbers"].items()]),
        "",
        "Distance to the nearest image, by the share of images that have one nearer: "
        + ", ".join(f"{100 * share:g}% {value:.3f}" for share, value in distances)
        + f". The closest pair, measured against its surroundings, is at {near['least_ratio']:.2f} "
        f"of the distance to the fifth nearest (a copy: at most {data['rules']['near_ratio']}). "
        f"For {100 * near['nearest_has_label']:.1f}% of the images the nearest one has their "
        "label.",
        "",
        "Mean and standard deviation over the images of each class:",
        "",
        table(
            ("class", "mean, gray levels", "std, gray levels", "black bars", "ink"),
            [_class(row) for row in data["classes"]],
        ),
        "",
        "Everything to look at:",
        "",
        table(("kind", "where (split, number, label)", "why"), _rows(data["findings"])),
    ]
    return "\n".join(parts)


def audit_cost() -> str:
    """Time and memory of an audit, and the share of planted copies that it finds."""
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
    header = ("track", "images", "s", "s of a core", "peak MiB", "near duplicates", "least ratio")
    planted = [(row["change"], f"{100 * row['found']:.1f}%") for row in data["planted"]]
    return "\n".join(
        [
            f"On {data['cores']} cores, shared with other work:",
            "",
            table(header, rows),
            "",
            f"{data['copies']} images of `{data['planted_in']}` copied with one change each, and "
            "the share that is found:",
            "",
            table(("change", "found"), planted),
        ]
    )


def corruptions() -> str:
    """What each corruption does, and its strength at each severity."""
    header = ("corruption", "what it does", "unit", *(f"{severity}" for severity in range(1, 6)))
    rows = [
        (f"`{row['name']}`", row["summary"], row["unit"], *(f"{s:g}" for s in row["strengths"]))
        for row in read("corruptions.json")["rows"]
    ]
    return table(header, rows)


def corruption_accuracy() -> str:
    """Accuracy on corrupted validation images, and how far they are from the clean ones."""
    data = read("corruptions.json")
    header = ("corruption", *(f"{severity}" for severity in range(1, 6)), "gray levels changed")
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
            f"Run `{data['run']}` on the {data['images']} validation images of `{data['track']}`, "
            f"{data['seeds']} seeds of damage each (corruptions version {data['version']}): "
            f"{100 * data['clean']:.1f}% on clean images, {100 * data['mean']:.1f}% in the mean "
            "over all corruptions and severities. Accuracy in percent at each severity:",
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


def _rows(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            row["kind"],
            "; ".join(f"{split} {index} ({label})" for split, index, label in row["places"]),
            row["note"],
        )
        for row in found
    ]
