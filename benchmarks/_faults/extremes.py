"""Section 2: huge numbers and endless nesting in each kind of file and option."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from _faults.judge import handled, refused
from _faults.lab import Lab
from _faults.locks import BY_NAME, Words
from _faults.pipes import draw
from _faults.process import Setting
from _faults.records import Attempt, Case

DIGITS = "9" * 400


DEEP = 50_000


BASE = 'base = "default"\n'


def nested(depth: int = DEEP) -> str:
    """Return lists in lists, valid in JSON and TOML."""
    return "[" * depth + "]" * depth


def huge_numbers(lab: Lab) -> Iterator[Attempt]:
    """A number of 400 digits in each kind of file and option."""
    yield from _values(lab, DIGITS, "400 digits")


def endless_nesting(lab: Lab) -> Iterator[Attempt]:
    """50,000 nested lists in each kind of file and option."""
    yield from _values(lab, nested(), "nesting")


def _values(lab: Lab, value: str, what: str) -> Iterator[Attempt]:
    """Put a value into recipes, options, suites, cards, records, results and journals."""
    with lab.folder() as folder:
        setting = Setting(folder, timeout_s=60)
        recipes = {
            "a recipe's integer": ("epochs = 2", f"epochs = {value}"),
            "a recipe's number": ("lr = 0.01", f"lr = {value}"),
            "a recipe's text": ('name = "mlp"', f"name = {value}"),
            "an unknown key": ("batch_size", f"unknown = {value}\nbatch_size"),
        }
        for name, (old, new) in recipes.items():
            path = lab.recipe(folder)
            path.write_text(path.read_text().replace(old, new))
            ran = lab.zoo.run(setting, "recipe", "show", path)
            yield lab.say(refused(f"{what} in {name}", ran, r"tiny\.toml|epochs|lr|name|unknown"))
        short = value if len(value) < 100_000 else nested(20_000)
        for key in ("optimizer.lr", "budget.epochs", "augment.shift", "evaluate.shifts"):
            ran = lab.zoo.run(setting, "recipe", "show", "default", "-s", f"{key}={short}")
            yield lab.say(refused(f"{what} in -s {key}", ran, re.escape(key)))
        suites = {
            "each": f"{BASE}[each.a.budget]\nepochs = {value}\n",
            "all": f"{BASE}[all.budget]\nepochs = {value}\n[each.a]\n",
            "recipes": f"recipes = [{value}]\n",
            "a key": f"a = {value}\n",
        }
        for name, text in suites.items():
            (folder / "suite.toml").write_text(text)
            ran = lab.zoo.run(setting, "bench", "--suite", folder / "suite.toml", "--track", "idx")
            yield lab.say(refused(f"{what} in a suite's {name}", ran, r"suite\.toml|epochs"))
        (folder / "classes.toml").write_text(f"class = {value}\n")
        yield lab.say(refused(f"{what} in glyph TOML", draw(lab, folder), r"classes\.toml"))
        data = folder / "data"
        shutil.copytree(lab.data, data)
        (data / "dataset.toml").write_text(f"classes = {value}\n")
        ran = lab.zoo.run(setting, "data", "audit", "idx", "--data-dir", data)
        yield lab.say(refused(f"{what} in dataset.toml", ran, r"dataset\.toml"))
    yield from _json(lab, value, what)
    yield from journals(lab, value, what)


def numbers_in(text: str) -> list[tuple[int, int]]:
    """Return start and end of each number that is a value in a JSON text."""
    return [match.span(1) for match in re.finditer(r"[:\[,]\s*(-?\d[\d.e+-]*)", text)]


def replaced(text: str, value: str, most: int) -> Iterator[str]:
    """Yield texts in which one number is another value: evenly chosen, at most ``most``."""
    spans = numbers_in(text)
    step = max(1, len(spans) // most)
    for start, end in spans[::step][:most]:
        yield text[:start] + value + text[end:]


def _json(lab: Lab, value: str, what: str) -> Iterator[Attempt]:
    """Replace numbers of a card, a run's record and a result."""
    data: Words = ("--data-dir", lab.data)
    result = next(iter(sorted(lab.published.glob("glyphs-3k-tiny*.json"))))
    kinds: tuple[tuple[str, Path, str, Callable[[Path], Words], int], ...] = (
        ("a card", lab.model, "model.json", lambda f: ("predict", "--model", f, lab.pictures), 12),
        ("a card's receipts", lab.model, "model.json", lambda f: ("receipt", f), 60),
        ("run.json", lab.run, "run.json", lambda f: ("evaluate", f, *data), 30),
        ("a result", result.parent, result.name, lambda f: ("leaderboard", f / result.name), 30),
        (
            "a submitted result",
            result.parent,
            result.name,
            lambda f: ("submit", "--check", f / result.name),
            30,
        ),
    )
    for name, source, file, command, most in kinds:
        with lab.folder() as folder:
            commands = []
            text = (source / file).read_text(encoding="utf-8")
            for number, changed in enumerate(replaced(text, value, most)):
                copy = folder / str(number)
                copy.mkdir()
                stem = Path(file).stem
                for other in source.iterdir():
                    if source != result.parent or other.stem == stem or other.suffix == ".jsonl":
                        shutil.copy(other, copy) if other.is_file() else None
                (copy / file).write_text(changed, encoding="utf-8")
                commands.append(command(copy))
            for ran in lab.zoo.many(Setting(folder, timeout_s=60), commands):
                yield lab.say(handled(f"{what} in {name}", ran))


def journals(lab: Lab, value: str, what: str) -> Iterator[Attempt]:
    """Replace numbers in the journals of a sweep and of a compression, and continue them."""
    for name in ("sweep", "compress"):
        source = journal_of(lab, name)
        (file,) = (p for p in source.rglob("*") if "journal" in p.name and p.is_file())
        text = file.read_text(encoding="utf-8")
        for changed in replaced(text, value, 8):
            with lab.folder() as folder:
                shutil.copytree(source, folder, dirs_exist_ok=True)
                (folder / file.relative_to(source)).write_text(changed, encoding="utf-8")
                words = BY_NAME[name].words(lab, folder)
                more = ("--resume",) if name == "compress" else ()
                ran = lab.zoo.run(Setting(folder), *words, *more)
                yield lab.say(handled(f"{what} in the journal of {name}", ran))


def journal_of(lab: Lab, name: str) -> Path:
    """Return the folder of an unfinished sweep or compression, made once."""
    folder = lab.work / f"journal-{name}"
    if not folder.exists():
        folder.mkdir()
        words = BY_NAME[name].words(lab, folder)
        if name == "sweep":
            lab.need(lab.zoo.run(Setting(folder), *words))
            return folder
        process = lab.zoo.start(Setting(folder, hold=("subprocess.Popen", "python")), *words)
        process.held()
        # the first trial is in the journal; what follows is killed
        process.release()
        process.until(lambda: _has_trial(folder))
        process.signal(signal.SIGKILL, group=True)
        process.wait()
    return folder


def _has_trial(folder: Path) -> bool:
    return any(
        '"trial"' in path.read_text(encoding="utf-8", errors="replace")
        for path in folder.rglob("*journal*")
        if path.is_file()
    )


CASES = (
    Case(
        "unexpected-digits",
        "Numbers of 400 digits in recipes, `-s`, suites, cards, journals",
        huge_numbers,
    ),
    Case(
        "unexpected-nesting",
        "Endless nesting in recipes, `-s`, suites, cards, journals",
        endless_nesting,
    ),
)
