"""Section 4, first half: wrong values without a word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from _faults.forge import BASES, Forgery, base
from _faults.judge import checked, refused, survived, told
from _faults.lab import CHECKOUT, Lab, mentions, read, run_in
from _faults.locks import Words
from _faults.plugin_code import bench, leaderboard_rows, results
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case

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
    color = np.stack([gray] * 3, -1)
    palette = Image.fromarray(gray).convert("P", palette=Image.Palette.ADAPTIVE)
    index = int(np.asarray(palette)[white][0])
    return {
        "gray key": lambda path: Image.fromarray(gray).save(path, transparency=255),
        "RGB key": lambda path: Image.fromarray(color).save(path, transparency=(255, 255, 255)),
        "palette key": lambda path: palette.save(path, transparency=index),
        "alpha 0": lambda path: Image.fromarray(np.dstack([color, alpha])).save(path),
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
                words = "(fewer|less) than (five|5) seeds|no interval: 1 seed"
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
)
