"""Usefulness of generated characters, from benchmarks/measurements/glyphs-*.json."""

from __future__ import annotations

from typing import Any

from measured import read, table

REAL, GENERATED = "oracle-mnist-3k", "glyphs-3k"


def glyphs_transfer() -> str:
    """Return the accuracy on real images of a model trained only on generated ones."""
    data = read("glyphs-transfer.json")
    rows = [
        (
            split,
            f"{row['images']:,}",
            f"{100 * row['mean']:.1f}",
            f"{100 * row['sd']:.1f}",
            "{:.1f} to {:.1f}".format(*(100 * end for end in row["ci95_over_images"])),
        )
        for split, row in data["splits"].items()
    ]
    last = list(data["splits"].values())[-1]
    recalls = ", ".join(
        f"{name} {100 * recall:.0f}"
        for name, recall in zip(data["classes"], last["recall"], strict=True)
    )
    header = ("split", "images", "accuracy, %", "SD over seeds, points", "95% interval over images")
    return "\n".join(
        [
            f"Accuracy on `{data['real_track']}` of recipe `{data['recipe']['name']}`, trained for "
            f"{data['epochs']} epochs on the {data['training_images']:,} training images of "
            f"`glyphs` (generator version {data['generator']['version']}, {data['forms']} glyph "
            f"shapes), {data['seeds']} seeds:",
            "",
            table(header, rows),
            f"Recall by class on the {list(data['splits'])[-1]} split, in percent: {recalls}.",
        ]
    )


def glyphs_ranking() -> str:
    """Return the accuracies of ten recipes on generated and on real images."""
    data = read("glyphs-ranking.json")
    ordered = sorted(data["recipes"], key=lambda row: -row[REAL]["accuracy_percent"])
    rows = [
        (
            row["name"],
            *(
                f"{row[track]['accuracy_percent']:.1f} (SD {row[track]['sd_points']:.1f})"
                for track in (REAL, GENERATED)
            ),
        )
        for row in ordered
    ]
    return table(("recipe", f"`{REAL}`, %", f"`{GENERATED}`, %"), rows) + "\n" + _agreement(data)


def glyphs_ranking_published() -> str:
    """Return the rank correlation over all recipes with leaderboard rows on both tracks."""
    return _agreement(read("glyphs-ranking-published.json"))


def _agreement(data: dict[str, Any]) -> str:
    low, high = data["kendall_ci95"]
    reversed_pairs = "; ".join(" before ".join(pair) for pair in data["disagreeing"])
    return (
        f"Rank correlation of mean accuracies over {len(data['recipes'])} recipes with "
        f"{data['seeds']} seeds each: Spearman {data['spearman']:.2f}, Kendall "
        f"{data['kendall']:.2f} (95% interval over recipes {low:.2f} to {high:.2f}). The protocol "
        f"finds {data['pairs_separated'][REAL]} of {data['pairs']} pairs significantly different "
        f"on real images and {data['pairs_separated'][GENERATED]} on generated ones. Of the "
        f"{data['pairs_separated_on_both']} pairs that differ on both, "
        f"{data['pairs_in_the_same_order']} have the same order"
        + (f" (reversed on generated images: {reversed_pairs})." if reversed_pairs else ".")
    )
