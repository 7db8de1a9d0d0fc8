"""Unknown characters and several characters in a picture, measured."""

from __future__ import annotations

from measured import read, table


def predict_unknown() -> str:
    """Return what the bundled models' detector keeps and rejects."""
    data = read("unknown.json")
    models = data["models"]
    rows = []
    for row in data["rows"]:
        name = row["family"] if row["look"] == "textures" else f"{row['family']}, {row['look']}"
        bound = "" if row["least"] is None else f"{row['least']:g}"
        what = "kept" if row["known"] else "rejected"
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
            f"`{data['track']}`, and drawings) that are kept, and of foreign pictures that are "
            "rejected. Textures, scripts and Chinese characters of the table did not serve for "
            f"fitting; the Chinese characters come from {fonts}.{caution}",
            "",
            table(("pictures", "number", "", "target", *(f"`{model}`" for model in models)), rows),
            f"Area under the ROC curve ({' / '.join(f'`{model}`' for model in models)}): {areas}.",
        ]
    )


def predict_several() -> str:
    """Return how many characters of composed pages are found, and how many of them read."""
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
            f"`{data['model']}`. Accuracy is of the characters found, in percent:",
            "",
            table(
                ("page", "made as", *columns, "accuracy, %", "pages in reading order"),
                rows,
            ),
            f"Of {total:,} pictures of one character, of the kinds below, `--several` found more "
            f"than one in {wrong:,}.",
        ]
    )
