"""What generated characters are worth, from benchmarks/measurements/glyphs-*.json."""

from __future__ import annotations

from typing import Any

from measured import read, table

REAL, GENERATED = "oracle-mnist-3k", "glyphs-3k"


def glyphs_transfer() -> str:
    """Accuracy on real images of a net that has seen generated ones alone."""
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
    header = ("part", "images", "accuracy, %", "SD over seeds, points", "95% over images")
    return "\n".join(
        [
            f"Recipe `{data['recipe']['name']}` with {data['epochs']} epochs of the "
            f"{data['training_images']:,} training images of `glyphs` "
            f"(generator version {data['generator']['version']}, {data['forms']} forms), "
            f"{data['seeds']} seeds, scored on `{data['real_track']}`:",
            "",
            table(header, rows),
            f"Recall on its {list(data['splits'])[-1]} part, %: {recalls}.",
        ]
    )


def glyphs_ranking() -> str:
    """Ten recipes on generated and on real images."""
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
    """The same of every recipe of the leaderboard that has a row on both tracks."""
    return _agreement(read("glyphs-ranking-published.json"))


def _agreement(data: dict[str, Any]) -> str:
    low, high = data["kendall_ci95"]
    apart = "; ".join(" before ".join(pair) for pair in data["disagreeing"])
    return (
        f"Rank correlation of the means over {len(data['recipes'])} recipes, {data['seeds']} seeds "
        f"each: Spearman {data['spearman']:.2f}, Kendall {data['kendall']:.2f} (95% over recipes "
        f"{low:.2f} to {high:.2f}). The protocol separates {data['pairs_separated'][REAL]} of "
        f"{data['pairs']} pairs on real images and {data['pairs_separated'][GENERATED]} on "
        f"generated ones; of the {data['pairs_separated_on_both']} that it separates on both, "
        f"{data['pairs_in_the_same_order']} stand in the same order"
        + (f" (not so on generated ones: {apart})." if apart else ".")
    )
