"""The README of a bundled model, generated from its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import oraclezoo as oz

LIMITS = """\
- The model knows ten characters. It assigns any other input, such as another character, a blank
  fragment or a photograph of a cat, to one of the ten, often with a high probability. Predictions
  mark most of such inputs as unknown, but not all.
- It was trained on images of single characters, cropped from rubbings. It does not detect
  characters on a bone.
- It was trained on {train:,} images of one data set. Accuracy may be lower on bones from other
  collections, on other photographs and on drawings.
- The probabilities are calibrated on {calibration:,} images similar to the test images. They are
  not reliable for other images.
- It is not an authority on readings: the labels are those of the data set's authors.
"""


def readme(card: dict[str, Any], recipe: oz.Recipe) -> str:
    """Return the README as Markdown."""
    name, result, origin = card["name"], card["result"], card["provenance"]
    low, high = (100 * value for value in result["accuracy_ci95"])
    hardware = card["receipts"][-1]["hardware"]
    parts = [
        f"# {name}",
        "Classifies ten oracle bone characters: "
        + ", ".join(f"{g} {n}" for g, n in zip(card["glyphs"], card["classes"], strict=True))
        + ".",
        "```python\nimport oraclezoo as oz\n\n"
        f'labels, probabilities = oz.predictor("{name}").predict("bone.jpg")  # no torch\n'
        f'model = oz.load("{name}")  # for torch\n```',
        "## Recipe",
        f"Backbone `{card['backbone']['name']}`, recipe `{recipe.name}` "
        f"({origin['recipe']['hash'][:12]}), seed {origin['seed']}, oraclezoo "
        f"{origin['oraclezoo']}. {_sentence(recipe.summary)}" + _changes(recipe),
        "## Data and licence",
        "Oracle-MNIST by Mei Wang and Weihong Deng, Scientific Data 11:87 (2024), arXiv "
        "2205.09442, published under the Apache License 2.0. This folder contains no image of it. "
        + _pretraining(recipe)
        + _teachers(recipe)
        + f"The weights have the licence {card['licence']}.",
        "## Splits",
        _splits(result, recipe),
        "## Result",
        f"Accuracy on the {result['images']:,} test images: **{100 * result['accuracy']:.1f}%** "
        f"(95% interval over images {low:.1f} to {high:.1f}), loss {result['loss']:.3f} nats, "
        f"expected calibration error {100 * result['ece']:.1f}%, measured on the int8 ONNX file. "
        "Recall: "
        + ", ".join(f"{each} {100 * value:.0f}%" for each, value in result["recall"].items())
        + ".",
        _calibration(card),
        "## Accuracy by kind of picture",
        _pictures(card["pictures"]),
        "## Unknown characters",
        _unknown(card["unknown"]),
        "## Receipt",
        f"Weights are stored as float16, which changes the prediction for "
        f"{card['weights']['labels_changed_by_rounding']} of "
        f"{card['weights']['validation_images']} validation images. "
        f"Times were measured on {hardware['device']}.",
        _receipts(card["receipts"]),
        "## Limitations",
        LIMITS.format(train=_train_images(recipe), calibration=card["calibration"]["images"]),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."


def _changes(recipe: oz.Recipe) -> str:
    """Return the differences from the shipped recipe of the same name."""
    own, shipped = (_flat(each.to_dict()) for each in (recipe, oz.Recipe.load(recipe.name)))
    changes = [
        f"`{key} = {json.dumps(value)}`"
        for key, value in own.items()
        if key != "data.track" and value != shipped.get(key)
    ]
    return f" Changes to the recipe: {', '.join(changes)}." if changes else ""


def _flat(sections: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in sections.items():
        values |= (
            _flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
        )
    return values


def _pretraining(recipe: oz.Recipe) -> str:
    if not recipe.pretrain.epochs:
        return ""
    return (
        f"The model was pretrained on the track `{recipe.pretrain.track}`: characters that "
        "oraclezoo generates from strokes, some of them traced from Oracle-MNIST images. "
    )


def _teachers(recipe: oz.Recipe) -> str:
    if not recipe.distill.teachers:
        return ""
    return f"It was distilled from {recipe.distill.teachers} teachers of the same architecture. "


def _train_images(recipe: oz.Recipe) -> int:
    return 2000 if recipe.data.refit else 1800


def _splits(result: dict[str, Any], recipe: oz.Recipe) -> str:
    used = (
        "The model was trained on training and validation images (2,000), since the settings of "
        "the recipe were chosen beforehand"
        if recipe.data.refit
        else "The model was trained on the training images (1,800)"
    )
    return (
        f"Track `{result['track']}`: 1,800 training, 200 validation and 1,000 test images of the "
        f"official test file. {used}. No choice was made with test images."
    )


def _calibration(card: dict[str, Any]) -> str:
    calibration = card["calibration"]
    who = "a model trained without them" if calibration["by_a_twin"] else "this model"
    return (
        f"Temperature {calibration['temperature']:.3f}, fitted on {calibration['images']} "
        f"validation images with {who} (Guo et al. 2017). It changes their loss from "
        f"{calibration['before']['loss']:.3f} to {calibration['after']['loss']:.3f} nats."
    )


def _pictures(pictures: dict[str, Any]) -> str:
    """Return a table of accuracies by kind of picture."""
    who = "A model trained without them" if pictures["by_a_twin"] else "This model"
    accuracy = {name: f"{100 * value:.1f}%" for name, value in pictures["accuracy"].items()}
    accuracy["drawings"] = f"{pictures['drawings_right']} of {pictures['drawings']}"
    names, half = list(accuracy), -(-len(accuracy) // 2)
    lines = ["| kind | accuracy | kind | accuracy |", "| --- | --- | --- | --- |"]
    for left, right in zip_longest(names[:half], names[half:], fillvalue=""):
        lines.append(f"| {left} | {accuracy[left]} | {right} | {accuracy.get(right, '')} |")
    return (
        f"{who} classified pictures made from the {pictures['images']} {pictures['split']} images, "
        "and small drawings. The documentation of `predict` says how each kind is made.\n\n"
        + "\n".join(lines)
    )


def _unknown(entry: dict[str, Any]) -> str:
    """Return how the model recognizes pictures of none of its characters."""
    kept = ", ".join(
        f"{100 * share:.1f}% of {entry['images'][kind]} "
        + ("validation images" if kind == "real" else f"clean {kind}")
        for kind, share in entry["kept"].items()
    )
    return (
        "A second network in the same file scores how likely a picture shows none of the ten "
        f"characters; from {entry['threshold']:.3f}, a prediction is marked as unknown. The "
        f"threshold keeps {kept}. The network was fitted on training images and on generated "
        f"pictures ({entry['fitted_on']['known']:,} known, {entry['fitted_on']['foreign']:,} "
        "foreign)."
    )


def _receipts(receipts: list[dict[str, Any]]) -> str:
    """Return a table of the steps with their effect on accuracy, size and speed."""
    lines = [
        "| step | images | accuracy before | accuracy after | difference (95%) | bytes | speedup |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for receipt in receipts:
        before, after, accuracy = receipt["before"], receipt["after"], receipt["accuracy"]
        low, high = (100 * value for value in accuracy["ci95"])
        speeds = [
            f"{row['speedup']:.2f} (batch {row['batch_size']}, {row['threads']} threads, "
            + (
                row["runtime"]
                if row["runtime"] == row["from_runtime"]
                else f"{row['from_runtime']} to {row['runtime']}"
            )
            + ")"
            for row in receipt["speedups"]
        ]
        lines.append(
            f"| {receipt['step']} to {after['form']} {after['precision']} "
            f"| {receipt['images']:,} {receipt['split']} images "
            f"| {100 * before['accuracy']:.1f}% | {100 * after['accuracy']:.1f}% "
            f"| {100 * accuracy['difference']:+.2f} ({low:+.2f} to {high:+.2f}) "
            f"| {before['size_bytes']:,} to {after['size_bytes']:,} "
            f"| {'; '.join(speeds) or 'not timed'} |"
        )
    return "\n".join(lines)
