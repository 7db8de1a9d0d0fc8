"""Kinds of input: seeded mutations of each kind of file that oraclezoo reads."""

from __future__ import annotations

import json
import math
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _faults import graphs, mutate
from _faults.inputs import BASE, journal_of
from _faults.judge import handled, refused
from _faults.kills import api
from _faults.lab import Lab
from _faults.locks import BY_NAME, Words
from _faults.records import Attempt, Case
from _faults.zoo import Ran, Setting

CHUNK = 100
TIMEOUT_S = 40
SLOW_SHARE = 20
"""Inputs that take a training are mutated this many times less."""

Fault = Callable[[Path, Ran], str]
"""Returns what is wrong with the result of a command that accepted a file, or ""."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of input.

    Attributes:
        source: Folder that is copied for each mutation.
        file: File in it that is mutated, or several, which take turns.
        mutator: How it is mutated.
        command: Arguments for a copy of the folder, by the mutation's number.
        fault: Judges an accepted file.
        sealed: Whether every change of the file must be refused.
        prepare: Changes a copy after the mutation.
        share: 1 / share of the mutations are tried.
    """

    source: Callable[[Lab], Path]
    file: str | tuple[str, ...]
    mutator: mutate.Mutator
    command: Callable[[Lab, Path, int], Words]
    fault: Fault = lambda folder, ran: ""
    sealed: Callable[[int], bool] = lambda number: False
    prepare: Callable[[Path, int], None] = lambda folder, number: None
    share: int = 1


def mutations(name: str, subject: Subject) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of a kind of input."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        total = max(1, lab.amount.mutations // subject.share)
        for start in range(0, total, CHUNK):
            yield from _chunk(lab, name, subject, range(start, min(start + CHUNK, total)))

    return attempts


def _chunk(lab: Lab, name: str, subject: Subject, numbers: range) -> Iterator[Attempt]:
    source = subject.source(lab)
    files = (subject.file,) if isinstance(subject.file, str) else subject.file
    with lab.folder() as folder:
        copies, commands, same = [], [], []
        for number in numbers:
            generator = random.Random(f"{lab.amount.seed} {name} {number}")
            file = files[number % len(files)]
            copy = folder / str(number) / source.name
            shutil.copytree(source, copy)
            content = (copy / file).read_bytes()
            changed = subject.mutator(generator, content)
            (copy / file).write_bytes(changed)
            subject.prepare(copy, number)
            copies.append(copy)
            same.append(changed == content)
            commands.append(subject.command(lab, copy, number))
        setting = Setting(folder, timeout_s=TIMEOUT_S)
        rans = lab.zoo.many(setting, commands, size=CHUNK)
        for number, copy, whole, ran in zip(numbers, copies, same, rans, strict=True):
            what = f"mutation {number}"
            if subject.sealed(number) and not whole:
                yield lab.say(refused(what, api(ran)))
            else:
                yield lab.say(handled(what, api(ran), lambda c=copy, r=ran: subject.fault(c, r)))


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
name = "oraclenet_s"
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


def keep_journal(name: str) -> Callable[[Lab], Path]:
    """Return the source of a journal: the folder of an unfinished or finished job."""
    return lambda lab: journal_of(lab, name)


def go_on(name: str) -> Callable[[Lab, Path, int], Words]:
    """Return the command that continues a job in a copy of its folder."""
    more = ("--resume",) if name == "compress" else ()
    return lambda lab, folder, number: (*BY_NAME[name].words(lab, folder), *more)


def journal_file(lab: Lab, name: str) -> str:
    """Return the path of a journal in the folder of its job."""
    source = journal_of(lab, name)
    (file,) = (p for p in source.rglob("*") if "journal" in p.name and p.is_file())
    return str(file.relative_to(source))


def journal(name: str) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of a journal whose file name depends on the attacked version."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        subject = Subject(
            keep_journal(name),
            journal_file(lab, name),
            mutate.of_lines,
            go_on(name),
            share=SLOW_SHARE,
        )
        yield from mutations(f"journal-{name}", subject)(lab)

    return attempts


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


TEXT = mutate.mixed(mutate.of_text, mutate.of_text, mutate.of_bytes)
BINARY = mutate.mixed(mutate.of_bytes, mutate.of_head)

SUBJECTS: dict[str, tuple[str, Subject]] = {
    "recipes": (
        "Recipes (`recipe show`)",
        Subject(
            of_files(recipe_toml=RECIPE),
            "recipe.toml",
            TEXT,
            lambda lab, folder, number: ("recipe", "show", folder / "recipe.toml", "--json"),
            kept_keys,
        ),
    ),
    "suites": (
        "Suites (`recipe show SUITE/NAME`, `bench --suite`)",
        Subject(
            of_files(suite_toml=SUITE),
            "suite.toml",
            TEXT,
            lambda lab, folder, number: (
                ("bench", "--suite", folder / "suite.toml", "--data-dir", folder / "gone")
                if number % 2
                else ("recipe", "show", f"{folder / 'suite.toml'}/a", "--json")
            ),
        ),
    ),
    "cards": (
        "Model cards (`predict`, `oz.load`)",
        Subject(lambda lab: lab.model, "model.json", mutate.of_json, predict, probable),
    ),
    "receipts": (
        "Receipts (`receipt`)",
        Subject(
            lambda lab: lab.model,
            "model.json",
            of_receipts,
            lambda lab, folder, number: ("receipt", folder),
        ),
    ),
    "runs": (
        "`run.json` (`evaluate`)",
        Subject(lambda lab: lab.run, "run.json", mutate.of_json, evaluate, likely),
    ),
    "run-recipes": (
        "`recipe.toml` of a run (`evaluate`)",
        Subject(lambda lab: lab.run, "recipe.toml", TEXT, evaluate, likely, share=4),
    ),
    "metrics": (
        "`metrics.jsonl` (`Run.metrics`)",
        Subject(
            lambda lab: lab.run,
            "metrics.jsonl",
            mutate.of_lines,
            lambda lab, folder, number: ("probe:", "metrics", folder),
        ),
    ),
    "ledgers": (
        "Ledgers (`leaderboard`, `submit`)",
        Subject(result, "ledger.jsonl", mutate.of_lines, rank, ranked, share=4),
    ),
    "results": (
        "Results (`leaderboard`, `submit --check`)",
        Subject(
            result,
            ("glyphs-3k-speed-4da4b3026dfe-amd-epyc-2c-2t.json",),
            mutate.of_json,
            rank,
            ranked,
        ),
    ),
    "predictions": (
        "Predictions of results (`leaderboard`, `submit --check`)",
        Subject(
            result,
            ("glyphs-3k-speed-4da4b3026dfe-amd-epyc-2c-2t.safetensors",),
            BINARY,
            rank,
            sealed=lambda number: True,
            share=4,
        ),
    ),
    "glyph-toml": (
        "Characters as TOML (`data glyphs`)",
        Subject(of_files(classes_toml=CLASSES), "classes.toml", TEXT, generate),
    ),
    "svg": (
        "Characters as SVG (`data glyphs`)",
        Subject(of_files(form_svg=SVG, classes_toml=DRAWN), "form.svg", TEXT, generate),
    ),
    "idx": (
        "IDX files (data sets)",
        Subject(
            lambda lab: lab.data,
            (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ),
            mutate.mixed(mutate.of_head, mutate.of_head, mutate.of_bytes),
            dataset,
            whole_data,
        ),
    ),
    "pictures": (
        f"Pictures ({', '.join(FORMATS)}; `predict`)",
        Subject(
            pictures, tuple(f"picture.{name}" for name in FORMATS), BINARY, one_picture, probable
        ),
    ),
    "onnx": (
        "`model.onnx`, with the digest of its card and without",
        Subject(
            lambda lab: lab.model,
            "model.onnx",
            mutate.mixed(mutate.of_bytes, mutate.of_bytes, mutate.of_head),
            predict_onnx,
            probable,
            lambda number: number % 2 == 0,
            seal_odd,
        ),
    ),
    "safetensors": (
        "`model.safetensors` (`oz.load`)",
        Subject(
            lambda lab: lab.plain_model,
            "model.safetensors",
            BINARY,
            lambda lab, folder, number: ("probe:", "predict", folder, lab.images),
            sealed=lambda number: True,
        ),
    ),
    "checkpoints": (
        "`last.safetensors` of a run (`evaluate`)",
        Subject(
            lambda lab: lab.run,
            "last.safetensors",
            BINARY,
            evaluate,
            sealed=lambda number: True,
            share=4,
        ),
    ),
}


def cut(lab: Lab) -> Iterator[Attempt]:
    """Cut pictures: refused, or read as the whole one."""
    subject = Subject(
        pictures,
        tuple(f"picture.{name}" for name in FORMATS[:2]),
        cut_picture,
        lambda lab, folder, number: (
            *("predict", "--model", lab.model, folder / f"picture.{FORMATS[number % 2]}"),
            *("--top", "4", "--json"),
        ),
        share=4,
    )
    command = ("predict", "--model", lab.model, pictures(lab), "--top", "4", "--json")
    whole = lab.need(lab.zoo.run(Setting(lab.work), *command)).data["images"]
    truth = {Path(one["file"]).suffix: one["probability"] for one in whole}

    def other(folder: Path, ran: Ran) -> str:
        (one,) = ran.data["images"]
        difference = abs(one["probability"] - truth[Path(one["file"]).suffix])
        return f"read, and its probability differs by {difference:.2f}" if difference > 0.02 else ""

    subject = Subject(
        subject.source, subject.file, subject.mutator, subject.command, other, share=subject.share
    )
    yield from mutations("cut-pictures", subject)(lab)


CASES = (
    *(Case(f"mutated-{n}", s, mutations(n, subject)) for n, (s, subject) in SUBJECTS.items()),
    Case("mutated-cut-pictures", "Cut PNG and JPEG files (`predict`)", cut),
    Case("mutated-sweep-journals", "Journals of `sweep`", journal("sweep")),
    Case("mutated-compress-journals", "Journals of `compress`", journal("compress")),
)
