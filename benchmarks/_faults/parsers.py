"""Kinds of input: seeded mutations of each kind of file that oraclezoo reads."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from _faults import mutate
from _faults.extremes import journal_of
from _faults.judge import handled, refused, survived
from _faults.lab import Lab
from _faults.locks import BY_NAME, Words
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case
from _faults.saves import api
from _faults.sources import (
    CLASSES,
    DRAWN,
    FORMATS,
    RECIPE,
    SUITE,
    SVG,
    cut_picture,
    dataset,
    evaluate,
    generate,
    kept_keys,
    likely,
    of_files,
    of_receipts,
    one_picture,
    pictures,
    predict,
    predict_onnx,
    probable,
    rank,
    ranked,
    result,
    seal_odd,
    whole_data,
)

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
        yield from _unchanged(lab, subject)
        for start in range(0, total, CHUNK):
            yield from _chunk(lab, name, subject, range(start, min(start + CHUNK, total)))

    return attempts


def _unchanged(lab: Lab, subject: Subject) -> Iterator[Attempt]:
    """Run the commands on unchanged files: a mutation means nothing if these are refused."""
    with lab.folder() as folder:
        for number in range(2):
            copy = folder / str(number) / subject.source(lab).name
            shutil.copytree(subject.source(lab), copy)
            words = subject.command(lab, copy, number)
            if words[0] == "bench":  # its data are missing on purpose
                continue
            (ran,) = lab.zoo.many(Setting(folder, timeout_s=TIMEOUT_S), [words])
            yield lab.say(
                survived("unchanged", api(ran), lambda c=copy, r=ran: subject.fault(c, r))
            )


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
                (
                    *("bench", "--suite", folder / "suite.toml"),
                    *("--track", "idx", "--data-dir", folder / "gone"),
                )
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
        Subject(lambda lab: lab.run, "recipe.toml", TEXT, evaluate, likely),
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
        Subject(result, "ledger.jsonl", mutate.of_lines, rank, ranked),
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
    )
    command = ("predict", "--model", lab.model, pictures(lab), "--top", "4", "--json")
    whole = lab.need(lab.zoo.run(Setting(lab.work), *command)).data["images"]
    truth = {Path(one["file"]).suffix: one["probability"] for one in whole}

    def other(folder: Path, ran: Ran) -> str:
        (one,) = ran.data["images"]
        difference = abs(one["probability"] - truth[Path(one["file"]).suffix])
        return f"read, and its probability differs by {difference:.2f}" if difference > 0.02 else ""

    subject = replace(subject, fault=other)
    yield from mutations("cut-pictures", subject)(lab)


CASES = (
    *(Case(f"mutated-{n}", s, mutations(n, subject)) for n, (s, subject) in SUBJECTS.items()),
    Case("mutated-cut-pictures", "Cut PNG and JPEG files (`predict`)", cut),
    Case("mutated-sweep-journals", "Journals of `sweep`", journal("sweep")),
    Case("mutated-compress-journals", "Journals of `compress`", journal("compress")),
)
