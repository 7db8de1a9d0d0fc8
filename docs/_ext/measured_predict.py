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
    rows = [
        (row["shown"], *(f"{100 * value:.1f}" for value in row["accuracy"].values()))
        for row in data["rows"]
    ]
    header = ("shown", *(f"{deviation:g}" for deviation in data["deviations"]))
    return "\n".join(
        [
            f"Accuracy in percent on {data['images']:,} images (training and validation, by nets "
            "that had not seen them), by the deviation in pixels that they were smoothed by:",
            "",
            table(header, rows),
        ]
    )
