"""Section 4, second half: calibration, names of other scripts, own tracks, upstream, versions."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from _faults.judge import checked, refused, skipped, survived, told
from _faults.lab import CHECKOUT, Lab, read, write_data, write_idx
from _faults.locks import Words
from _faults.plugin_code import bench
from _faults.process import Setting
from _faults.records import Attempt, Case

REAL = CHECKOUT.parent / "shared" / "data" / "oracle-mnist"
"""Default folder of the real data files: next to the checkout, never inside it."""

SCRIPTS = {
    "Georgian": ("აბგდ", "ევზთ"),
    "Armenian": ("ԱԲԳԴ", "ԵԶԷԸ"),
    "Cyrillic": ("БГДЖ", "ЗИЛЦ"),
}
"""Two sets of four names in scripts that DejaVu Sans, which most systems have, can show."""


def calibration(lab: Lab) -> Iterator[Attempt]:
    """``calibrate`` of a user's model, and what ``export`` says of one that is not calibrated."""
    with lab.folder() as folder:
        data = write_data(folder / "data", 1, train=160)  # too few validation images are refused
        run, model = lab.train(folder / "trained", data), folder / "model"
        lab.need(lab.zoo.probe(Setting(folder), "run_model", run, model))
        ran = lab.zoo.run(Setting(folder), "calibrate", model, "--data-dir", data)

        def fault() -> str:
            temperature = read(model / "model.json").get("calibration", {}).get("temperature")
            return "" if temperature else "the card has no temperature"

        yield lab.say(survived("calibrate MODEL", ran, fault))
        out = lab.out("export", folder / "out")
        ran = lab.zoo.run(Setting(folder), "export", run, *out, *lab.measuring(data))
        yield lab.say(told("export of a model that is not calibrated", ran, "calibrat"))


def sheet_names(lab: Lab) -> Iterator[Attempt]:
    """Contact sheets of classes named in other scripts: each set of names looks different.

    The third set spells the code points of the first, which is no way to show a name.
    """
    for script, (first, second) in SCRIPTS.items():
        with lab.folder() as folder:
            sheets: dict[str, list[bytes]] = {"data preview": [], "data audit": []}
            rans = {}
            for number, names in enumerate((first, second, [f"U+{ord(c):04X}" for c in first])):
                data = write_data(folder / f"data{number}", 1)
                listed = ", ".join(f'"{name}"' for name in names)
                about = f"classes = [{listed}]\nglyphs = [{listed}]\n"
                (data / "dataset.toml").write_text(about, encoding="utf-8")
                _mislabel(data)
                for what, command, path in (
                    ("data preview", "preview", folder / f"{number}.png"),
                    ("data audit", "audit", folder / f"audit{number}" / "suspicious.png"),
                ):
                    target = path if command == "preview" else path.parent
                    place = lab.out(what, target)
                    words: Words = ("data", command, "idx", *place, "--data-dir", data)
                    rans[what] = lab.zoo.run(Setting(folder), *words)
                    if path.exists():
                        sheets[what].append(np.asarray(Image.open(path).convert("L")).tobytes())
            for what, pixels in sheets.items():
                fault = "no sheet was written" if len(pixels) < 3 else ""
                if not fault and len(set(pixels)) < 3 and "font" not in rans[what].said:
                    fault = "the names are not shown, nor does a message name a font"
                yield lab.say(checked(f"{what}, {script}", fault, rans[what]))


def _mislabel(data: Path) -> None:
    """Swap two training labels, so that an audit has something to show."""
    path = data / "train-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[8], content[9] = content[9], content[8]
    path.write_bytes(bytes(content))


def own_track(lab: Lab) -> Iterator[Attempt]:
    """``submit --check`` of a result on a user's data set with ``dataset.toml``."""
    with lab.folder() as folder:
        data = folder / "data"
        shutil.copytree(lab.data, data)
        about = 'name = "stripes"\nsource = "https://example.org/stripes"\n'
        (data / "dataset.toml").write_text(about + 'classes = ["a", "b", "c", "d"]\n')
        recipe = lab.recipe(folder)
        words: Words = ("--data-dir", data, "--seeds", "5", "--accuracy-only", "--device", "cpu")
        places: Words = ("--out", folder / "results", "--runs", folder / "runs")
        lab.need(lab.zoo.run(Setting(folder), "bench", recipe, *words, *places))
        ran = lab.zoo.run(Setting(folder), "submit", "--check", folder / "results")
        yield lab.say(survived("a result on idx with dataset.toml", ran))
    with lab.folder() as folder:
        lab.need(bench(lab, Setting(folder), lab.recipe(folder), seeds=5))
        ran = lab.zoo.run(Setting(folder), "submit", "--check", folder / "results")
        yield lab.say(refused("a result on idx without dataset.toml", ran, r"dataset\.toml"))


def real_data() -> Path | None:
    """Return the folder of the official files, or None."""
    folder = Path(os.environ.get("ORACLEZOO_TEST_DATA") or REAL)
    return folder if (folder / "t10k-images-idx3-ubyte.gz").is_file() else None


def two_orders(lab: Lab) -> Iterator[Attempt]:
    """The official test images with labels of another order, compressed and not."""
    real = real_data()
    if real is None:
        yield lab.say(skipped("the official files", "set ORACLEZOO_TEST_DATA to their folder"))
        return
    labels = gzip.decompress((real / "t10k-labels-idx1-ubyte.gz").read_bytes())
    (count,) = struct.unpack(">I", labels[4:8])
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(np.frombuffer(labels, np.uint8, offset=8))
    for packed in (True, False):
        for order in ("official", "another"):
            with lab.folder() as folder:
                data = folder / "data"
                data.mkdir()
                images = (real / "t10k-images-idx3-ubyte.gz").read_bytes()
                if packed:
                    (data / "t10k-images-idx3-ubyte.gz").write_bytes(images)
                else:
                    (data / "t10k-images-idx3-ubyte").write_bytes(gzip.decompress(images))
                suffix = ".gz" if packed else ""
                path = data / f"t10k-labels-idx1-ubyte{suffix}"
                if order == "another":
                    write_idx(path, shuffled)
                elif packed:
                    shutil.copy(real / path.name, path)
                else:
                    path.write_bytes(labels)
                recipe = lab.recipe(folder, epochs=1)
                few = ("-s", "budget.batch_size=600", "--out", folder / "runs", "--device", "cpu")
                track: Words = ("--track", "oracle-mnist-3k", "--data-dir", data)
                ran = lab.zoo.run(Setting(folder), "train", recipe, *track, *few)
                what = f"train on {count} images, labels in {order} order, packed {packed}"
                if order == "official":
                    yield lab.say(survived(what, ran))
                else:
                    yield lab.say(refused(what, ran, "label"))
    why = "needs the files of both uploads, which cannot be made"
    yield lab.say(skipped("images of one upload with labels of the other", why))
    yield lab.say(skipped("the unpacked training file", why))


def lower_bounds(lab: Lab) -> Iterator[Attempt]:
    """The declared lower bounds, and the session that resolves and tries them."""
    about = lab.zoo.probe(Setting(lab.work), "version").data
    root = Path(about["file"]).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        yield lab.say(skipped("the declared bounds", "the attacked version is no checkout"))
        return
    found = re.search(r'"onnxscript>=([\d.]+)', (root / "pyproject.toml").read_text())
    bound = tuple(int(part) for part in found[1].split(".")) if found else ()
    fault = "" if bound > (0, 5) else f"onnxscript >= {found[1] if found else '?'}"
    yield lab.say(checked("the lower bound of onnxscript", fault))
    text = (root / "noxfile.py").read_text()
    missing = [word for word in ("lowest", "newest|highest") if not re.search(word, text)]
    fault = f"noxfile.py has no {' and no '.join(missing)} resolution" if missing else ""
    yield lab.say(checked("nox resolves the lowest and the newest versions", fault))


CASES = (
    Case(
        "calibrate",
        "No command calibrates a user's own model; `export` says when a model is not",
        calibration,
    ),
    Case(
        "sheet-names",
        "`data preview` and the audit sheet cannot show another script's names",
        sheet_names,
    ),
    Case(
        "submit-own-track",
        "`submit` refuses every `idx` result: a data set with `dataset.toml` and digests can be a "
        "track of its own",
        own_track,
    ),
    Case(
        "two-orders",
        "Oracle-MNIST's upstream published two orders of the same images: images of one with "
        "labels of the other mislabel silently",
        two_orders,
    ),
    Case(
        "lower-bounds", "Lower bounds: onnxscript 0.5 cannot export with torch 2.14", lower_bounds
    ),
)
