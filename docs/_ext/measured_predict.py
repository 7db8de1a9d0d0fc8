"""Measurements of preprocessing: polarity, kinds of pictures, file formats, JPEG smoothing."""

from __future__ import annotations

from measured import read, table


def predict_polarity() -> str:
    """Return the number of images left in the wrong polarity, by presentation and by rule."""
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
            f"Number of images left in the wrong polarity, out of {data['images']:,} training and "
            "validation images, presented light on dark / dark on light. Each rule inverts an "
            "image if",
            "",
            *(f"{number}. {data['rules'][rule]}" for rule, number in numbers.items()),
            "",
            table(("presented as", *(f"rule {number}" for number in numbers.values())), rows),
        ]
    )


def predict_files() -> str:
    """Return the accuracy of the bundled models on image files of several kinds."""
    data = read("predict-files.json")
    models = list(dict.fromkeys(row["model"] for row in data["rows"]))
    variants = list(dict.fromkeys(row["variant"] for row in data["rows"] if "variant" in row))
    by_variant = {(row["model"], row.get("variant")): row for row in data["rows"]}
    rows = []
    for variant in variants:
        bound = by_variant[models[0], variant]["bound"]
        cells = []
        for model in models:
            row = by_variant[model, variant]
            low, high = row["interval"]
            value = f"{row['value']:+.1f} ({low:+.1f} to {high:+.1f})"
            cells.append(value if row["holds"] else f"{value}, **exceeds the bound**")
        rows.append((variant, f"{bound:g}", *cells))
    direct = ", ".join(f"{100 * by_variant[model, 'PNG']['direct']:.1f}%" for model in models)
    starts = ", ".join(f"{by_variant[model, None]['value']:.2f} s" for model in models)
    return "\n".join(
        [
            f"Accuracy of `oraclezoo predict` on the {data['images']:,} {data['split']} images of "
            f"`{data['track']}`, saved as files. Each cell is the difference from the accuracy on "
            "the original arrays, in points, with its paired 95% interval.",
            "",
            table(("files", "bound", *(f"`{model}`" for model in models)), rows),
            f"Accuracy on the original arrays: {direct}. Wall time of the command for one image, "
            f"including process start: {starts} ({data['hardware']['device']}).",
        ]
    )


def predict_pictures() -> str:
    """Return the accuracy of the bundled models by kind of picture, and the false crops."""
    data = read("pictures.json")
    models, drawings = data["models"], data["drawings"]
    rows = []
    for row in data["rows"]:
        bound = "" if row["points"] is None else f"{row['points']:g}"
        cells = [f"{row['accuracy'][model]:.1f}" for model in models]
        name = row["kind"] if row["holds"] else f"{row['kind']}, **exceeds the bound**"
        rows.append((name, row["how"], bound, *cells))
    name = "drawings" if drawings["holds"] else "drawings, **exceeds the bound**"
    right = [f"{drawings['right'][model]} of {drawings['drawings']}" for model in models]
    rows.append((name, drawings["how"].rstrip("."), f"{drawings['least']} correct", *right))
    unchanged = "; ".join(
        f"{row['shown']}: {row['changed']:,} of {row['images']:,}" for row in data["unchanged"]
    )
    kind = f"{data['images']:,} {data['split']} images of `{data['track']}`"
    caution = (
        " The models were trained on these images, and the thresholds of the search were tuned on "
        "half of them, so the accuracies are optimistic; compare each row with the plain one."
        if data["split"] == "validation"
        else ""
    )
    return "\n".join(
        [
            f"Accuracy in percent of `oraclezoo predict` on pictures made from the {kind}. The "
            f"bound is the largest drop, in points, allowed relative to the plain image.{caution}",
            "",
            table(("kind", "construction", "bound", *(f"`{model}`" for model in models)), rows),
            "Number of images that should not have been cropped but were (training and "
            f"{data['split']} images as files, otherwise only scaled): {unchanged}.",
        ]
    )


def predict_jpeg() -> str:
    """Return the accuracy on JPEG images of the model's input size by strength of smoothing."""
    data = read("predict-jpeg.json")
    has_jpeg_column = any("augment_jpeg" in row for row in data["rows"])
    rows = [
        (
            *((f"{row['augment_jpeg']:g}",) if has_jpeg_column else ()),
            row["shown"],
            *(f"{100 * value:.1f}" for value in row["accuracy"].values()),
        )
        for row in data["rows"]
    ]
    columns = ("`augment.jpeg`", "images") if has_jpeg_column else ("images",)
    header = (*columns, *(f"{deviation:g}" for deviation in data["deviations"]))
    return "\n".join(
        [
            f"Cross-validated accuracy in percent of recipe `{data['recipe']}` on "
            f"{data['images']:,} training and validation images, by the standard deviation in "
            "pixels of the smoothing filter:",
            "",
            table(header, rows),
        ]
    )


def picture_augmentation() -> str:
    """Return cross-validated accuracies by augmentation and group of picture kinds."""
    data = read("picture-augmentation.json")
    apart = ("plain", "jpeg-30", "otsu-28", "dithered-28", "drawings")
    rows = []
    for row in data["rows"]:
        accuracy = row["accuracy"]
        rest = [value for kind, value in accuracy.items() if kind not in apart]
        keys = {key: value for key, value in row["augment"].items() if not key.startswith("jpeg")}
        rows.append(
            (
                f"`{row['recipe']}`",
                ", ".join(f"`{key} = {value:g}`" for key, value in keys.items()) or "none",
                str(row["images"]),
                *(f"{accuracy[kind]:.1f}" for kind in apart),
                f"{sum(rest) / len(rest):.1f}",
            )
        )
    header = ("recipe", "besides JPEG", "images", "plain", "JPEG 30", "1 bit", "dithered")
    return "\n".join(
        [
            "Accuracy in percent on held-out folds of the training and validation images of "
            f"`{data['track']}`. *Drawings* are small drawings of the ten characters; *others* is "
            "the mean over the other kinds of pictures.",
            "",
            table((*header, "drawings", "others"), rows),
        ]
    )
