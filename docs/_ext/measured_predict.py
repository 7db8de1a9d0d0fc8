"""Preprocessing of `predict`: polarity rules, file formats and JPEG smoothing, as measured."""

from __future__ import annotations

from measured import read, table


def predict_polarity() -> str:
    """Return images left in the wrong polarity, by preparation of the image and by rule."""
    data = read("predict-polarity.json")
    numbers = {rule: number for number, rule in enumerate(data["rules"], 1)}
    shown: dict[str, str] = {row["shown"]: row["summary"] for row in data["rows"]}
    rows = []
    for name, summary in shown.items():
        of_name = [row for row in data["rows"] if row["shown"] == name]
        cells = [
            " / ".join(str(row["rules"][rule]["wrong"]) for row in of_name) for rule in numbers
        ]
        rows.append((summary, *cells))
    return "\n".join(
        [
            f"Images left in the wrong polarity, of {data['images']:,} (training and validation), "
            "light on dark / dark on light. Each rule inverts an image if",
            "",
            *(f"{number}. {data['rules'][rule]}" for rule, number in numbers.items()),
            "",
            table(("shown", *(f"rule {number}" for number in numbers.values())), rows),
        ]
    )


def predict_files() -> str:
    """What the command makes of files of all kinds, with the shipped models."""
    data = read("predict-files.json")
    models = list(dict.fromkeys(row["model"] for row in data["rows"]))
    variants = list(dict.fromkeys(row["variant"] for row in data["rows"] if "variant" in row))
    found = {(row["model"], row.get("variant")): row for row in data["rows"]}
    rows = []
    for variant in variants:
        bound = found[models[0], variant]["bound"]
        cells = []
        for model in models:
            row = found[model, variant]
            low, high = row["interval"]
            value = f"{row['value']:+.1f} ({low:+.1f} to {high:+.1f})"
            cells.append(value if row["holds"] else f"{value}, **more**")
        rows.append((variant, f"{bound:g}", *cells))
    direct = ", ".join(f"{100 * found[model, 'PNG']['direct']:.1f}%" for model in models)
    starts = ", ".join(f"{found[model, None]['value']:.2f} s" for model in models)
    return "\n".join(
        [
            f"The {data['images']:,} {data['split']} images of `{data['track']}` as files, read by "
            "`oraclezoo predict`: points of accuracy more than for the images themselves, with the "
            "paired 95% interval.",
            "",
            table(("files", "within", *(f"`{model}`" for model in models)), rows),
            f"The images themselves: {direct}. From the start of the process to its end, one image "
            f"read: {starts} ({data['hardware']['device']}).",
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
