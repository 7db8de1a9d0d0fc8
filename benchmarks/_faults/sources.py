"""Sources of mutated inputs, and what is wrong with an accepted one."""

from __future__ import annotations

import json
import math
import random
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _faults import graphs, mutate
from _faults.extremes import BASE
from _faults.lab import Lab
from _faults.locks import Words
from _faults.process import Ran


def of_files(**contents: str | bytes) -> Callable[[Lab], Path]:
    """Return a source: a folder with small files, made once."""

    def source(lab: Lab) -> Path:
        text = "-".join(sorted(contents))
        folder = lab.work / f"source-{text}"
        if not folder.exists():
            folder.mkdir()
            for name, content in contents.items():
                data = content.encode() if isinstance(content, str) else content
                (folder / name.replace("_", ".")).write_bytes(data)
        return folder

    return source


RECIPE = """\
summary = "A recipe with a key of each type"
[data]
track = "oracle-mnist-3k"
refit = true
[backbone]
name = "oraclenet"
width = 0.5
[optimizer]
name = "muon"
lr = 0.2
momentum = 0.6
[scheduler]
name = "linear"
warmup = 0.1
[budget]
epochs = 50
batch_size = 128
[augment]
shift = 3.0
flip = true
cutout = 7
interpolation = "bicubic"
[train]
precision = "fp32"
[evaluate]
shifts = 1
"""


SUITE = f"""\
summary = "A suite"
{BASE}
[all.budget]
epochs = 3
[each.a.optimizer]
lr = 0.1
[each.b.augment]
flip = true
shift = 2.0
"""


CLASSES = """\
[[class]]
name = "cross"
glyph = "十"
[[class.form]]
strokes = ["line .5 0  .5 1", "line 0 .5  1 .5"]
[[class.form]]
weight = 2
strokes = ["curve 0 0  .5 1  1 0"]
[[class]]
name = "mouth"
[[class.form]]
aspect = 1.1
strokes = ["ring 0 0  1 0  1 1  0 1", "loop .2 .2  .5 .3  .4 .6"]
"""


DRAWN = """\
[[class]]
name = "a"
[[class.form]]
strokes = ["line 0 0 1 1"]
[[class]]
name = "b"
[[class.form]]
svg = "form.svg"
"""


SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 100 100">
<g transform="rotate(3) scale(1.5, 2)">
<path d="M 10,10 C 20,20 40,5 60,60 L 3,4 A 5 6 0 1 0 9 9 Z"/>
<line id="l" x1="0" y1="0" x2="50" y2="70"/><circle cx="5" cy="6" r="7"/></g>
<use xlink:href="#l" x="3"/><polyline points="1,2 3,4 50,60"/>
<rect x="1" y="2" width="30" height="40"/>
</svg>
"""


def kept_keys(folder: Path, ran: Ran) -> str:
    """Return which value of an accepted recipe is shown as another one."""
    document = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    shown = ran.data["recipe"]
    for section, values in document.items():
        if not isinstance(values, dict):
            continue
        for key, value in values.items():
            found = shown.get(section, {}).get(key)
            same = str(found).endswith(str(value)) if isinstance(value, str) else found == value
            if not same:
                return f"{section}.{key} = {value!r} is read as {found!r}"
    return ""


def probable(folder: Path, ran: Ran) -> str:
    """Return what is wrong with the probabilities of ``predict`` or of a probe."""
    document = ran.data
    rows = (
        [[one["probability"] for one in image["top"]] for image in document["images"]]
        if isinstance(document, dict)
        else document
    )
    for row in rows:
        if not all(math.isfinite(value) and 0 <= value <= 1 + 1e-6 for value in row):
            return f"probabilities {row}"
        if len(row) != 4 or abs(sum(row) - 1) > 1e-3:
            return f"{len(row)} probabilities that sum to {sum(row):.3f}"
    return "" if rows else "no prediction"


def predict(lab: Lab, folder: Path, number: int) -> Words:
    """Predict with a model folder: by the command line or by ``oz.load``, by turns."""
    if number % 2:
        return ("probe:", "predict", folder, lab.images)
    return ("predict", "--model", folder, lab.pictures / "0.png", "--top", "4", "--json")


def predict_onnx(lab: Lab, folder: Path, number: int) -> Words:
    """Predict with a model's ONNX file."""
    return ("predict", "--model", folder, lab.pictures / "0.png", "--top", "4", "--json")


def evaluate(lab: Lab, folder: Path, number: int) -> Words:
    """Evaluate a run."""
    return ("evaluate", folder, "--data-dir", lab.data, "--json")


def likely(folder: Path, ran: Ran) -> str:
    """Return what is wrong with the accuracy of ``evaluate --json``."""
    accuracy = ran.data["accuracy"]
    return "" if 0 <= accuracy <= 1 else f"accuracy {accuracy}"


def seal_odd(folder: Path, number: int) -> None:
    """Let the card of a model folder state the digest of the mutated file, for odd numbers."""
    if number % 2:
        graphs.seal(folder)


def result(lab: Lab) -> Path:
    """Return a folder with one published result."""
    folder = lab.work / "source-result"
    if not folder.exists():
        folder.mkdir()
        (name,) = (path.stem for path in sorted(lab.published.glob("glyphs-3k-speed-*.json"))[:1])
        for suffix in (".json", ".safetensors"):
            shutil.copy(lab.published / f"{name}{suffix}", folder / f"{name}{suffix}")
        shutil.copy(lab.published / "ledger.jsonl", folder)
    return folder


def rank(lab: Lab, folder: Path, number: int) -> Words:
    """Rank a result, or check it for submission, by turns."""
    path = next(folder.glob("glyphs*.json"))
    return ("submit", "--check", path, "--json") if number % 2 else ("leaderboard", path, "--json")


def ranked(folder: Path, ran: Ran) -> str:
    """Return what is wrong with a leaderboard's row."""
    if "tables" not in ran.data:
        return ""
    for row in (row for table in ran.data["tables"] for row in table["rows"]):
        if not 0 <= row["accuracy_percent"] <= 100:
            return f"accuracy {row['accuracy_percent']}"
    return ""


def generate(lab: Lab, folder: Path, number: int) -> Words:
    """Generate images of the classes in a folder."""
    few = ("--train", "10", "--validation", "1", "--test", "1")
    return (
        *("data", "glyphs", *lab.out("data glyphs", folder / "out")),
        *("--classes", folder / "classes.toml", *few),
    )


def dataset(lab: Lab, folder: Path, number: int) -> Words:
    """Read all splits of a data set."""
    return ("probe:", "dataset", folder)


def whole_data(folder: Path, ran: Ran) -> str:
    """Return how data differ from what the headers of their files state."""
    sizes = ran.data
    for name in ("train", "t10k"):
        path = folder / f"{name}-images-idx3-ubyte"
        content = path.read_bytes() if path.exists() else b""
        if content:
            count, height, width = np.frombuffer(content[4:16], ">u4").astype(object)
            if len(content) != 16 + count * height * width:
                return f"{path.name} has {len(content)} bytes, its header states {count} images"
    if sizes["images"] != sizes["labels"]:
        return f"{sizes['images']} images, {sizes['labels']} labels"
    return ""


FORMATS = ("png", "jpg", "bmp", "tiff", "webp", "gif")


def pictures(lab: Lab) -> Path:
    """Return a folder with a picture in each format."""
    folder = lab.work / "source-pictures"
    if not folder.exists():
        folder.mkdir()
        image = Image.fromarray(lab.test_images()[1]).resize((40, 30))
        for name in FORMATS:
            image.convert("RGB").save(folder / f"picture.{name}")
    return folder


def one_picture(lab: Lab, folder: Path, number: int) -> Words:
    """Classify the mutated picture."""
    path = folder / f"picture.{FORMATS[number % len(FORMATS)]}"
    return ("predict", "--model", lab.model, path, "--top", "4", "--json")


def cut_picture(generator: random.Random, content: bytes) -> bytes:
    """Cut a picture."""
    return content[: generator.randrange(len(content))]


def of_receipts(generator: random.Random, content: bytes) -> bytes:
    """Change the receipts of a card only."""
    card: dict[str, Any] = json.loads(content)
    changed = mutate.of_json(generator, json.dumps(card["receipts"]).encode())
    try:
        card["receipts"] = json.loads(changed)
    except (ValueError, RecursionError):
        text = json.dumps({**card, "receipts": "PLACE"})
        return text.encode().replace(b'"PLACE"', changed)
    return json.dumps(card).encode()
