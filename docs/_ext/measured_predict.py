"""How polarity is told, from benchmarks/measurements/predict-polarity.json."""

from __future__ import annotations

from measured import read, table


def predict_polarity() -> str:
    """Images left in the wrong polarity, by rule and by the way they were shown."""
    data = read("predict-polarity.json")
    shown: dict[str, str] = {row["shown"]: row["summary"] for row in data["rows"]}
    rows = []
    for rule, summary in data["rules"].items():
        cells = [
            " / ".join(
                str(row["rules"][rule]["wrong"]) for row in data["rows"] if row["shown"] == name
            )
            for name in shown
        ]
        rows.append((summary, *cells))
    return "\n".join(
        [
            f"Images left in the wrong polarity, of {data['images']:,} (training and validation), "
            "light-on-dark / dark-on-light:",
            "",
            table(("an image is inverted if", *shown.values()), rows),
        ]
    )


def predict_jpeg() -> str:
    """Accuracy on JPEG images of the net's own size, by how much they are smoothed."""
    data = read("predict-jpeg.json")
    taught = any("augment_jpeg" in row for row in data["rows"])
    rows = [
        (
            *((f"{row['augment_jpeg']:g}",) if taught else ()),
            row["shown"],
            *(f"{100 * value:.1f}" for value in row["accuracy"].values()),
        )
        for row in data["rows"]
    ]
    columns = ("`augment.jpeg`", "shown") if taught else ("shown",)
    header = (*columns, *(f"{deviation:g}" for deviation in data["deviations"]))
    return "\n".join(
        [
            f"Accuracy in percent on {data['images']:,} images (training and validation, by nets "
            f"of recipe `{data['recipe']}` that had not seen them), by the deviation in pixels "
            "that they were smoothed by:",
            "",
            table(header, rows),
        ]
    )
