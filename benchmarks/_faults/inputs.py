"""Section 2, last part: inputs that ended in “unexpected ...Error”."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator

from _faults.disks import mounted
from _faults.extremes import BASE, DIGITS, nested
from _faults.judge import handled, refused, survived
from _faults.lab import Lab, edit, read
from _faults.locks import BY_NAME, EPOCH, Words
from _faults.pipes import draw, glyphs
from _faults.process import Setting
from _faults.records import Attempt, Case

STROKES = """\
[[class]]
name = "a"
[[class.form]]
strokes = {a}
[[class]]
name = "b"
[[class.form]]
strokes = {b}
"""


def each_list(lab: Lab) -> Iterator[Attempt]:
    """Suites whose parts are of the wrong type."""
    texts = (
        "each = [1]",
        "each = 1",
        "each = 'a'",
        "each = {a = 1}",
        "all = [1]\n[each.a]",
        "each = [{}]",
    )
    for text in texts:
        with lab.folder() as folder:
            (folder / "suite.toml").write_text(f"{BASE}{text}\n")
            words = ("--track", "idx", "--data-dir", folder / "gone")  # nothing is trained
            suite = folder / "suite.toml"
            ran = lab.zoo.run(Setting(folder), "bench", "--suite", suite, *words)
            yield lab.say(refused(text.replace("\n", " "), ran, r"suite\.toml", "each|all"))


def partial_receipts(lab: Lab) -> Iterator[Attempt]:
    """Receipts without each of their keys."""
    receipt = read(lab.model / "model.json")["receipts"][0]
    broken = [
        {},
        {"step": "export"},
        *({k: v for k, v in receipt.items() if k != key} for key in receipt),
    ]
    broken += [{**receipt, key: value} for key in receipt for value in (None, [], "x", 1)]
    with lab.folder() as folder:
        commands = []
        for number, one in enumerate(broken):
            copy = folder / str(number)
            copy.mkdir()
            shutil.copy(lab.model / "model.json", copy)
            edit(copy / "model.json", lambda card, one=one: card.update(receipts=[one]))
            commands.append(("receipt", copy))
        for ran in lab.zoo.many(Setting(folder), commands):
            yield lab.say(handled("a receipt without or with another key", ran))


def cut_metrics(lab: Lab) -> Iterator[Attempt]:
    """Metrics that end in the middle of a line, or hold something else."""
    whole = (lab.run / "metrics.jsonl").read_text()
    texts = {
        "cut in a line": whole[:-20],
        "cut in the first line": whole[:20],
        "empty": "",
        "a list": "[1]\n",
        "a number": f"{DIGITS}\n",
        "no JSON": "x\n",
    }
    for name, text in texts.items():
        with lab.folder() as folder:
            run = folder / "runs" / lab.run.name
            shutil.copytree(lab.run, run)
            (run / "metrics.jsonl").write_text(text)
            ran = lab.zoo.run(Setting(folder), "plot", run, "--data-dir", lab.data)
            if name.startswith("cut in a line"):
                yield lab.say(handled(f"plot, metrics {name}", ran))
            else:
                yield lab.say(refused(f"plot, metrics {name}", ran, r"metrics\.jsonl"))
    for name, text in texts.items():
        with lab.folder() as folder:
            recipe = lab.recipe(folder, epochs=3)
            words: Words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
            process = lab.zoo.start(Setting(folder, hold=EPOCH), "train", recipe, *words)
            process.held()
            process.signal(signal.SIGINT)
            process.release()
            process.wait()
            for path in folder.glob("runs/*/metrics.jsonl"):
                path.write_text(text)
            ran = lab.zoo.run(Setting(folder), "train", recipe, *words, "--resume")
            yield lab.say(handled(f"train --resume, metrics {name}", ran))


def svg_coordinates(lab: Lab) -> Iterator[Attempt]:
    """SVG files with coordinates that are too large, or no numbers."""
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
    for number in ("1e308", "-1e308", "1e400", DIGITS, "nan", "1e-400"):
        for shape in (
            f'<path d="M 0,0 L {number},1 C 0,0 {number},5 6,6"/>',
            f'<line x1="0" y1="0" x2="{number}" y2="1"/>',
            f'<polyline points="0,0 {number},4 5,5"/>',
            f'<circle cx="5" cy="6" r="{number}"/>',
            f'<g transform="scale({number})"><path d="M 0,0 L 9,9"/></g>',
        ):
            with lab.folder() as folder:
                ran = glyphs(lab, folder, f"{head}{shape}</svg>")
                attempt = handled(f"{number[:8]} in {shape[:20]}", ran)
                yield lab.say(attempt)


def stroke_texts(lab: Lab) -> Iterator[Attempt]:
    """Empty and cut texts of strokes."""
    good = '["line 0 0 1 1"]'
    texts = (
        '[""]', '[" "]', "[]", '["line"]', '["line 0 0"]', '["line 0 0 1"]', '["curve"]',
        '["ring 0 0"]', '["loop"]', '["nothing 0 0 1 1"]', '["line 0 0 1 x"]', "[1]", "1", '""',
        f'["line 0 0 1 {DIGITS}"]', '["line 0 0 nan 1"]', '["line 0 0 1e308 1"]',
    )  # fmt: skip
    for text in texts:
        with lab.folder() as folder:
            (folder / "classes.toml").write_text(STROKES.format(a=good, b=text))
            ran = draw(lab, folder)
            yield lab.say(refused(f"strokes = {text[:30]}", ran, r"classes\.toml|class", "b"))
    for svg in ('svg = "\\u0000"', 'svg = ""', "svg = 1", 'svg = "."', 'svg = "gone.svg"'):
        with lab.folder() as folder:
            text = STROKES.format(a=good, b=good)
            (folder / "classes.toml").write_text(text[: text.rindex("strokes")] + svg + "\n")
            yield lab.say(refused(svg, draw(lab, folder), r"classes\.toml|class|svg"))


def homeless(lab: Lab) -> Iterator[Attempt]:
    """Commands of a user without HOME and without an entry in the password file."""
    with lab.folder() as folder:
        env = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "USER", "LOGNAME", "MPLCONFIGDIR"))
        setting = Setting(folder, env=env, nameless=True)
        recipe = lab.recipe(folder)
        words: Words = ("--data-dir", lab.data, "--device", "cpu")
        for command in (
            ("env",),
            ("list",),
            ("models", "list"),
            ("data", "list"),
            ("plugins", "doctor"),
            ("predict", "--model", lab.model, lab.pictures),
            ("train", recipe, *words, "--out", "runs"),
            ("evaluate", lab.run, "--data-dir", lab.data),
        ):
            ran = lab.zoo.run(setting, *command)
            yield lab.say(survived(f"{command[0]} without a home", ran))


def full_disk(lab: Lab) -> Iterator[Attempt]:
    """Outputs on a disk that is full: a message that names the file, and older files unharmed."""
    for name in ("train", "sweep", "bench", "export", "quantize", "prune", "compress", "evaluate"):
        with lab.folder() as folder, mounted(folder / "out", "size=16k") as small:
            out = folder / "out"
            # without a mount, a limit of the size of files gives the same error without a file name
            setting = Setting(folder) if small else Setting(folder, file_size=4096)
            if small:
                (out / "filler").write_bytes(b"\0" * (12 << 10))
            if name == "evaluate":
                (out / "more").write_bytes(b"\0" * (4 << 10))
                words: Words = ("evaluate", lab.run, "--split", "test", "--data-dir", lab.data)
                ran = lab.zoo.run(setting, *words, "--results", out)
            else:
                ran = lab.zoo.run(setting, *BY_NAME[name].words(lab, folder))
            yield lab.say(refused(name, ran, "space|large", re.escape(str(out))))
    for name, words in (
        ("data glyphs", ("data", "glyphs", "OUT")),
        ("data preview", ("data", "preview", "idx", "OUT", "--data-dir", lab.data)),
        ("plot", ("plot", lab.run, "--out", "OUT", "--data-dir", lab.data)),
    ):
        with lab.folder() as folder, mounted(folder / "out", "size=4k") as small:
            out = folder / "out"
            setting = Setting(folder) if small else Setting(folder, file_size=1024)
            target = out / {"data preview": "sheet.png", "data glyphs": "data"}.get(name, "")
            place = lab.out(name, target) if name != "plot" else (target,)
            (out / "filler").write_bytes(b"\0" * 1024)
            command = [w for word in words for w in (place if word == "OUT" else (word,))]
            ran = lab.zoo.run(setting, *command)
            yield lab.say(refused(name, ran, "space|large", re.escape(str(out))))


def ledger_rows(lab: Lab) -> Iterator[Attempt]:
    """Strange rows in the ledger beside a result."""
    result = next(iter(sorted(lab.published.glob("glyphs-3k-tiny*.json"))))
    rows = (
        f'{{"recipe_hash": {DIGITS}}}',
        nested(),
        "[1]",
        "null",
        '{"track": []}',
        "\u2028",
        "\0",
    )
    for row in rows:
        with lab.folder() as folder:
            for path in lab.published.glob(f"{result.stem}*"):
                shutil.copy(path, folder)
            ledger = (lab.published / "ledger.jsonl").read_text()
            (folder / "ledger.jsonl").write_text(f"{row}\n{ledger}")
            for command in ("leaderboard", "submit --check"):
                ran = lab.zoo.run(Setting(folder), *command.split(), folder / result.name)
                what = f"{command} beside {json.dumps(row)[:20]}"
                good = ran.status == 0
                yield lab.say(survived(what, ran) if good else refused(what, ran, "ledger"))


CASES = (
    Case("unexpected-each", "`each = [1]` in a suite", each_list),
    Case("unexpected-receipt", "A receipt without `step`", partial_receipts),
    Case("unexpected-metrics", "Cut metrics", cut_metrics),
    Case("unexpected-svg", "SVG coordinates of 1e308", svg_coordinates),
    Case("unexpected-strokes", "Empty stroke text", stroke_texts),
    Case("unexpected-home", "No HOME and no passwd entry (`env` itself fails)", homeless),
    Case("unexpected-disk", "A full disk: the message names no file", full_disk),
    Case("unexpected-ledger", "Strange rows in a ledger", ledger_rows),
)
