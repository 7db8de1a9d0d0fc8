"""Measurements of the detector for unknown characters and of reading several characters."""

from __future__ import annotations

from measured import read, table


def predict_unknown() -> str:
    """Return the acceptance and rejection rates of the bundled models' detector."""
    data = read("unknown.json")
    models = data["models"]
    rows = []
    for row in data["rows"]:
        name = row["family"] if row["look"] == "textures" else f"{row['family']}, {row['look']}"
        bound = "" if row["least"] is None else f"{row['least']:g}"
        what = "accepted" if row["known"] else "rejected"
        cells = [f"{row['right'][model]:.1f}" for model in models]
        missed = "" if row["holds"] else ", **below the target**"
        rows.append((f"{name}{missed}", f"{row['images']:,}", what, bound, *cells))
    areas = "; ".join(
        f"{look} {' / '.join(f'{value:.3f}' for value in by_model.values())}"
        for look, by_model in data["auroc"].items()
    )
    fonts = ", ".join(f"`{name}`" for name in data["chinese_fonts"])
    caution = (
        " The thresholds were fitted to these validation images."
        if data["split"] == "validation"
        else ""
    )
    return "\n".join(
        [
            f"Percentage of known pictures (from the {data['split']} images of "
            f"`{data['track']}`, and drawings) that are accepted, and of outliers that are "
            "rejected. The textures, scripts and Chinese characters in the table were not used for "
            f"fitting; the Chinese characters are rendered in {fonts}.{caution}",
            "",
            table(("pictures", "number", "", "target", *(f"`{model}`" for model in models)), rows),
            f"Area under the ROC curve ({' / '.join(f'`{model}`' for model in models)}): {areas}.",
        ]
    )


def predict_several() -> str:
    """Return the numbers of characters found on composed pages, and the accuracy on them."""
    data = read("several.json")
    columns = ("characters", "found", "split", "merged", "missed", "extra")
    rows = [
        (
            row["kind"],
            row["how"],
            *(f"{row[key]:,}" for key in columns),
            f"{100 * row['right'] / max(row['found'], 1):.1f}",
            f"{row['pages_in_order']} of {row['pages']}",
        )
        for row in data["rows"]
    ]
    single = data["single"]
    wrong, total = (sum(row[key] for row in single) for key in ("several", "pictures"))
    return "\n".join(
        [
            f"Pages composed of {data['split']} images of `{data['track']}`, read by "
            f"`{data['model']}`. Accuracy is the percentage of found characters that are "
            "classified correctly:",
            "",
            table(
                ("page", "construction", *columns, "accuracy, %", "pages in reading order"),
                rows,
            ),
            f"Of {total:,} pictures with a single character, of the kinds listed below, "
            f"`--several` found more than one character in {wrong:,}.",
        ]
    )
