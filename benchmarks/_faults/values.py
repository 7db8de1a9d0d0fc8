"""Section 4, first half: wrong values without a word."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from _faults.forgeries import BASES, Forgery, base
from _faults.judge import checked, refused, survived, told
from _faults.kills import api
from _faults.lab import CHECKOUT, Lab, mentions, read, run_in
from _faults.locks import EPOCH, Words
from _faults.plugin_code import bench, leaderboard_rows, results
from _faults.records import Attempt, Case, Verdict
from _faults.zoo import Ran, Setting

RANKS = CHECKOUT / "tests" / "samples" / "faults" / "published-ranks.json"
SAME = 0.02
"""Largest difference of a probability between two files of one drawing."""


def drawing(noise: int) -> npt.NDArray[np.uint8]:
    """Return a drawing of 20 x 20 pixels on white; ``noise`` is the range of the background."""
    generator = np.random.default_rng(0)
    gray = np.full((20, 20), 255, np.uint8)
    if noise:
        gray[:] = generator.choice(
            [255 - noise, 255 - noise // 2, 255], (20, 20), p=[0.4, 0.4, 0.2]
        )
    else:
        gray[2:18, 2:18] = 120
        gray[2:4, 2:18] = 255
    gray[6:14, 4:6] = gray[6:14, 14:16] = gray[9:11, 4:16] = 20
    return gray


def keyed(gray: npt.NDArray[np.uint8]) -> dict[str, Callable[[Path], None]]:
    """Return writers of one drawing whose white is transparent, in each form of PNG."""
    white = gray == 255
    alpha = np.where(white, 0, 255).astype(np.uint8)
    colour = np.stack([gray] * 3, -1)
    palette = Image.fromarray(gray).convert("P", palette=Image.Palette.ADAPTIVE)
    index = int(np.asarray(palette)[white][0])
    return {
        "gray key": lambda path: Image.fromarray(gray).save(path, transparency=255),
        "RGB key": lambda path: Image.fromarray(colour).save(path, transparency=(255, 255, 255)),
        "palette key": lambda path: palette.save(path, transparency=index),
        "alpha 0": lambda path: Image.fromarray(np.dstack([colour, alpha])).save(path),
        "gray with alpha 0": lambda path: Image.merge(
            "LA", [Image.fromarray(gray), Image.fromarray(alpha)]
        ).save(path),
    }


def transparent_key(lab: Lab) -> Iterator[Attempt]:
    """One drawing, opaque and with white as the transparent key, in each form of PNG."""
    for noise in (0, 16):
        gray = drawing(noise)
        with lab.folder() as folder:
            Image.fromarray(gray).save(folder / "opaque.png")
            names = {}
            for number, (name, write) in enumerate(keyed(gray).items()):
                names[f"{number}.png"] = name
                write(folder / f"{number}.png")
            words = ("--model", "oraclenet_n", "--top", "10", "--json")
            paths = [folder / name for name in ("opaque.png", *names)]
            ran = lab.zoo.run(Setting(folder), "predict", *words, *paths)
            if ran.status != 0:
                yield lab.say(survived("predict", ran))
                continue
            rows = {Path(row["file"]).name: row["top"] for row in ran.data["images"]}
            truth = {one["label"]: one["probability"] for one in rows["opaque.png"]}
            for file, name in names.items():
                worst = max(abs(one["probability"] - truth[one["label"]]) for one in rows[file])
                fault = f"a probability differs by {worst:.2f}" if worst > SAME else ""
                yield lab.say(checked(f"{name}, background noise {noise}", fault, ran))


def bounds(lab: Lab) -> Iterator[Attempt]:
    """Settings with which no network learns, and the nearest ones with which one does."""
    with lab.folder() as folder:
        words: Words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
        for key, value, fine in (
            ("train.ema", "1.0", "0.9"),
            ("augment.cutout", "100", "4"),
            ("augment.cutout", "16", "4"),
            ("augment.shift", "100", "2"),
            ("augment.shift", "16", "2"),
            ("augment.elastic", "100", "1"),
        ):
            recipe = lab.recipe(folder)
            ran = lab.zoo.run(Setting(folder), "train", recipe, *words, "-s", f"{key}={value}")
            yield lab.say(refused(f"{key}={value} on 16 x 16 images", ran, re.escape(key)))
            more = ("-s", f"{key}={fine}", "--overwrite")
            ran = lab.zoo.run(Setting(folder), "train", recipe, *words, *more)
            yield lab.say(survived(f"{key}={fine} on 16 x 16 images", ran))


def repeated_axis(lab: Lab) -> Iterator[Attempt]:
    """A sweep with one key twice."""
    with lab.folder() as folder:
        words: Words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "out")
        twice = ("-p", "optimizer.lr=0.01", "-p", "optimizer.lr=0.02")
        ran = lab.zoo.run(Setting(folder), "sweep", lab.recipe(folder), *twice, *words)
        yield lab.say(refused("-p optimizer.lr=... twice", ran, r"optimizer\.lr"))


def refit_validation(lab: Lab) -> Iterator[Attempt]:
    """A refit recipe: each figure on validation images says that they were trained on."""
    said = "trained on|training images|refit"
    with lab.folder() as folder:
        recipe = lab.recipe(folder)
        recipe.write_text(recipe.read_text().replace('"idx"', '"idx"\nrefit = true'))
        words: Words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
        ran = lab.zoo.run(Setting(folder), "train", recipe, *words)
        yield lab.say(told("train", ran, said))
        run = run_in(folder / "runs")
        ran = lab.zoo.run(Setting(folder), "evaluate", run, "--data-dir", lab.data)
        yield lab.say(told("evaluate", ran, said))
        ran = lab.zoo.run(Setting(folder), "plot", run, "--data-dir", lab.data)
        texts = " ".join(path.read_text() for path in (run / "plots").glob("*.svg"))
        fault = "" if not mentions(ran.said + texts, said) else "no figure says so"
        yield lab.say(survived("plot", ran, lambda: fault))
        lab.need(bench(lab, Setting(folder), recipe))
        stated = results(folder / "results")[0]["seeds"][0]["validation_accuracy"]
        ran = lab.zoo.run(
            Setting(folder), "leaderboard", folder / "results", "--format", "markdown"
        )
        fault = "" if stated is None or not mentions(ran.said, said) else f"validation {stated}"
        yield lab.say(survived("leaderboard", ran, lambda: fault))


def with_accuracies(one: Forgery, accuracies: list[float]) -> None:
    """Give each seed predictions with an accuracy."""
    images, classes = one.probabilities.shape[1:]
    one.probabilities = np.zeros((len(accuracies), images, classes), np.float16)
    for rows, accuracy in zip(one.probabilities, accuracies, strict=True):
        right = np.arange(images) < round(accuracy * images)
        chosen = np.where(right, one.labels, (one.labels + 1) % classes)
        rows[np.arange(images), chosen] = 1
    score = one.document["seeds"][0]
    one.document["seeds"] = [{**score, "seed": number} for number in range(len(accuracies))]
    one.document.pop("robustness", None)


def intervals(lab: Lab) -> Iterator[Attempt]:
    """Intervals of accuracies near 0 and 1 stay within 0 and 100%."""
    for accuracies in (
        [1.0, 1.0, 1.0, 1.0, 0.8],
        [0.0, 0.0, 0.0, 0.0, 0.2],
        [1.0, 0.9],
        [0.999, 1.0, 1.0],
        [0.001, 0.0, 0.0],
        [1.0] * 5,
        [0.0] * 5,
        [0.5],
    ):
        with lab.folder() as folder:
            one = base(lab, BASES[1])
            with_accuracies(one, accuracies)
            path = one.write(folder)
            ran = lab.zoo.run(Setting(folder), "leaderboard", path, "--json")

            def fault(ran: Ran = ran, mean: float = float(np.mean(accuracies))) -> str:
                (row,) = leaderboard_rows(ran)
                low, high = row["ci95_low_percent"], row["ci95_high_percent"]
                if low is None or high is None:
                    return ""
                inside = (
                    -1e-9 <= low <= 100 * mean + 1e-6 and 100 * mean - 1e-6 <= high <= 100 + 1e-9
                )
                return "" if inside else f"interval {low:.1f} to {high:.1f}%"

            yield lab.say(survived(f"accuracies {accuracies}", ran, fault))
            if len(accuracies) < 5:
                ran = lab.zoo.run(Setting(folder), "leaderboard", path, "--format", "markdown")
                words = "fewer than (five|5) seeds|less than (five|5) seeds"
                yield lab.say(told(f"{len(accuracies)} seeds", ran, words))


def published_ranks(lab: Lab) -> Iterator[Attempt]:
    """The ranks of the published rows are those of version 0.1.0 (or the protocol changed)."""
    ranks = read(RANKS)
    for track, expected in ranks.items():
        ran = lab.zoo.run(
            Setting(lab.work), "leaderboard", lab.published, "--track", track, "--json"
        )

        def fault(ran: Ran = ran, expected: dict[str, int] = expected) -> str:
            found = {row["id"]: row["rank"] for row in leaderboard_rows(ran)}
            moved = [key for key in expected if found.get(key) != expected[key]]
            return f"{len(moved)} of {len(expected)} ranks differ: {moved[:3]}" if moved else ""

        yield lab.say(survived(f"ranks on {track}", ran, fault))


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
        found = re.search(r"(oraclezoo [a-z]|--[a-z-]+ )", line)
        if not found or name not in line:
            continue
        try:
            words = shlex.split(line[found.start() :].rstrip("'.;,)"))
        except ValueError:
            words = line.split()
        if not any(name in word for word in words):
            return line.strip()
    return ""


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
        ("augment.shift", "1.", 1.0, r"1\.0"),
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
    Case(
        "png-key",
        "PNG with white keyed transparent (what optimisers make): 94% falls to 67 to 75%",
        transparent_key,
    ),
    Case(
        "bounds",
        "`train.ema=1.0`, `augment.cutout=100`, `augment.shift=100` never learn: bounds",
        bounds,
    ),
    Case("repeated-axis", "A repeated `-p` drops the first", repeated_axis),
    Case(
        "refit-validation",
        "Refit recipes report “validation 100%” of images that were trained on, in `train`, "
        "`evaluate`, plots and leaderboard",
        refit_validation,
    ),
    Case(
        "intervals",
        "Intervals reach 112% or -9%; fewer than five seeds are not mentioned",
        intervals,
    ),
    Case("published-ranks", "Ranks of published rows stay as they are", published_ranks),
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
