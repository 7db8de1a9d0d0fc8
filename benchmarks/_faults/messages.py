"""Section 4: calls, spellings and printed commands."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from _faults.judge import checked, refused, survived
from _faults.lab import Lab, mentions
from _faults.locks import EPOCH, Words
from _faults.plugin_code import results
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case, Verdict
from _faults.saves import api


def bench_a_text(lab: Lab) -> Iterator[Attempt]:
    """``oz.bench`` of a name or a path instead of a list."""
    with lab.folder() as folder:
        recipe = lab.recipe(folder)
        for text, data in ((str(recipe), lab.data), ("quick", folder / "no-data")):
            ran = api(lab.zoo.probe(Setting(folder), "bench_text", text, data, folder / "out"))
            what = f"oz.bench({Path(text).name!r})"
            letter = (
                "iterates over the letters"
                if not mentions(ran.err, "unknown (recipe|suite) '.?'")
                else ""
            )
            if ran.status == 0:
                yield lab.say(survived(what, ran))
            else:
                yield lab.say(refused(what, ran, lost=lambda w=letter: w))


def leaderboard_of_a_path(lab: Lab) -> Iterator[Attempt]:
    """``oz.leaderboard`` of a folder's path instead of results."""
    with lab.folder() as folder:
        for path in lab.published.glob("glyphs-3k-tiny*"):
            shutil.copy(path, folder)
        ran = api(lab.zoo.probe(Setting(folder), "leaderboard", folder))
        what = "oz.leaderboard('results')"
        yield lab.say(survived(what, ran) if ran.status == 0 else refused(what, ran, "Result"))


def predict_a_run(lab: Lab) -> Iterator[Attempt]:
    """``predict --model RUN`` says which command makes a model of it."""
    ran = lab.zoo.run(Setting(lab.work), "predict", "--model", lab.run, lab.pictures)
    what = "predict --model runs/X"
    good = ran.status == 0
    yield lab.say(survived(what, ran) if good else refused(what, ran, "oraclezoo export"))
    ran = lab.zoo.run(Setting(lab.work), "predict", "--model", lab.plain_model, lab.pictures)
    yield lab.say(refused("predict --model of a model without ONNX", ran, "oraclezoo export"))


def unquoted(text: str, name: str) -> str:
    """Return a printed command in which a path with a space falls apart, or ""."""
    for line in text.splitlines():
        found = re.search(r"((oraclezoo|pip) [a-z]|--[a-z-]+ )", line)
        if not found or name not in line:
            continue
        rest = line[found.start() :]
        if not any(name in word for text in _ends(rest) for word in _words(text)):
            return line.strip()
    return ""


def _ends(text: str) -> tuple[str, ...]:
    """Return what may be the command in a text: punctuation or a quotation mark may follow it."""
    return text, text.rstrip(".;,)"), text.rstrip("'.;,)")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def quoted_commands(lab: Lab) -> Iterator[Attempt]:
    """Printed commands with a folder whose name has a space."""
    with lab.folder() as outer:
        folder = outer / "my files"
        folder.mkdir()
        recipe = lab.recipe(folder, epochs=3)
        data: Words = ("--data-dir", lab.data, "--device", "cpu")
        process = lab.zoo.start(
            Setting(folder, hold=EPOCH), "train", recipe, *data, "--out", folder / "runs"
        )
        process.held()
        process.signal(signal.SIGINT)
        process.release()
        rans = {"train, interrupted": process.wait()}
        place = lab.out("data glyphs", folder / "glyphs")
        few = ("--train", "10", "--validation", "1", "--test", "1")
        rans["data glyphs"] = lab.zoo.run(Setting(folder), "data", "glyphs", *place, *few)
        new = ("plugins", "new", "my-net", "--kind", "backbone")
        option = "--out" if lab.zoo.has_option("plugins new", "--out") else "--folder"
        rans["plugins new"] = lab.zoo.run(Setting(folder), *new, option, folder)
        words: Words = ("--seeds", "1", "--accuracy-only", "--out", folder / "results")
        rans["bench"] = lab.zoo.run(Setting(folder), "bench", recipe, *data, *words)
        rans["bench again"] = lab.zoo.run(Setting(folder), "bench", recipe, *data, *words)
        run = folder / "run"
        shutil.copytree(lab.run, run)
        rans["predict"] = lab.zoo.run(Setting(folder), "predict", "--model", run, lab.pictures)
        for what, ran in rans.items():
            yield lab.say(checked(what, unquoted(ran.said, "my files"), ran))
        commands = [one["command"] for one in results(folder / "results")]
        apart = [c for c in commands if not any("my files" in word for word in shlex.split(c))]
        yield lab.say(checked("the command in a result", apart[0] if apart else ""))


def spellings(lab: Lab) -> Iterator[Attempt]:
    """Values as Python spells them: accepted, or refused with the right spelling."""
    for key, value, meant, hint in (
        ("augment.flip", "False", False, "false"),
        ("augment.flip", "True", True, "true"),
        ("augment.flip", "no", False, "false"),
        ("augment.scale", ".5", 0.5, r"0\.5"),
        ("augment.scale", "-.5", None, r"-0\.5|must be"),
        ("augment.shift", "1.", 1.0, r"1(\.0)?\b"),
        ("optimizer.lr", "1e-3", 0.001, r"0\.001|1e-3"),
    ):
        words = ("recipe", "show", "default", "-s", f"{key}={value}", "--json")
        ran = lab.zoo.run(Setting(lab.work), *words)
        section, name = key.split(".")

        def fault(
            ran: Ran = ran, at: tuple[str, str] = (section, name), meant: object = meant
        ) -> str:
            found = ran.data["recipe"][at[0]][at[1]]
            same = isinstance(found, (int, float)) and isinstance(meant, (int, float))
            return "" if same and math.isclose(found, float(meant)) else f"read as {found!r}"  # type: ignore[arg-type]

        what = f"-s {key}={value}"
        if ran.status == 0:
            yield lab.say(survived(what, ran, fault))
        elif mentions(ran.err, rf"(?-i:{hint})"):
            why = f"refused without the spelling {hint}: {ran.err.strip()}"
            yield lab.say(Attempt(what, Verdict.UNCLEAR, why, str(ran)))
        else:
            yield lab.say(refused(what, ran))


CASES = (
    Case("bench-text", '`oz.bench("quick")` iterates over the letters', bench_a_text),
    Case(
        "leaderboard-path",
        '`oz.leaderboard("results")` is an AttributeError',
        leaderboard_of_a_path,
    ),
    Case("predict-run", "`predict --model runs/X` names no way out", predict_a_run),
    Case("quoted-commands", "Printed commands don't quote spaces", quoted_commands),
    Case(
        "spellings",
        "`augment.flip=False` and `.5` are refused without `false`, `0.5`",
        spellings,
    ),
)
